"""Batch normalization in NumPy alone: every step of both passes on one screen."""

from __future__ import annotations

import numpy as np


def batch_norm_forward(x, gamma, beta, eps=1e-5):
    """Forward pass in training mode.

    Args:
        x: (N, C) or (N, C, *positions) array of floats.
        gamma, beta: (C,) scale and shift.

    Returns:
        ``(y, cache)``: the output, shaped as ``x``, and what the backward pass needs.

    Source: Ioffe & Szegedy (2015), algorithm 1.
    """
    axes = (0, *range(2, x.ndim))
    gamma_, beta_ = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (gamma, beta))
    mean = x.mean(axis=axes, keepdims=True)
    centered = x - mean
    var = (centered**2).mean(axis=axes, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    x_hat = centered * rstd
    return gamma_ * x_hat + beta_, (x_hat, gamma_ * rstd, axes)


def batch_norm_backward(dy, cache):
    """Closed-form backward pass.

    Args:
        dy: gradient of the loss with respect to the output.
        cache: second result of :func:`batch_norm_forward`.

    Returns:
        ``(dx, dgamma, dbeta)``.

    Source: Ioffe & Szegedy (2015), section 3, collected into one line in chapter 2.2.
    """
    x_hat, scale, axes = cache
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * x_hat).sum(axis=axes)
    dx = scale * (
        dy - dy.mean(axis=axes, keepdims=True) - x_hat * (dy * x_hat).mean(axis=axes, keepdims=True)
    )
    return dx, dgamma, dbeta
