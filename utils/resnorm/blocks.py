r"""Residual blocks: :math:`y = x + s\,F(x)`, in the orders that chapter 3.1 compares.

Every block has a ``branch`` (F), a ``shortcut`` (the identity, or a projection where the shape
changes) and a ``scale`` (s), so that probes can take it apart.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .norms import BatchNorm1d

#: What a branch of one hidden order does, left to right.
ORDERS = {
    "linear_relu": "x + relu(W x): the branch can only add, as its output is never negative",
    "relu_linear": "x + W relu(x): the branch can add and subtract",
    "batch_norm_first": "x + W relu(BN(x)): the branch's variance is fixed, the stream's grows (De & Smith 2020)",
    "full_preactivation": "x + W2 relu(BN(W1 relu(BN(x)))): two layers (He et al. 2016b)",
    "post_activation": "relu(x + BN(W2 relu(BN(W1 x)))): the original; the last ReLU gates the skip (He et al. 2016a)",
}


class ResidualBlock(nn.Module):
    r"""A fully connected residual block: :math:`y = x + s\,F(x)`.

    Weights start as He et al. (2015): variance 2 / width.

    Args:
        width: units; the block keeps the size.
        order: of the operations in the branch, a key of :data:`ORDERS`.
        scale: s, a constant; 1/sqrt(2) on branch and stream is ``normalize=True`` instead.
        normalize: divide the sum by sqrt(1 + s^2), which keeps its variance.
        skip_init: multiply the branch by a learned scalar that starts at 0 (De & Smith 2020).
        generator: of the initial weights.

    Raises:
        ValueError: an unknown order; options that contradict each other.

    Source: He et al. (2016a, 2016b).
    """

    def __init__(
        self,
        width: int,
        order: str = "relu_linear",
        *,
        scale: float = 1.0,
        normalize: bool = False,
        skip_init: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; it must be one of {', '.join(ORDERS)}")
        if normalize and skip_init:
            raise ValueError(
                "normalize and skip_init contradict each other: with a branch at 0 the sum would shrink"
            )
        self.order, self.scale, self.normalize = order, scale, normalize
        self.skip_scale = nn.Parameter(torch.zeros(())) if skip_init else None
        self.shortcut = nn.Identity()

        def linear(bias: bool = True) -> nn.Linear:
            layer = nn.Linear(width, width, bias)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / width), generator=generator)
            if bias:
                nn.init.zeros_(layer.bias)
            return layer

        def norm() -> BatchNorm1d:
            return BatchNorm1d(width)

        if order == "linear_relu":
            layers = [linear(), nn.ReLU()]
        elif order == "relu_linear":
            layers = [nn.ReLU(), linear()]
        elif order == "batch_norm_first":
            layers = [norm(), nn.ReLU(), linear()]
        elif order == "full_preactivation":
            layers = [norm(), nn.ReLU(), linear(bias=False), norm(), nn.ReLU(), linear()]
        else:  # a bias before a norm is redundant
            layers = [linear(bias=False), norm(), nn.ReLU(), linear(bias=False), norm()]
        self.branch = nn.Sequential(*layers)
        self.activation = nn.ReLU() if order == "post_activation" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        branch = self.scale * self.branch(x)
        if self.skip_scale is not None:
            branch = self.skip_scale * branch
        y = self.shortcut(x) + branch
        if self.normalize:
            y = y / math.sqrt(1 + self.scale**2)
        return self.activation(y)

    def extra_repr(self) -> str:
        return f"order={self.order!r}, scale={self.scale:g}, normalize={self.normalize}"


class ConvBlock(nn.Module):
    r"""A pre-activation convolutional block, residual or plain.

    :math:`F` is BN, ReLU, 3x3 convolution, twice (He et al. 2016b, figure 4e). With
    ``residual=False`` the block is F alone: the same layers without the shortcut.

    Args:
        in_channels, out_channels: where they differ, the shortcut is a 1x1 convolution.
        stride: of the first convolution; 2 halves the resolution.
        residual: add the shortcut.
        survival: probability that the branch is used in training (stochastic depth, Huang et al.
            2016); in evaluation the branch is scaled by it.

    Raises:
        ValueError: ``survival`` outside (0, 1], or below 1 without a shortcut to fall back on.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        residual: bool = True,
        survival: float = 1.0,
    ):
        super().__init__()
        if not 0 < survival <= 1 or (survival < 1 and not residual):
            raise ValueError(
                f"survival={survival}, residual={residual}: a probability in (0, 1], 1 in a plain block"
            )
        self.residual, self.survival = residual, survival
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),  # equals norms.BatchNorm2d (chapter 2.1) and is faster
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        for layer in self.branch:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        same = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        if not self.residual:
            return self.branch(x)
        if self.survival == 1:
            return self.shortcut(x) + self.branch(x)
        if self.training:
            # one coin a minibatch, as in the paper
            return (
                self.shortcut(x) + self.branch(x)
                if torch.rand(()) < self.survival
                else self.shortcut(x)
            )
        return self.shortcut(x) + self.survival * self.branch(x)
