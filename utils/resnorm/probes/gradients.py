"""Gradients with respect to inputs, and how alike they are from one input to the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..restoring import buffers_and_gradients_restored
from .hooks import widened


def input_gradients(model: nn.Module, x: Tensor) -> Tensor:
    """Compute dy/dx of each example, for a model with one output.

    Examples must not influence each other, or the sum over them mixes their gradients. So put
    batch norm in evaluation mode, or detach its statistics.

    Args:
        model: maps (n, d) to (n,) or (n, 1); left as it was found.
        x: (n, d) inputs.

    Returns:
        (n, d) gradients, one row per example.

    Raises:
        ValueError: the model gives more than one output per example.
    """
    x = x.detach().requires_grad_()
    with buffers_and_gradients_restored(model):
        y = model(x)
        if y.numel() != x.shape[0]:
            raise ValueError(
                f"the model gives {tuple(y.shape)} for {x.shape[0]} inputs; "
                "it must give one number each"
            )
        (gradient,) = torch.autograd.grad(y.sum(), x)
    return gradient


def autocorrelation(series: Tensor, max_lag: int) -> Tensor:
    """Compute the autocorrelation of a series at lags 0 to ``max_lag``.

    The sum over pairs at each lag is divided by the sum of squares, both of the centered series.
    This is the biased estimator.

    Args:
        series: (n,) values at equally spaced points; half precision is computed in float32.
        max_lag: largest lag in points, less than n.

    Returns:
        (max_lag + 1,), the first entry 1.

    Raises:
        ValueError: ``max_lag`` is out of range, or the series is constant and so has none.

    Source:
        Balduzzi et al. (2017), who plot it for gradients along a line of inputs.
    """
    n = series.shape[0]
    if series.ndim != 1 or not 0 <= max_lag < n:
        raise ValueError(
            "autocorrelation needs a series (n,) and max_lag < n, "
            f"not {tuple(series.shape)} and {max_lag}"
        )
    centered = widened(series)
    centered = centered - centered.mean()
    energy = centered.square().sum()
    if energy == 0:
        raise ValueError("the series is constant: its autocorrelation is 0/0")
    return torch.stack(
        [(centered[: n - lag] * centered[lag:]).sum() / energy for lag in range(max_lag + 1)]
    )


def mean_pairwise_cosine(vectors: Tensor) -> float:
    """Compute the mean cosine between all pairs of different rows.

    Args:
        vectors: (n, d), at least two rows; half precision is computed in float32.

    Returns:
        The mean, from -1 to 1.
    """
    unit = nn.functional.normalize(widened(vectors), dim=1)
    n = len(unit)
    gram = unit @ unit.T
    return ((gram.sum() - gram.diagonal().sum()) / (n * (n - 1))).item()
