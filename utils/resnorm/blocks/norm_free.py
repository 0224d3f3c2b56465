"""Residual blocks without norms, which keep the variance of their signal by their weights alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..norms import ScaledWeightStandardizedConv2d

#: Factor for ReLU, which :func:`resnorm.norms.variance_gain` computes for any activation.
RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))


def scaled_conv(
    in_channels: int, channels: int, size: int, stride: int = 1, gamma: float = RELU_GAIN
) -> ScaledWeightStandardizedConv2d:
    """Make a padded convolution with scaled weight standardization and a bias.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        size: Side of the filters, odd.
        stride: Step between positions.
        gamma: Factor of the activation before it; 1 for none.

    Returns:
        A layer that maps (N, in_channels, H, W) to (N, channels, H / stride, W / stride), rounded
        up.
    """
    return ScaledWeightStandardizedConv2d(
        in_channels, channels, size, stride, padding=size // 2, gamma=gamma
    )


class NormFreeBlock(nn.Module):
    r"""A pre-activation block without norms: :math:`y = S(x) + \alpha\,F(x / \beta)`.

    F is ReLU and convolution, twice, with scaled weight standardization, so that an input of
    variance 1 per channel leaves it with variance about 1. The stream's variance then grows by
    :math:`\alpha^2` per block. Where the shape changes, the shortcut S is a 1x1 convolution of the
    activated input, which brings the variance back to 1.

    Args:
        in_channels: Channels of the input.
        channels: Channels of both convolutions and of the output.
        stride: Stride of the first convolution; 2 halves the resolution.
        alpha: Factor of the branch.
        beta: Standard deviation that the input has by design, see :attr:`output_std`.
        skip_init: Whether to multiply the branch by a learned scalar that starts at 0.

    Attributes:
        output_std: Standard deviation that the output has by design, without ``skip_init``.

    Raises:
        ValueError: ``alpha`` or ``beta`` is not positive.

    Shape:
        (N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up.

    Source:
        Brock et al. (2021a), section 3; De & Smith (2020) for ``skip_init``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        *,
        alpha: float = 0.2,
        beta: float = 1.0,
        skip_init: bool = False,
    ):
        super().__init__()
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not value > 0:
                raise ValueError(f"{name} is {value!r}; it must be a positive number")
        self.alpha, self.beta = alpha, beta
        self.conv1 = scaled_conv(in_channels, channels, 3, stride)
        self.conv2 = scaled_conv(channels, channels, 3)
        same = stride == 1 and in_channels == channels
        self.projection = None if same else scaled_conv(in_channels, channels, 1, stride)
        self.skip_scale = nn.Parameter(torch.zeros(())) if skip_init else None
        self.output_std = ((beta**2 if same else 1.0) + alpha**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled branch to the shortcut."""
        activated = torch.relu(x / self.beta)  # of a signal of variance 1
        shortcut = x if self.projection is None else self.projection(activated)
        out = self.conv2(torch.relu(self.conv1(activated)))
        if self.skip_scale is not None:
            out = self.skip_scale * out
        return shortcut + self.alpha * out

    def extra_repr(self) -> str:
        """Describe the block's settings where the model is printed."""
        return f"alpha={self.alpha:g}, beta={self.beta:.3f}"
