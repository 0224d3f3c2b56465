"""Blocks with pre-activation: norm and ReLU stand before each convolution, none after the sum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Norm, conv1x1, conv3x3


class PreActBasicBlock(nn.Module):
    r"""Norm, ReLU and 3x3 convolution, twice, beside a shortcut: :math:`y = S(x) + F(x)`.

    Where the shape stays, the shortcut S is the identity. Where it changes, S is a 1x1
    convolution. In the paper it reads the activated input, which the branch F reads as well.
    With ``raw_projection`` it reads x itself, so that S and F share no layer and can be taken
    apart, as the chapters on lesions and paths do.

    Args:
        in_channels: Channels of the input.
        channels: Channels of both convolutions and of the output.
        stride: Stride of the first convolution; 2 halves the resolution.
        norm: Makes a norm from a number of channels.
        residual: Whether to add the shortcut; False makes a plain block, y = F(x). Its projection
            is made but never used, so that plain and residual networks start from equal weights.
        survival: Probability in (0, 1] that the branch is used in training (stochastic depth); in
            evaluation the branch is multiplied by it.
        raw_projection: Whether the projection reads x instead of the activated x.
        he_init: Whether to initialize both 3x3 convolutions as He et al. (2015), by fan-in. A
            network that initializes all its convolutions at the end leaves it off.

    Raises:
        ValueError: ``survival`` lies outside (0, 1], or is below 1 in a plain block, which has no
            shortcut to fall back on.

    Shape:
        (N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up.

    Source:
        He et al. (2016b), figure 4e; Huang et al. (2016), section 3, for stochastic depth.
    """

    #: Channels of the output, divided by ``channels``.
    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        norm: Norm = nn.BatchNorm2d,
        *,
        residual: bool = True,
        survival: float = 1.0,
        raw_projection: bool = False,
        he_init: bool = False,
    ):
        super().__init__()
        if not 0 < survival <= 1:
            raise ValueError(f"survival={survival} is not a probability in (0, 1]")
        if survival < 1 and not residual:
            raise ValueError(
                f"survival={survival} and residual=False contradict each other: a plain block "
                "cannot skip its branch; use survival=1"
            )
        self.residual, self.survival, self.raw_projection = residual, survival, raw_projection
        self.bn1 = norm(in_channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn2 = norm(channels)
        self.conv2 = conv3x3(channels, channels)
        if he_init:
            nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")
            nn.init.kaiming_normal_(self.conv2.weight, nonlinearity="relu")
        same = stride == 1 and in_channels == channels
        self.projection = None if same else conv1x1(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the branch; stochastic depth may leave the branch out."""
        if self.training and self.survival < 1 and torch.rand(()) >= self.survival:
            return self.shortcut(x)  # one draw per minibatch, as in the paper

        activated = self.activate(x)
        out = self.convolve(activated)
        if not self.residual:
            return out
        if self.survival < 1 and not self.training:
            out = self.survival * out
        return self.shortcut(x, activated) + out

    def activate(self, x: Tensor) -> Tensor:
        """Apply the first norm and ReLU, which branch and projection share.

        Args:
            x: (N, in_channels, H, W) input of the block.

        Returns:
            (N, in_channels, H, W), non-negative.
        """
        out = self.bn1(x)
        return F.relu(out)  # not in place: without a norm this is x itself

    def convolve(self, activated: Tensor) -> Tensor:
        """Apply the rest of the branch.

        Args:
            activated: (N, in_channels, H, W) from :meth:`activate`.

        Returns:
            (N, channels, H / stride, W / stride).
        """
        out = self.conv1(activated)

        out = self.bn2(out)
        out = F.relu(out, inplace=True)
        return self.conv2(out)

    def branch(self, x: Tensor) -> Tensor:
        """Compute F(x), the branch alone.

        Args:
            x: (N, in_channels, H, W) input of the block.

        Returns:
            (N, channels, H / stride, W / stride).
        """
        return self.convolve(self.activate(x))

    def shortcut(self, x: Tensor, activated: Tensor | None = None) -> Tensor:
        """Compute S(x): the input itself, or its projection where the shape changes.

        Args:
            x: (N, in_channels, H, W) input of the block.
            activated: (N, in_channels, H, W) from :meth:`activate`; computed here if it is needed
                and not given.

        Returns:
            (N, channels, H / stride, W / stride).
        """
        if self.projection is None:
            return x
        if self.raw_projection:
            return self.projection(x)
        return self.projection(self.activate(x) if activated is None else activated)


class PreActBottleneck(nn.Module):
    """Norm, ReLU and convolution, three times: 1x1, 3x3, 1x1.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input; where it
    stays, the shortcut is the input itself.

    Args:
        in_channels: Channels of the input.
        channels: A quarter of the channels of the output.
        stride: Stride of the 3x3 convolution; 2 halves the resolution.
        norm: Makes a norm from a number of channels.

    Shape:
        (N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride), rounded up.

    Source:
        He et al. (2016b), figure 4e, for the order.
    """

    #: Channels of the output, divided by ``channels``.
    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, norm: Norm = nn.BatchNorm2d
    ):
        super().__init__()
        self.bn1 = norm(in_channels)
        self.conv1 = conv1x1(in_channels, channels)
        self.bn2 = norm(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.bn3 = norm(channels)
        self.conv3 = conv1x1(channels, channels * self.expansion)
        same = stride == 1 and in_channels == channels * self.expansion
        self.projection = None if same else conv1x1(in_channels, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the branch."""
        out = self.bn1(x)
        out = F.relu(out)  # not in place: without a norm this is x itself
        shortcut = x if self.projection is None else self.projection(out)
        out = self.conv1(out)

        out = self.bn2(out)
        out = F.relu(out, inplace=True)
        out = self.conv2(out)

        out = self.bn3(out)
        out = F.relu(out, inplace=True)
        out = self.conv3(out)
        return shortcut + out
