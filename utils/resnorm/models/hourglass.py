"""Stacked hourglass: down to 4 x 4 and up again with additive skips, several times over (Newell et al. 2016)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import Norm, PreActBottleneck, check_norm


class Hourglass(nn.Module):
    """One hourglass: at each level a branch stays, another goes down, and they are *added*.

    Args:
        depth: how many times the resolution is halved.
        channels: of every feature map; a multiple of 4.
        norm: makes a norm from a number of channels.

    Source: Newell, Yang & Deng (2016), figure 3.
    """

    def __init__(self, depth: int, channels: int, norm: Norm):
        super().__init__()
        self.skip = _block(channels, norm)
        self.down = _block(channels, norm)
        self.inner = Hourglass(depth - 1, channels, norm) if depth > 1 else _block(channels, norm)
        self.up = _block(channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        low = F.max_pool2d(x, 2)
        low = self.down(low)
        low = self.inner(low)
        low = self.up(low)
        low = F.interpolate(low, scale_factor=2, mode="nearest")
        return self.skip(x) + low


class StackedHourglass(nn.Module):
    """Hourglasses in a row, each of which predicts heat maps that are supervised.

    Args:
        in_channels: of the image.
        num_maps: heat maps, one a key point.
        stacks: hourglasses.
        depth, channels, norm: of :class:`Hourglass`.

    Shape: (N, in_channels, H, W) -> list of ``stacks`` tensors (N, num_maps, H, W).

    Raises:
        ValueError: channels that 4 does not divide; on the forward pass, a size that
            ``2**depth`` does not divide.

    Source: Newell, Yang & Deng (2016), section 3; without the stem that divides the resolution by 4.
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
        # a sum of branches is raw: the norm here is what the prediction, a linear map, starts from
        self.features = nn.ModuleList(
            nn.Sequential(
                _block(channels, norm), nn.Conv2d(channels, channels, 1), norm(channels), nn.ReLU()
            )
            for _ in range(stacks)
        )
        self.predict = nn.ModuleList(nn.Conv2d(channels, num_maps, 1) for _ in range(stacks))
        # each stack but the last hands its features and its prediction on, added to its input
        self.remap_features = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(stacks - 1)
        )
        self.remap_prediction = nn.ModuleList(
            nn.Conv2d(num_maps, channels, 1) for _ in range(stacks - 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        side = 2**self.depth
        if x.shape[2] % side or x.shape[3] % side:
            raise ValueError(
                f"an image of {tuple(x.shape[2:])}: both sides must be multiples of {side} (2^depth)"
            )
        x = self.stem(x)
        predictions = []
        for i, hourglass in enumerate(self.hourglasses):
            features = self.features[i](hourglass(x))
            predictions.append(self.predict[i](features))
            if i < len(self.remap_features):
                x = x + self.remap_features[i](features) + self.remap_prediction[i](predictions[-1])
        return predictions


def _block(channels: int, norm: Norm) -> PreActBottleneck:
    return PreActBottleneck(channels, channels // 4, 1, norm)


def stacked_hourglass(
    in_channels: int, num_maps: int, stacks: int = 2, **kwargs
) -> StackedHourglass:
    """Two stacks unless told otherwise; arguments of :class:`StackedHourglass`."""
    return StackedHourglass(in_channels, num_maps, stacks, **kwargs)
