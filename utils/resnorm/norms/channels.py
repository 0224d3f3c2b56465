"""Channels of a tensor: which axes are reduced, and how a vector of C numbers meets a batch."""

from __future__ import annotations

import torch
from torch import Tensor


def reduced_axes(x: Tensor) -> tuple[int, ...]:
    """Return every axis but the channel axis, which is axis 1.

    Args:
        x: (N, C) or (N, C, *positions).

    Returns:
        ``(0,)`` for (N, C), ``(0, 2, 3)`` for (N, C, H, W).
    """
    return (0, *range(2, x.ndim))


def per_channel(v: Tensor, x: Tensor) -> Tensor:
    """View ``v`` so that it broadcasts over the batch and the positions of ``x``.

    Args:
        v: (C,) one number per channel.
        x: (N, C, *positions); only its number of dimensions matters.

    Returns:
        A view of ``v``, of shape (1, C, 1, 1) for an image batch.
    """
    return v.view(1, -1, *[1] * (x.ndim - 2))


def at_least_float32(x: Tensor) -> Tensor:
    """Widen half precision, in which a sum of 10^5 values overflows or drowns in rounding.

    Args:
        x: any shape.

    Returns:
        ``x`` in float32 if it was float16 or bfloat16; otherwise ``x`` itself.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def scale_and_shift(x_hat: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    """Compute ``gamma * x_hat + beta`` per channel.

    Args:
        x_hat: (N, C, *positions) standardized values.
        gamma: (C,) scale; None leaves the scale as it is.
        beta: (C,) shift; None adds nothing.

    Returns:
        A tensor of the shape of ``x_hat``.
    """
    if gamma is not None:
        x_hat = x_hat * per_channel(gamma, x_hat)
    if beta is not None:
        x_hat = x_hat + per_channel(beta, x_hat)
    return x_hat
