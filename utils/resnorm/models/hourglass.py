"""Stacked hourglass: down to a few positions and up again, several times (Newell et al. 2016)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..blocks import Norm, PreActBottleneck, check_norm


class Hourglass(nn.Module):
    """One hourglass: at each level one path keeps the resolution, one goes down, and they add up.

    Args:
        depth: How many times the resolution is halved.
        channels: Channels of every feature map, a multiple of 4.
        norm: Makes a norm from a number of channels.

    Shape:
        (N, channels, H, W) -> (N, channels, H, W); 2^depth divides H and W.

    Source:
        Newell, Yang & Deng (2016), figure 3.
    """

    def __init__(self, depth: int, channels: int, norm: Norm):
        super().__init__()
        self.skip = make_block(channels, norm)
        self.down = make_block(channels, norm)
        self.inner = (
            Hourglass(depth - 1, channels, norm) if depth > 1 else make_block(channels, norm)
        )
        self.up = make_block(channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Add the path through lower resolutions to the path at this one."""
        low = F.max_pool2d(x, 2)  # -> (N, channels, H / 2, W / 2)
        low = self.down(low)
        low = self.inner(low)
        low = self.up(low)
        low = F.interpolate(low, scale_factor=2, mode="nearest")  # -> (N, channels, H, W)
        return self.skip(x) + low


class StackedHourglass(nn.Module):
    """Hourglasses in a row, each of which predicts heat maps that are supervised.

    The paper's stem, which divides the resolution by 4, is left out.

    Args:
        in_channels: Channels of the image.
        num_maps: Number of heat maps, one for each key point.
        stacks: Number of hourglasses.
        depth: How many times an hourglass halves the resolution.
        channels: Channels of the feature maps, a multiple of 4.
        norm: Makes a norm from a number of channels; any of :mod:`resnorm.norms`.

    Raises:
        ValueError: 4 does not divide the channels, ``norm`` cannot make layers, or, on the
            forward pass, 2^depth does not divide both sides of the image.

    Shape:
        (N, in_channels, H, W) -> list of ``stacks`` tensors (N, num_maps, H, W).

    Source:
        Newell, Yang & Deng (2016), section 3.
    """

    def __init__(
        self,
        in_channels: int,
        num_maps: int,
        stacks: int = 2,
        depth: int = 3,
        channels: int = 32,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        if channels % 4:
            raise ValueError(
                f"channels is {channels}; it must be a multiple of 4, as bottlenecks have a quarter"
            )
        check_norm(norm)
        self.depth = depth
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.hourglasses = nn.ModuleList(Hourglass(depth, channels, norm) for _ in range(stacks))
        # An hourglass ends in a sum, which nothing has normalized; the prediction is linear, so
        # the norm that it needs stands here.
        self.features = nn.ModuleList(
            nn.Sequential(
                make_block(channels, norm),
                nn.Conv2d(channels, channels, 1),
                norm(channels),
                nn.ReLU(),
            )
            for _ in range(stacks)
        )
        self.predict = nn.ModuleList(nn.Conv2d(channels, num_maps, 1) for _ in range(stacks))
        # Each stack but the last adds its features and its prediction to the next stack's input.
        self.remap_features = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(stacks - 1)
        )
        self.remap_prediction = nn.ModuleList(
            nn.Conv2d(num_maps, channels, 1) for _ in range(stacks - 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Predict the heat maps, once per stack."""
        check_sides(x, self.depth)
        x = self.stem(x)
        predictions = []
        for i, hourglass in enumerate(self.hourglasses):
            features = self.features[i](hourglass(x))
            predictions.append(self.predict[i](features))
            if i < len(self.remap_features):
                x = x + self.remap_features[i](features) + self.remap_prediction[i](predictions[-1])
        return predictions


@fx.wrap  # torch.fx records this as one call, because it cannot look at the shape of an image
def check_sides(x: Tensor, depth: int) -> None:
    """Check that an image can be halved often enough.

    Args:
        x: (N, C, H, W).
        depth: How many times an hourglass halves the resolution.

    Raises:
        ValueError: 2^depth does not divide both sides.
    """
    side = 2**depth
    if x.shape[2] % side or x.shape[3] % side:
        raise ValueError(
            f"the image has {tuple(x.shape[2:])} pixels; both sides must be multiples of "
            f"{side} (2^depth)"
        )


def make_block(channels: int, norm: Norm) -> PreActBottleneck:
    """Make the residual block that an hourglass consists of.

    Args:
        channels: Channels in and out, a multiple of 4.
        norm: Makes a norm from a number of channels.

    Returns:
        A block that maps (N, channels, H, W) to the same shape.
    """
    return PreActBottleneck(channels, channels // 4, 1, norm)


def stacked_hourglass(
    in_channels: int, num_maps: int, stacks: int = 2, **kwargs: Any
) -> StackedHourglass:
    """Make a stacked hourglass of two stacks, unless another number is given.

    Args:
        in_channels: Channels of the image.
        num_maps: Number of heat maps, one for each key point.
        stacks: Number of hourglasses.
        **kwargs: Further arguments of :class:`StackedHourglass`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: 4 does not divide the channels.
    """
    return StackedHourglass(in_channels, num_maps, stacks, **kwargs)
