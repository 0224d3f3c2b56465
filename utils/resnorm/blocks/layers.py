"""The layers that blocks are made of: two kinds of convolution, and any norm."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

#: Makes a normalization layer from a number of channels.
Norm = Callable[[int], nn.Module]


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution without bias, because a norm stands before or after it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step between positions; 1 keeps the resolution and 2 halves it.
        groups: Number of groups of channels that are convolved separately.

    Returns:
        A layer that maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride),
        rounded up.
    """
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Make a 1x1 convolution without bias: a linear map of the channels at each position.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Step between positions; 2 reads every second row and column.

    Returns:
        A layer that maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride),
        rounded up.
    """
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


def check_norm(norm: Norm) -> None:
    """Check that ``norm`` can make layers, so that a mistake is reported where it is made.

    Args:
        norm: What the caller gave as a norm.

    Raises:
        ValueError: ``norm`` is a layer instead of a class, or cannot be called.
    """
    if isinstance(norm, nn.Module) or not callable(norm):
        raise ValueError(
            f"norm is {norm!r}; it must make a layer from a number of channels. Give a class such "
            "as nn.BatchNorm2d, resnorm.norms.BatchNorm2d, InstanceNorm2d or BatchRenorm2d, or a "
            "function such as lambda channels: norms.GroupNorm(8, channels). nn.Identity leaves "
            "norms out."
        )
