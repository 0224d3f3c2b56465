"""How fast does the stream of a residual network grow at initialization? (chapter 3.1)

Second moments of the stream after each block, measured over draws of the weights, beside what
the derivations of the chapter predict for each order of the block. Plain data out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..blocks import ResidualBlock

#: name -> arguments of :class:`resnorm.blocks.ResidualBlock`.
SCHEMES: dict[str, dict] = {
    "linear-ReLU": {"order": "linear_relu"},
    "ReLU-linear": {"order": "relu_linear"},
    "ReLU-linear, divided by √2": {"order": "relu_linear", "normalize": True},
    "batch norm first": {"order": "batch_norm_first"},
}


def predicted(scheme: str, blocks: int) -> Tensor:
    r"""Second moment of the stream after 0 to ``blocks`` blocks, wide layers, starting at 1: (blocks + 1,).

    ReLU-linear doubles, divided by √2 it stays, with batch norm first it grows by 1 a block. For
    linear-ReLU, whose branch is never negative, the stream gains a mean m, and

    .. math::
        q_{k+1} = 2 q_k + 2 m_k \sqrt{q_k/\pi}, \qquad m_{k+1} = m_k + \sqrt{q_k/\pi} .

    Args:
        scheme: a key of :data:`SCHEMES`.
        blocks: how many.

    Raises:
        ValueError: an unknown scheme.
    """
    _check(scheme)
    k = torch.arange(blocks + 1, dtype=torch.float64)
    if scheme == "ReLU-linear":
        return 2**k
    if scheme == "ReLU-linear, divided by √2":
        return torch.ones_like(k)
    if scheme == "batch norm first":
        return 1 + k
    q, m, moments = 1.0, 0.0, [1.0]
    for _ in range(blocks):
        q, m = 2 * q + 2 * m * math.sqrt(q / math.pi), m + math.sqrt(q / math.pi)
        moments.append(q)
    return torch.tensor(moments, dtype=torch.float64)


@torch.no_grad()
def second_moments(
    scheme: str,
    blocks: int = 50,
    seeds: Sequence[int] = range(20),
    *,
    width: int = 256,
    inputs: int = 64,
) -> Tensor:
    """Second moment of the stream after 0 to ``blocks`` blocks, one row a draw: (seeds, blocks + 1).

    Args:
        scheme: a key of :data:`SCHEMES`.
        blocks: how many.
        seeds: of weights and of the standard normal inputs.
        width: of the stream.
        inputs: in a batch; batch norms are in training mode.

    Raises:
        ValueError: an unknown scheme.
    """
    _check(scheme)
    result = torch.empty(len(seeds), blocks + 1, dtype=torch.float64)
    for row, seed in zip(result, seeds):
        g = torch.Generator().manual_seed(seed)
        h = torch.randn(inputs, width, generator=g)
        row[0] = h.square().mean()
        for k in range(blocks):  # one block at a time: a deep network need not fit in memory
            h = ResidualBlock(width, generator=g, **SCHEMES[scheme])(h)
            row[k + 1] = h.double().square().mean()
    return result


def growth_factor(moments: Tensor, start: int = 0) -> float:
    """Factor a block: the slope of the mean log second moment against depth, exponentiated.

    Args:
        moments: (draws, blocks + 1), of :func:`second_moments`.
        start: the first block of the fit.
    """
    return math.exp(_slope(moments.log().mean(0)[start:]))


def growth_per_block(moments: Tensor) -> float:
    """Increment a block: the slope of the mean second moment against depth."""
    return _slope(moments.mean(0))


def _slope(y: Tensor) -> float:
    k = torch.arange(len(y), dtype=torch.float64)
    k = k - k.mean()
    return ((k * y).sum() / k.square().sum()).item()


def _check(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"scheme is {scheme!r}; it must be one of {', '.join(SCHEMES)}")
