"""A small transformer whose residual stream can be read after every sublayer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks import FeedForward, SelfAttention, Sublayer
from ..blocks.transformer import linear
from ..norms import LayerNorm

#: torch's name of each tensor of an encoder layer -> ours, in two sublayers.
TORCH_NAMES = {
    "self_attn.in_proj_": "0.branch.in_proj.",
    "self_attn.out_proj.": "0.branch.out_proj.",
    "norm1.": "0.norm.",
    "linear1.": "1.branch.linear1.",
    "linear2.": "1.branch.linear2.",
    "norm2.": "1.norm.",
}


class Transformer(nn.Module):
    """Embeddings, sublayers that write into a stream, and a linear map that reads it.

    A layer is two sublayers, attention and a feed-forward network, so ``blocks`` holds twice as
    many modules as there are layers. ``model.read`` turns the stream into scores at any depth.

    Args:
        tokens: Number of different tokens, read and written.
        length: Largest number of positions.
        width: Size of the stream at each position.
        layers: Number of layers.
        heads: Heads of each attention, a divisor of ``width``.
        hidden: Units of each feed-forward network; None is ``4 * width``.
        order: Where norms stand: ``"pre"``, ``"post"`` or ``"none"``. With ``"pre"`` one more norm
            stands before the map that reads the stream.
        layer_scale: See :class:`resnorm.blocks.Sublayer`.
        rezero: See :class:`resnorm.blocks.Sublayer`.
        causal: Whether positions read only from those before them.

    Raises:
        ValueError: An argument does not fit, see :class:`resnorm.blocks.Sublayer`; or a sequence
            is longer than ``length``.

    Shape:
        (N, length) integers -> (N, length, tokens), the scores.

    Source:
        Vaswani et al. (2017), section 3, the encoder; Xiong et al. (2020), table 1, for the orders.
    """

    def __init__(
        self,
        tokens: int,
        length: int,
        width: int = 32,
        layers: int = 4,
        heads: int = 2,
        *,
        hidden: int | None = None,
        order: str = "pre",
        layer_scale: float | None = None,
        rezero: bool = False,
        causal: bool = False,
    ):
        super().__init__()
        self.token_embedding = nn.Embedding(tokens, width)
        self.position_embedding = nn.Parameter(torch.randn(length, width))
        self.blocks = nn.Sequential()
        for _ in range(layers):
            attention = SelfAttention(width, heads, causal)
            feed_forward = FeedForward(width, hidden or 4 * width)
            for branch in (attention, feed_forward):
                sublayer = Sublayer(branch, width, order, layer_scale=layer_scale, rezero=rezero)
                self.blocks.append(sublayer)
        self.norm = LayerNorm(width) if order == "pre" else nn.Identity()
        self.head = linear(width, tokens)

    def embed(self, x: Tensor) -> Tensor:
        """Begin the stream.

        Args:
            x: (N, length) tokens.

        Returns:
            (N, length, width).

        Raises:
            ValueError: The sequences are too long.
        """
        length, limit = x.shape[1], len(self.position_embedding)
        if length > limit:
            raise ValueError(f"the sequences have {length} positions; this model has {limit}")
        return self.token_embedding(x) + self.position_embedding[:length]

    def read(self, h: Tensor) -> Tensor:
        """Turn the stream into scores, after the last sublayer or earlier ("logit lens").

        Args:
            h: (N, length, width) the stream.

        Returns:
            (N, length, tokens).
        """
        return self.head(self.norm(h))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the scores of each token at each position."""
        h = self.embed(x)  # (N, length) -> (N, length, width)
        h = self.blocks(h)
        return self.read(h)  # -> (N, length, tokens)

    def streams(self, x: Tensor) -> list[Tensor]:
        """Return the stream before the first sublayer and after each one.

        Args:
            x: (N, length) tokens.

        Returns:
            Tensors of shape (N, length, width), one more than there are sublayers.
        """
        states = [self.embed(x)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states


def encoder_layer(layer: nn.TransformerEncoderLayer) -> nn.Sequential:
    """Copy a layer of torch into two sublayers.

    Args:
        layer: with ReLU and ``batch_first=True``; its dropout is left out.

    Returns:
        Attention and feed-forward network as :class:`resnorm.blocks.Sublayer`, with the weights,
        dtype and order of ``layer``.

    Raises:
        ValueError: The layer has another activation, or puts the batch second.
    """
    if not layer.self_attn.batch_first:
        raise ValueError("the layer takes (length, N, width); make it with batch_first=True")
    if layer.activation is not torch.relu and layer.activation is not nn.functional.relu:
        raise ValueError(f"the layer's activation is {layer.activation}; it must be ReLU")
    width, hidden = layer.linear1.in_features, layer.linear1.out_features
    order = "pre" if layer.norm_first else "post"
    branches = (SelfAttention(width, layer.self_attn.num_heads), FeedForward(width, hidden))
    ours = nn.Sequential(
        *(Sublayer(branch, width, order, eps=layer.norm1.eps) for branch in branches)
    )
    ours.to(layer.linear1.weight)
    state = {}
    for name, value in layer.state_dict().items():
        prefix = next(prefix for prefix in TORCH_NAMES if name.startswith(prefix))
        state[TORCH_NAMES[prefix] + name.removeprefix(prefix)] = value
    ours.load_state_dict(state)
    return ours
