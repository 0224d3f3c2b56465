r"""The sublayers of a transformer: residual blocks whose branch is attention or a small MLP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..norms import LayerNorm

#: Where a sublayer has its norm.
ORDERS = {
    "pre": "x + F(norm(x)): the stream itself is never normalized",
    "post": "norm(x + F(x)): the original, which normalizes the stream after each addition",
    "none": "x + F(x): no norm, for branches that start at 0",
}


def linear(in_features: int, out_features: int) -> nn.Linear:
    """Make a linear layer with Xavier's normal initialization and biases of zero.

    Args:
        in_features: Size of an input.
        out_features: Size of an output.

    Returns:
        The layer.

    Source:
        Glorot & Bengio (2010), equation 12, for the variance; as Xiong et al. (2020) assume.
    """
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class SelfAttention(nn.Module):
    r"""Multi-head self-attention: each position reads from all positions.

    Each head computes :math:`\mathrm{softmax}(Q K^\top / \sqrt d)\,V` of its share of the width.

    Args:
        width: Size of the vector at each position.
        heads: Number of heads, a divisor of ``width``.
        causal: Whether a position reads only from itself and from those before it.

    Raises:
        ValueError: ``heads`` does not divide ``width``.

    Shape:
        (N, length, width) -> (N, length, width).

    Source:
        Vaswani et al. (2017), section 3.2.
    """

    def __init__(self, width: int, heads: int, causal: bool = False):
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"heads is {heads} and width {width}; heads must divide the width")
        self.heads, self.causal = heads, causal
        self.in_proj = linear(width, 3 * width)  # queries, keys and values
        self.out_proj = linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Let every position read from the others."""
        n, length, width = x.shape
        parts = self.in_proj(x).view(n, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (N, heads, length, width / heads)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out_proj(y.transpose(1, 2).reshape(n, length, width))

    def extra_repr(self) -> str:
        """Describe the settings where the model is printed."""
        return f"heads={self.heads}, causal={self.causal}"


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them, at each position.

    Args:
        width: Size of the vector at each position.
        hidden: Number of units between the layers.

    Shape:
        (N, length, width) -> (N, length, width).

    Source:
        Vaswani et al. (2017), section 3.3, equation 2.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.linear1 = linear(width, hidden)
        self.linear2 = linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every position by itself."""
        return self.linear2(torch.relu(self.linear1(x)))


class Sublayer(nn.Module):
    r"""A residual block around attention or a feed-forward network.

    Args:
        branch: F, a module that keeps the shape.
        width: Size of the vector at each position.
        order: Where the norm stands, a key of :data:`ORDERS`.
        layer_scale: None, or the number at which a learned factor per feature starts, which
            multiplies the branch (LayerScale).
        rezero: Whether the branch is multiplied by one learned number that starts at 0.
        eps: Added to the variance in the norm.

    Raises:
        ValueError: The order is unknown, or ``layer_scale`` and ``rezero`` are both given.

    Shape:
        (N, length, width) -> (N, length, width).

    Source:
        Xiong et al. (2020), table 1, for the orders; Touvron et al. (2021), section 2, for
        LayerScale; Bachlechner et al. (2021), section 3, for ReZero.
    """

    def __init__(
        self,
        branch: nn.Module,
        width: int,
        order: str = "pre",
        *,
        layer_scale: float | None = None,
        rezero: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}; it must be one of {', '.join(ORDERS)}")
        if layer_scale is not None and rezero:
            raise ValueError(
                f"layer_scale={layer_scale} and rezero=True both scale the branch; choose one"
            )
        self.order = order
        self.branch = branch
        self.norm = nn.Identity() if order == "none" else LayerNorm(width, eps)
        self.scale: nn.Parameter | None = None
        if layer_scale is not None:
            self.scale = nn.Parameter(torch.full((width,), float(layer_scale)))
        elif rezero:
            self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        out = self.branch(x if self.order == "post" else self.norm(x))
        if self.scale is not None:
            out = self.scale * out
        y = x + out
        return self.norm(y) if self.order == "post" else y

    def extra_repr(self) -> str:
        """Describe the order where the model is printed."""
        return f"order={self.order!r}"
