"""ConvNeXt: a ResNet whose parts were replaced one at a time (see ``modernization``).

Module names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import check_probability, check_stages


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each position by itself.

    Args:
        num_channels: Channels of the input.
        eps: Added to the variance.

    Shape:
        (N, num_channels, H, W) -> (N, num_channels, H, W).

    Source:
        Ba et al. (2016), as Liu et al. (2022), section 2.6, use it.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6):
        super().__init__(num_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over the channels."""
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Permute(nn.Module):
    """Reorder the dimensions of a tensor.

    Args:
        *dims: The dimensions of the input, in the order of the output.

    Shape:
        A tensor of as many dimensions -> the same numbers with the dimensions in another order.
    """

    def __init__(self, *dims: int):
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Return a view of the input."""
        return x.permute(self.dims)


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution, layer norm, and an expanding pair of linear layers with a GELU.

    The linear layers act on each position by itself, as 1x1 convolutions do. A scale per channel,
    small at first, multiplies the branch before the sum.

    Args:
        channels: Channels of the input and of the output.
        layer_scale: Initial value of the scale.
        drop: What drops the branch in training, such as ``regularization.DropPath``; None keeps it.

    Shape:
        (N, channels, H, W) -> (N, channels, H, W).

    Source:
        Liu et al. (2022), figure 4, right; Touvron et al. (2021), section 2, for the scale.
    """

    def __init__(self, channels: int, layer_scale: float = 1e-6, drop: nn.Module | None = None):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Permute(0, 2, 3, 1),  # (N, C, H, W) -> (N, H, W, C)
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permute(0, 3, 1, 2),  # -> (N, C, H, W)
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled branch to the input."""
        out = self.layer_scale * self.block(x)
        if self.drop is not None:
            out = self.drop(out)
        return x + out


class ConvNeXt(nn.Module):
    """A stem of stride 4, four stages with a downsampling layer between them, and a classifier.

    Args:
        layers: Blocks per stage, one entry for each stage.
        widths: Channels per stage, one entry for each stage.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        layer_scale: Initial value of the scale of each branch.
        drop_path: Makes what drops a block's branch from its probability, such as
            ``regularization.DropPath``; None drops none.
        drop_rate: The probability at the last block; it grows linearly from 0 at the first one.

    Raises:
        ValueError: ``layers`` and ``widths`` do not fit together, or ``drop_rate`` is no
            probability.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        Liu et al. (2022), section 3 and table 9.
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        layer_scale: float = 1e-6,
        drop_path: Callable[[float], nn.Module] | None = None,
        drop_rate: float = 0.1,
    ):
        super().__init__()
        check_stages(layers, widths)
        check_probability("drop_rate", drop_rate)
        stem = nn.Conv2d(in_channels, widths[0], 4, stride=4)
        features: list[nn.Module] = [nn.Sequential(stem, LayerNorm2d(widths[0]))]
        rates = iter(drop_rate * i / max(1, sum(layers) - 1) for i in range(sum(layers)))
        for stage, (depth, width) in enumerate(zip(layers, widths, strict=True)):
            if stage > 0:
                before = widths[stage - 1]
                features.append(
                    nn.Sequential(LayerNorm2d(before), nn.Conv2d(before, width, 2, stride=2))
                )
            drops = [None if drop_path is None else drop_path(next(rates)) for _ in range(depth)]
            features.append(
                nn.Sequential(*(ConvNeXtBlock(width, layer_scale, drop) for drop in drops))
            )
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(widths[-1]), nn.Flatten(1), nn.Linear(widths[-1], num_classes)
        )
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # tiny: (N, 3, 224, 224) -> (N, 768, 7, 7)
        x = self.avgpool(x)  # -> (N, 768, 1, 1)
        return self.classifier(x)


def initialize(model: nn.Module) -> None:
    """Draw the weights of convolutions and linear layers as ConvNeXt does; biases become zero.

    Args:
        model: The network, from torch's global generator.

    Source:
        Liu et al. (2022), section A.1: truncated normal with standard deviation 0.02.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """Make ConvNeXt-T.

    Args:
        **kwargs: Further arguments of :class:`ConvNeXt`.

    Returns:
        The network, randomly initialized.
    """
    return ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), **kwargs)


def convnext_small(**kwargs: Any) -> ConvNeXt:
    """Make ConvNeXt-S.

    Args:
        **kwargs: Further arguments of :class:`ConvNeXt`.

    Returns:
        The network, randomly initialized.
    """
    return ConvNeXt((3, 3, 27, 3), (96, 192, 384, 768), **{"drop_rate": 0.4, **kwargs})


def convnext_base(**kwargs: Any) -> ConvNeXt:
    """Make ConvNeXt-B.

    Args:
        **kwargs: Further arguments of :class:`ConvNeXt`.

    Returns:
        The network, randomly initialized.
    """
    return ConvNeXt((3, 3, 27, 3), (128, 256, 512, 1024), **{"drop_rate": 0.5, **kwargs})
