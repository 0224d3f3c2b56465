"""Chapter 3.1: how fast does the stream of a residual network grow at initialization?

The second moment of the stream after each block is measured over draws of the weights, next to what
the derivations of the chapter predict for each order of the block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..blocks import ResidualBlock
from .choice import choose

#: name -> arguments of :class:`resnorm.blocks.ResidualBlock`.
SCHEMES: dict[str, dict[str, Any]] = {
    "linear-ReLU": {"order": "linear_relu"},
    "ReLU-linear": {"order": "relu_linear"},
    "ReLU-linear, divided by √2": {"order": "relu_linear", "normalize": True},
    "batch norm first": {"order": "batch_norm_first"},
}


def predicted(scheme: str, blocks: int) -> Tensor:
    r"""Predict the second moment of the stream for wide layers, starting at 1.

    With ReLU-linear it doubles in each block, divided by √2 it stays, and with batch norm first it
    grows by 1 per block. The branch of linear-ReLU is non-negative, so the stream gains a mean m,
    and

    .. math::
        q_{k+1} = 2 q_k + 2 m_k \sqrt{q_k/\pi}, \qquad m_{k+1} = m_k + \sqrt{q_k/\pi} .

    Args:
        scheme: a key of ``SCHEMES``.
        blocks: the number of blocks.

    Returns:
        The second moment after 0 to ``blocks`` blocks, (blocks + 1,), float64.

    Raises:
        ValueError: if the scheme is unknown.
    """
    choose("scheme", scheme, SCHEMES)
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
    """Measure the second moment of the stream, over draws of the weights.

    Args:
        scheme: a key of ``SCHEMES``.
        blocks: the number of blocks.
        seeds: the seeds of weights and of the standard normal inputs; each makes one draw.
        width: the number of units of the stream.
        inputs: the number of inputs in the batch; batch norms are in training mode.

    Returns:
        The second moment after 0 to ``blocks`` blocks, (seeds, blocks + 1), float64.

    Raises:
        ValueError: if the scheme is unknown.
    """
    options = choose("scheme", scheme, SCHEMES)
    result = torch.empty(len(seeds), blocks + 1, dtype=torch.float64)
    for row, seed in zip(result, seeds, strict=True):
        g = torch.Generator().manual_seed(seed)
        h = torch.randn(inputs, width, generator=g)
        row[0] = h.square().mean()
        for k in range(blocks):  # One block at a time: a deep network need not fit into memory.
            h = ResidualBlock(width, generator=g, **options)(h)
            row[k + 1] = h.double().square().mean()
    return result


def growth_factor(moments: Tensor, start: int = 0) -> float:
    """Fit the factor by which the second moment grows in each block.

    It is the exponential of the least-squares slope of the mean log second moment against depth.

    Args:
        moments: second moments, (draws, blocks + 1), as from :func:`second_moments`.
        start: the first block of the fit.

    Returns:
        The factor per block.
    """
    return math.exp(_slope(moments.log().mean(0)[start:]))


def growth_per_block(moments: Tensor) -> float:
    """Fit the amount by which the second moment grows in each block.

    It is the least-squares slope of the mean second moment against depth.

    Args:
        moments: second moments, (draws, blocks + 1), as from :func:`second_moments`.

    Returns:
        The increment per block.
    """
    return _slope(moments.mean(0))


def _slope(y: Tensor) -> float:
    k = torch.arange(len(y), dtype=torch.float64)
    k = k - k.mean()
    return ((k * y).sum() / k.square().sum()).item()
