"""The blocks of the first ResNet: convolution, norm, ReLU, and a last ReLU after the sum.

Names and order of the layers are torchvision's. The ReLUs work in place, which is safe because
the backward pass of the norm in front of them does not need that norm's output.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Norm, conv1x1, conv3x3
from .squeeze_excitation import SqueezeExcitation


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Channels of both convolutions and of the output.
        stride: Stride of the first convolution; 2 halves the resolution.
        downsample: Shortcut of a block that changes the shape, see :func:`make_shortcut`; None
            is the identity.
        norm: Makes a norm from a number of channels.
        groups: Always 1; it is here because :class:`Bottleneck` has it.
        width_per_group: Always 64, for the same reason.
        residual: Whether to add the shortcut; False makes a plain block of the same layers.

    Raises:
        ValueError: ``groups`` or ``width_per_group`` is set, which only bottlenecks have.

    Shape:
        (N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up.

    Source:
        He et al. (2016a), figure 5, left.
    """

    #: Channels of the output, divided by ``channels``.
    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm: Norm = nn.BatchNorm2d,
        groups: int = 1,
        width_per_group: int = 64,
        residual: bool = True,
    ):
        super().__init__()
        if (groups, width_per_group) != (1, 64):
            raise ValueError(
                f"groups is {groups} and width_per_group is {width_per_group}, but only bottleneck "
                "blocks have groups; leave both out or use Bottleneck"
            )
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = norm(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = norm(channels)
        self.downsample = downsample
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the branch, then apply the last ReLU."""
        out = self.conv1(x)
        out = self.bn1(out)
        out = F.relu(out, inplace=True)

        out = self.conv2(out)
        out = self.bn2(out)

        if self.residual:
            out = out + (x if self.downsample is None else self.downsample(x))
        return F.relu(out, inplace=True)

    def zero_init(self) -> None:
        """Set the scale of the last norm to zero, so that the branch starts at zero."""
        nn.init.zeros_(self.bn2.get_parameter("weight"))


class Bottleneck(nn.Module):
    """A 1x1 convolution to few channels, a 3x3 convolution, and a 1x1 convolution to many.

    The 3x3 convolution has the stride, as in torchvision ("v1.5"). In the paper the first 1x1
    convolution has it, which never reads three quarters of the positions.

    Args:
        in_channels: Channels of the input.
        channels: A quarter of the channels of the output.
        stride: Stride of the 3x3 convolution; 2 halves the resolution.
        downsample: Shortcut of a block that changes the shape, see :func:`make_shortcut`; None
            is the identity.
        norm: Makes a norm from a number of channels.
        groups: Groups of the 3x3 convolution, which ResNeXt calls its cardinality.
        width_per_group: Channels per group of the 3x3 convolution where ``channels`` is 64, and
            in proportion to ``channels`` elsewhere.
        residual: Whether to add the shortcut; False makes a plain block of the same layers.

    Raises:
        ValueError: ``groups`` is below 1, or a group would not have a whole number of channels.

    Shape:
        (N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride), rounded up.

    Source:
        He et al. (2016a), figure 5, right; Xie et al. (2017), figure 3c, for groups.
    """

    #: Channels of the output, divided by ``channels``.
    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm: Norm = nn.BatchNorm2d,
        groups: int = 1,
        width_per_group: int = 64,
        residual: bool = True,
    ):
        super().__init__()
        width = inner_width(channels, groups, width_per_group)
        self.conv1 = conv1x1(in_channels, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, channels * self.expansion)
        self.bn3 = norm(channels * self.expansion)
        self.downsample = downsample
        self.residual = residual

    def branch(self, x: Tensor) -> Tensor:
        """Compute what is added to the shortcut.

        Args:
            x: the input of the block, (N, in_channels, H, W).

        Returns:
            (N, 4 * channels, H / stride, W / stride), rounded up.
        """
        out = self.conv1(x)
        out = self.bn1(out)
        out = F.relu(out, inplace=True)

        out = self.conv2(out)
        out = self.bn2(out)
        out = F.relu(out, inplace=True)

        out = self.conv3(out)
        return self.bn3(out)

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the branch, then apply the last ReLU."""
        out = self.branch(x)
        if self.residual:
            out = out + (x if self.downsample is None else self.downsample(x))
        return F.relu(out, inplace=True)

    def zero_init(self) -> None:
        """Set the scale of the last norm to zero, so that the branch starts at zero."""
        nn.init.zeros_(self.bn3.get_parameter("weight"))


class SEBottleneck(Bottleneck):
    """A bottleneck whose branch ends in squeeze-and-excitation.

    The gate is called ``se``, as in timm's ``seresnet50``.

    Args:
        in_channels: Channels of the input.
        channels: A quarter of the channels of the output.
        *args: Further arguments of :class:`Bottleneck`.
        reduction: Channels of the output, divided by those between the two maps of the gate.
        **kwargs: Further arguments of :class:`Bottleneck`, by name.

    Shape:
        (N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride), rounded up.

    Source:
        Hu, Shen & Sun (2018), figure 3.
    """

    def __init__(
        self, in_channels: int, channels: int, *args: Any, reduction: int = 16, **kwargs: Any
    ):
        super().__init__(in_channels, channels, *args, **kwargs)
        out_channels = channels * self.expansion
        self.se = SqueezeExcitation(out_channels, max(1, out_channels // reduction))

    def branch(self, x: Tensor) -> Tensor:
        """Compute what is added to the shortcut: the gated branch of a bottleneck.

        Args:
            x: the input of the block, (N, in_channels, H, W).

        Returns:
            (N, 4 * channels, H / stride, W / stride), rounded up.
        """
        return self.se(super().branch(x))


def inner_width(channels: int, groups: int, width_per_group: int) -> int:
    """Compute the channels of a bottleneck's 3x3 convolution, all groups together.

    Args:
        channels: A quarter of the channels of the block's output.
        groups: Groups of the 3x3 convolution.
        width_per_group: Channels per group where ``channels`` is 64.

    Returns:
        ``channels * width_per_group / 64 * groups``.

    Raises:
        ValueError: ``groups`` is below 1, or a group would not have a whole number of channels.
    """
    if groups < 1:
        raise ValueError(f"groups is {groups}; it must be at least 1")
    per_group, rest = divmod(channels * width_per_group, 64)
    if rest or per_group < 1:
        raise ValueError(
            f"channels is {channels} and width_per_group is {width_per_group}, so a group would "
            f"have {channels * width_per_group / 64:g} channels; it must be a whole number"
        )
    return per_group * groups
