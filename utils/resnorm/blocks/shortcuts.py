"""Shortcuts: how the input of a block reaches the sum where the block changes its shape."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Norm, conv1x1


class SubsampleAndPad(nn.Module):
    """Shortcut A: keep every stride-th position and fill the new channels with zeros.

    It has no parameters.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, at least ``in_channels``.
        stride: Step between the positions that are kept.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        He et al. (2016a), section 3.3, option A.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.new_channels, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample the positions, then pad the channels."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels))


def make_shortcut(
    kind: str, in_channels: int, out_channels: int, stride: int, norm: Norm
) -> nn.Module | None:
    """Make the ``downsample`` of a block: None, which means the identity, where the shape stays.

    Args:
        kind: ``"A"`` subsamples and pads with zeros; ``"B"`` is a 1x1 convolution with a norm.
        in_channels: Channels of the block's input.
        out_channels: Channels of the block's output.
        stride: Factor by which the block reduces the resolution.
        norm: Makes the norm of shortcut B from a number of channels.

    Returns:
        A module that maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride),
        or None.

    Source:
        He et al. (2016a), section 3.3.
    """
    if stride == 1 and in_channels == out_channels:
        return None
    if kind == "A":
        return SubsampleAndPad(in_channels, out_channels, stride)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), norm(out_channels))
