"""ShuffleNet v2: half of the channels pass, the others are convolved, and a shuffle mixes them.

Module names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import Norm, check_norm
from .layers import check_stages, he_initialization


def channel_shuffle(x: Tensor, groups: int = 2) -> Tensor:
    """Interleave groups of channels: the first of each group, then the second of each, and so on.

    Args:
        x: (N, C, H, W).
        groups: Number of groups of consecutive channels; it must divide C.

    Returns:
        (N, C, H, W), the same channels in another order.

    Raises:
        ValueError: The groups do not divide the channels.

    Source:
        Zhang et al. (2018), section 3.1.
    """
    n, c, h, w = x.shape
    if groups < 1 or c % groups:
        raise ValueError(f"groups is {groups}, but the input has {c} channels; give a divisor")
    x = x.view(n, groups, c // groups, h, w)
    return x.transpose(1, 2).reshape(n, c, h, w)


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)


class ShuffleUnit(nn.Module):
    """Two branches that are concatenated, then shuffled.

    With stride 1 the first half of the channels passes unchanged, which is a shortcut without an
    addition. With stride 2 both branches read the whole input.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, an even number.
        stride: 1, where ``out_channels`` equals ``in_channels``, or 2, which halves the
            resolution.
        norm: Makes a norm from a number of channels.

    Raises:
        ValueError: The channels or the stride are none of these.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Ma et al. (2018), figure 3c and 3d.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm: Norm = nn.BatchNorm2d
    ):
        super().__init__()
        if (
            stride not in (1, 2)
            or out_channels % 2
            or (stride == 1 and in_channels != out_channels)
        ):
            raise ValueError(
                f"in_channels is {in_channels}, out_channels is {out_channels} and stride is "
                f"{stride}; stride 1 keeps an even number of channels, stride 2 may change it"
            )
        half = out_channels // 2
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride == 2:
            self.branch1 = nn.Sequential(
                _depthwise(in_channels, stride),
                norm(in_channels),
                nn.Conv2d(in_channels, half, 1, bias=False),
                norm(half),
                nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            nn.Conv2d(half if stride == 1 else in_channels, half, 1, bias=False),
            norm(half),
            nn.ReLU(inplace=True),
            _depthwise(half, stride),
            norm(half),
            nn.Conv2d(half, half, 1, bias=False),
            norm(half),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Split the channels or copy them, convolve, concatenate and shuffle."""
        first, second = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        return channel_shuffle(torch.cat((self.branch1(first), self.branch2(second)), dim=1))


class ShuffleNetV2(nn.Module):
    """A stem of stride 4, three stages of shuffle units, a 1x1 convolution and a classifier.

    Args:
        layers: Units per stage, one entry for each of the three stages.
        widths: Channels per stage, one entry for each of the three stages.
        last: Channels of the last 1x1 convolution.
        num_classes: Number of classes.
        norm: Makes a norm from a number of channels.

    Raises:
        ValueError: ``layers`` and ``widths`` do not fit together, or ``norm`` cannot make layers.

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits.

    Source:
        Ma et al. (2018), table 5.
    """

    def __init__(
        self,
        layers: Sequence[int] = (4, 8, 4),
        widths: Sequence[int] = (116, 232, 464),
        last: int = 1024,
        num_classes: int = 1000,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        check_stages(layers, widths)
        check_norm(norm)
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False), norm(24), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 24
        self.stages = []  # names: the modules are stage2, stage3, ..., as in torchvision
        for stage, (units, width) in enumerate(zip(layers, widths, strict=True), start=2):
            blocks = [ShuffleUnit(channels, width, 2, norm)]
            blocks += [ShuffleUnit(width, width, 1, norm) for _ in range(units - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))
            self.stages.append(f"stage{stage}")
            channels = width
        self.conv5 = nn.Sequential(
            nn.Conv2d(channels, last, 1, bias=False), norm(last), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(last, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.maxpool(self.conv1(x))  # (N, 3, 224, 224) -> (N, 24, 56, 56)
        for stage in self.stages:
            x = getattr(self, stage)(x)  # each halves the resolution
        x = self.conv5(x).mean((2, 3))  # -> (N, last)
        return self.fc(x)


def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """Make ShuffleNet v2 of width 1.

    Args:
        **kwargs: Further arguments of :class:`ShuffleNetV2`.

    Returns:
        The network, randomly initialized.
    """
    return ShuffleNetV2((4, 8, 4), (116, 232, 464), **kwargs)
