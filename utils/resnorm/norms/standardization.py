"""Standardize groups of values: the one function behind layer, RMS, group and instance norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .channels import at_least_float32
from .differentiation import needs_plain_operations


class StandardizeFunction(torch.autograd.Function):
    r"""Standardize each row of a matrix, with the closed-form backward pass.

    With :math:`r = 1/\sqrt{\sigma^2 + \epsilon}` and bars for means over a row:

    .. math::
        \hat x = r\,(x - \mu), \qquad
        dx = r\,\bigl(dy - \overline{dy} - \hat x\,\overline{dy\,\hat x}\bigr) .

    Without centering (RMS norm) :math:`\mu` is 0, :math:`\sigma^2` is the mean square, and the term
    :math:`\overline{dy}` drops out, because it is the gradient through the mean. The function can
    be differentiated twice.

    Shape:
        - x: (groups, m), each row a group of m values.
        - Output: as the input.

    Source:
        Ba, Kiros & Hinton (2016), equation 3; without centering Zhang & Sennrich (2019),
        equation 4.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, center: bool) -> Tensor:
        """Standardize the rows of ``x`` and keep what the backward pass needs."""
        mean, rstd = _row_statistics(x, eps, center)
        ctx.save_for_backward(x, mean, rstd)
        ctx.eps, ctx.center = eps, center
        return (x - mean) * rstd

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of ``x``, and None for ``eps`` and ``center``."""
        (dy,) = grads
        x, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # differentiated again, so the statistics depend on x
            mean, rstd = _row_statistics(x, ctx.eps, ctx.center)
        x_hat = (x - mean) * rstd
        dx = dy - x_hat * (dy * x_hat).mean(1, keepdim=True)
        if ctx.center:
            dx = dx - dy.mean(1, keepdim=True)
        return dx * rstd, None, None


def _row_statistics(x: Tensor, eps: float, center: bool) -> tuple[Tensor, Tensor]:
    """Return mean (or 0) and 1/sqrt(variance + eps) of each row: (groups, m) -> (groups, 1)."""
    mean = x.mean(1, keepdim=True) if center else x.new_zeros(())
    var = (x - mean).square().mean(1, keepdim=True)
    return mean, torch.rsqrt(var + eps)


def standardize(x: Tensor, groups: int, eps: float, center: bool = True) -> Tensor:
    """Standardize groups of consecutive values, with one reshape there and one back.

    Args:
        x: any shape whose number of values is a multiple of ``groups``.
        groups: how many groups of consecutive values ``x`` consists of.
        eps: added to each group's variance.
        center: subtract each group's mean; without it, divide by the root mean square.

    Returns:
        The standardized values, of the shape and dtype of ``x``.
    """
    if x.numel() == 0:
        return x.clone()
    rows = at_least_float32(x).reshape(groups, -1)
    if needs_plain_operations(x):
        mean, rstd = _row_statistics(rows, eps, center)
        x_hat = (rows - mean) * rstd
    else:
        x_hat = StandardizeFunction.apply(rows, eps, center)
    return x_hat.reshape(x.shape).to(x.dtype)
