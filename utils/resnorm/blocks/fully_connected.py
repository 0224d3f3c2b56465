r"""Fully connected residual blocks in the orders that chapter 3.1 compares.

A block has a ``branch`` (F), a ``shortcut`` (here always the identity) and a ``scale`` (s), so that
probes can take it apart: :math:`y = x + s\,F(x)`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..norms import BatchNorm1d

#: What a block of each order computes, from left to right.
ORDERS = {
    "linear_relu": "x + relu(W x): the branch can only add, as its output is never negative",
    "relu_linear": "x + W relu(x): the branch can add and subtract",
    "batch_norm_first": (
        "x + W relu(BN(x)): the branch's variance is fixed, the stream's grows (De & Smith 2020)"
    ),
    "full_preactivation": ("x + W2 relu(BN(W1 relu(BN(x)))): two layers (He et al. 2016b)"),
    "post_activation": (
        "relu(x + BN(W2 relu(BN(W1 x)))): the original; the last ReLU gates the skip "
        "(He et al. 2016a)"
    ),
}


class ResidualBlock(nn.Module):
    r"""A fully connected residual block: :math:`y = x + s\,F(x)`.

    Weights start as He et al. (2015) propose, with variance 2 / width.

    Args:
        width: Number of units in and out.
        order: Order of the operations in the branch, a key of :data:`ORDERS`.
        scale: The constant s that multiplies the branch.
        normalize: Whether to divide the sum by sqrt(1 + s^2), which keeps its variance; with
            ``scale=1`` that multiplies branch and stream by 1/sqrt(2).
        skip_init: Whether to multiply the branch by a learned scalar that starts at 0 (De & Smith
            2020).
        generator: Source of the initial weights; None is torch's global generator.

    Raises:
        ValueError: The order is unknown, or ``normalize`` and ``skip_init`` are both set.

    Shape:
        (N, width) -> (N, width).

    Source:
        He et al. (2016a), figure 2; He et al. (2016b), figure 4.
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
                "normalize and skip_init contradict each other, because the sum would shrink while "
                "the branch is 0; choose one of them"
            )
        self.order, self.scale, self.normalize = order, scale, normalize
        self.skip_scale = nn.Parameter(torch.zeros(())) if skip_init else None
        self.shortcut = nn.Identity()
        self.branch = make_branch(width, order, generator)
        self.activation = nn.ReLU() if order == "post_activation" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add the scaled branch to the shortcut."""
        branch = self.scale * self.branch(x)
        if self.skip_scale is not None:
            branch = self.skip_scale * branch
        y = self.shortcut(x) + branch
        if self.normalize:
            y = y / math.sqrt(1 + self.scale**2)
        return self.activation(y)

    def extra_repr(self) -> str:
        """Describe the block's settings where the model is printed."""
        return f"order={self.order!r}, scale={self.scale:g}, normalize={self.normalize}"


def make_branch(width: int, order: str, generator: torch.Generator | None = None) -> nn.Sequential:
    """Make the branch F of a fully connected block.

    Args:
        width: Number of units in and out.
        order: Order of the operations, a key of :data:`ORDERS`.
        generator: Source of the initial weights; None is torch's global generator.

    Returns:
        A module that maps (N, width) to (N, width).
    """

    def linear(bias: bool = True) -> nn.Linear:
        layer = nn.Linear(width, width, bias)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / width), generator=generator)
        if bias:
            nn.init.zeros_(layer.bias)
        return layer

    def norm() -> BatchNorm1d:
        return BatchNorm1d(width)

    layers: list[nn.Module]
    if order == "linear_relu":
        layers = [linear(), nn.ReLU()]
    elif order == "relu_linear":
        layers = [nn.ReLU(), linear()]
    elif order == "batch_norm_first":
        layers = [norm(), nn.ReLU(), linear()]
    elif order == "full_preactivation":  # a bias before a norm would be redundant
        layers = [norm(), nn.ReLU(), linear(bias=False), norm(), nn.ReLU(), linear()]
    else:
        layers = [linear(bias=False), norm(), nn.ReLU(), linear(bias=False), norm()]
    return nn.Sequential(*layers)
