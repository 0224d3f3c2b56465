"""Chapter 1.4: do the gradients of deep networks look like noise?

Balduzzi et al. (2017): the gradient dy/dx of a deep plain network, seen along a line of inputs,
resembles white noise, and skips keep more of its structure. There are two measurements at
initialization, each over many draws of the weights: the autocorrelation of dy/dx along a line
(figures 1 and 2 of the paper), and the mean cosine between gradients at independent inputs
(theorems 1 and 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..models import MLP
from ..probes import autocorrelation, input_gradients, mean_pairwise_cosine

#: The points of the line, as in the paper: (256, 1).
LINE = torch.linspace(-2, 2, 256).unsqueeze(1)

#: The standard deviation of the biases. Without biases a ReLU network scales with its input, so
#: that it is linear on each half of the line: see the chapter's section on biases.
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
    """Compute dy/dx of one randomly initialized network with one input, along a line.

    Args:
        kind: the kind of network, see :class:`resnorm.models.MLP`.
        depth: the number of hidden layers.
        seed: the seed of the weights.
        width: the number of units per layer.
        init: the initialization of the weights, see :class:`resnorm.models.MLP`.
        bias_std: the standard deviation of the biases.

    Returns:
        The gradient at the points of ``LINE``, (256,).
    """
    g = torch.Generator().manual_seed(seed)
    return input_gradients(MLP(1, width, depth, kind, init, bias_std, generator=g), LINE).squeeze(1)


def autocorrelations(
    kind: str, depth: int, seeds: Sequence[int] = range(20), max_lag: int = 30, **kwargs: Any
) -> Tensor:
    """Compute the autocorrelation of dy/dx along the line, over draws of the weights.

    Args:
        kind: the kind of network, see :class:`resnorm.models.MLP`.
        depth: the number of hidden layers.
        seeds: the seeds of the weights; each makes one draw.
        max_lag: the largest lag, in steps of 4/255.
        **kwargs: further arguments of :func:`gradient_along_line`.

    Returns:
        The autocorrelation at lags 0 to ``max_lag``, (seeds, max_lag + 1).
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
    """Compute the mean cosine between dy/dx at independent standard normal inputs.

    The weights have He's initialization, and there are no biases.

    Args:
        kind: the kind of network, see :class:`resnorm.models.MLP`.
        depths: the numbers of hidden layers.
        seeds: the seeds of weights and inputs.
        width: the number of units per layer, and of components of an input.
        inputs: the number of inputs.

    Returns:
        The mean cosines, (seeds, depths).
    """
    result = torch.empty(len(seeds), len(depths))
    for row, seed in zip(result, seeds, strict=True):
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
    """Count layer by layer how often units fire, and how often they fire for two inputs at once.

    Args:
        kind: the kind of network, see :class:`resnorm.models.MLP`.
        depth: the number of hidden layers.
        seed: the seed of weights and inputs.
        width: the number of units per layer, and of components of an input.
        inputs: the number of standard normal inputs.

    Returns:
        Two tensors of shape (depth,), float64: the fraction of pairs (unit, input) with a positive
        pre-activation, and the fraction of pairs (unit, two different inputs) with two.
    """
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(inputs, width, generator=g)
    on = _firing_patterns(MLP(width, width, depth, kind, generator=g), x).double()
    alone = on.mean((1, 2))
    # A unit that fires for n inputs fires for n^2 - n ordered pairs of different ones.
    both = on.sum(1).square().sum(1) - on.sum((1, 2))
    return alone, both / (width * inputs * (inputs - 1))


@torch.no_grad()
def _firing_patterns(model: MLP, x: Tensor) -> Tensor:
    """Where pre-activations are positive: (N, width) -> (depth, N, width)."""
    patterns = []
    h = model.embed(x)
    if not model.residual:
        patterns.append(model.norm(h) > 0)
        h = model.norm(h).relu()
    for layer in model.hidden:
        assert isinstance(layer, nn.Linear)
        before_relu = model.norm(h) if model.residual else model.norm(layer(h))
        patterns.append(before_relu > 0)
        h = model.hidden_layer(layer, h)
    return torch.stack(patterns)


def fitted_decay(depths: Sequence[int], values: Tensor) -> float:
    """Fit the factor r per layer of values that decay from 1 at depth 0.

    It is the least-squares fit of log value = depth * log r.

    Args:
        depths: the depths of the values.
        values: positive values, (depths,).

    Returns:
        The factor per layer.

    Raises:
        ValueError: if a value is not positive, so that it has no logarithm.
    """
    values = values.double()
    if not (values > 0).all():
        raise ValueError(f"a decay is fitted to positive values, not {values.tolist()}")
    d = torch.as_tensor(depths, dtype=torch.float64)
    return math.exp(((d * values.log()).sum() / d.square().sum()).item())
