"""Batch normalization in NumPy alone: every step of both passes on one screen."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating]
#: What the backward pass needs: x_hat, gamma / sqrt(var + eps), and the reduced axes.
Cache: TypeAlias = tuple[Array, Array, tuple[int, ...]]


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalize a batch by its own statistics, as in training mode.

    Args:
        x: (N, C) or (N, C, *positions) array of floats.
        gamma: (C,) scale.
        beta: (C,) shift.
        eps: added to the variance, inside the square root.

    Returns:
        ``(y, cache)``: the output, shaped as ``x``, and what the backward pass needs.

    Source:
        Ioffe & Szegedy (2015), algorithm 1.
    """
    axes = (0, *range(2, x.ndim))
    scale, shift = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (gamma, beta))
    mean = x.mean(axis=axes, keepdims=True)
    centered = x - mean
    var = (centered**2).mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    x_hat = centered * rstd
    return scale * x_hat + shift, (x_hat, scale * rstd, axes)


def batch_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Compute all three gradients by the closed form.

    Args:
        dy: gradient of the loss with respect to the output, shaped as the input.
        cache: second result of :func:`batch_norm_forward`.

    Returns:
        ``(dx, dgamma, dbeta)``: gradients shaped as the input, (C,) and (C,).

    Source:
        Ioffe & Szegedy (2015), section 3, collected into one line in chapter 2.2.
    """
    x_hat, scale, axes = cache
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * x_hat).sum(axis=axes)
    dx = scale * (
        dy - dy.mean(axis=axes, keepdims=True) - x_hat * (dy * x_hat).mean(axis=axes, keepdims=True)
    )
    return dx, dgamma, dbeta
