"""Do the gradients of deep networks look like noise? (chapter 1.3)

Balduzzi et al. (2017): the gradient dy/dx of a deep plain network, seen along a line of inputs,
resembles white noise; skips keep more of its structure. Two measurements at initialisation, each
over many draws of the weights: the autocorrelation of dy/dx along a line (figures 1 and 2 there),
and the mean cosine between gradients at independent inputs (theorems 1 and 2). Plain data out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models import MLP
from ..probes import autocorrelation, input_gradients, mean_pairwise_cosine

#: Points of the line, as in the paper.
LINE = torch.linspace(-2, 2, 256).unsqueeze(1)

#: Standard deviation of the biases. Without them the network is linear on each half of the line, as a ReLU
#: network without biases scales with its input: see the section on biases in the chapter.
BIAS_STD = 0.3


def gradient_along_line(
    kind: str,
    depth: int,
    seed: int = 0,
    *,
    width: int = 200,
    init: str | float = "he",
    bias_std: float = BIAS_STD,
) -> Tensor:
    """dy/dx of one randomly initialised network of one input, at the points of ``LINE``: (256,).

    Args:
        kind, depth, width, init, bias_std: of :class:`resnorm.models.MLP`.
        seed: of the weights.
    """
    g = torch.Generator().manual_seed(seed)
    return input_gradients(MLP(1, width, depth, kind, init, bias_std, generator=g), LINE).squeeze(1)


def autocorrelations(
    kind: str, depth: int, seeds: Sequence[int] = range(20), max_lag: int = 30, **kwargs
) -> Tensor:
    """Autocorrelation of dy/dx along the line, one row a draw: (seeds, max_lag + 1).

    Args:
        kind, depth, kwargs: of :func:`gradient_along_line`.
        seeds: one draw each.
        max_lag: in steps of 4/255.
    """
    return torch.stack(
        [autocorrelation(gradient_along_line(kind, depth, s, **kwargs), max_lag) for s in seeds]
    )


def cosines(
    kind: str,
    depths: Sequence[int],
    seeds: Sequence[int] = range(6),
    *,
    width: int = 400,
    inputs: int = 64,
) -> Tensor:
    """Mean cosine between dy/dx at independent Gaussian inputs, He initialisation, no biases.

    Args:
        kind, width: of :class:`resnorm.models.MLP`.
        depths: one column each.
        seeds: of weights and inputs, one row each.
        inputs: number of inputs, and their dimension is ``width``.

    Returns:
        (seeds, depths).
    """
    result = torch.empty(len(seeds), len(depths))
    for row, seed in zip(result, seeds):
        g = torch.Generator().manual_seed(seed)
        x = torch.randn(inputs, width, generator=g)
        for i, depth in enumerate(depths):
            row[i] = mean_pairwise_cosine(
                input_gradients(MLP(width, width, depth, kind, generator=g), x)
            )
    return result


def firing(
    kind: str, depth: int, seed: int = 0, *, width: int = 400, inputs: int = 64
) -> tuple[Tensor, Tensor]:
    """How often units fire, and how often for two inputs at once, layer by layer.

    Args:
        kind, depth, width: of :class:`resnorm.models.MLP`.
        seed, inputs: as in :func:`cosines`.

    Returns:
        ``(firing, co_firing)`` of shape (depth,): the fraction of (unit, input) with a positive
        pre-activation, and of (unit, pair of different inputs) with two.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(inputs, width, generator=g)
    model = MLP(width, width, depth, kind, generator=g)
    patterns = []
    with torch.no_grad():
        h = model.embed(x)
        if not model.residual:
            patterns.append(model.norm(h) > 0)
            h = model.norm(h).relu()
        for layer in model.hidden:
            before_relu = model.norm(h) if model.residual else model.norm(layer(h))
            patterns.append(before_relu > 0)
            h = model.layer(layer, h)
    on = torch.stack(patterns).double()  # (depth, inputs, width)
    alone = on.mean((1, 2))
    both = on.sum(1).square().sum(1) - on.sum(
        (1, 2)
    )  # ordered pairs of different inputs, summed over units
    return alone, both / (width * inputs * (inputs - 1))


def fitted_decay(depths: Sequence[int], values: Tensor) -> float:
    """The factor a layer, r, of the least-squares fit log value = depth * log r (value 1 at depth 0).

    Args:
        depths: of the values.
        values: positive, (depths,).

    Raises:
        ValueError: a value that is not positive, which has no logarithm.
    """
    values = values.double()
    if not (values > 0).all():
        raise ValueError(f"a decay is fitted to positive values, not {values.tolist()}")
    d = torch.as_tensor(depths, dtype=torch.float64)
    return math.exp(((d * values.log()).sum() / d.square().sum()).item())
