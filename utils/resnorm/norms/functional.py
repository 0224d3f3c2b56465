r"""Batch normalization as functions: several ways to write one formula.

For every channel :math:`c`, with the sums running over the batch and all positions
(:math:`m` values per channel; Ioffe & Szegedy 2015, algorithm 1):

.. math::
    \mu = \tfrac1m \sum_i x_i, \qquad
    \sigma^2 = \tfrac1m \sum_i (x_i - \mu)^2, \qquad
    \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
    y_i = \gamma \hat x_i + \beta .

Each form in :data:`FORMS` takes ``(x, gamma, beta, eps)`` and returns ``(y, mean, var)``. The last
two are detached, of shape ``(C,)``, and serve the running statistics; the variance is the biased
one. Inputs are ``(N, C)`` or ``(N, C, *positions)``. Inputs in half precision are normalized in
float32 and returned in their own dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .channels import at_least_float32, per_channel, reduced_axes, scale_and_shift
from .differentiation import is_batched, needs_plain_operations

#: (x, gamma, beta, eps) -> (y, mean, var)
Form: TypeAlias = Callable[..., tuple[Tensor, Tensor, Tensor]]


def batch_norm_naive(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the formula step by step; autograd keeps every intermediate for the backward pass.

    Args:
        x: (N, C, *positions) input.
        gamma: (C,) scale, or None.
        beta: (C,) shift, or None.
        eps: added to the variance, inside the square root.

    Returns:
        ``(y, mean, var)``: the output, shaped as ``x``, and the detached statistics, each (C,).
    """
    axes = reduced_axes(x)
    z = at_least_float32(x)
    mean = z.mean(axes, keepdim=True)
    centered = z - mean  # two passes: E[x^2] - E[x]^2 would lose all digits for a large mean
    var = (centered * centered).mean(axes, keepdim=True)
    x_hat = centered / torch.sqrt(var + eps)
    y = scale_and_shift(x_hat, gamma, beta)
    return y.to(x.dtype), mean.detach().flatten(), var.detach().flatten()


def batch_norm_var_mean(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the formula with one reduction, ``torch.var_mean``, which ``torch.compile`` fuses.

    Args:
        x: (N, C, *positions) input.
        gamma: (C,) scale, or None.
        beta: (C,) shift, or None.
        eps: added to the variance, inside the square root.

    Returns:
        ``(y, mean, var)``: the output, shaped as ``x``, and the detached statistics, each (C,).
    """
    axes = reduced_axes(x)
    z = at_least_float32(x)
    var, mean = torch.var_mean(z, axes, correction=0, keepdim=True)
    x_hat = (z - mean) * torch.rsqrt(var + eps)
    y = scale_and_shift(x_hat, gamma, beta)
    return y.to(x.dtype), mean.detach().flatten(), var.detach().flatten()


class BatchNormFunction(torch.autograd.Function):
    r"""Batch norm with its closed-form backward pass beside the forward pass.

    With :math:`r = 1/\sqrt{\sigma^2+\epsilon}` and :math:`\overline{\,\cdot\,}` the mean over
    the :math:`m` values of a channel (derived in chapter 2.2, last line):

    .. math::
        \frac{\partial L}{\partial x_i} = \gamma r\,\Bigl(
            dy_i - \overline{dy} - \hat x_i\,\overline{dy\,\hat x}\Bigr), \qquad
        \frac{\partial L}{\partial\gamma} = \sum_i dy_i \hat x_i, \qquad
        \frac{\partial L}{\partial\beta} = \sum_i dy_i .

    Like ``F.batch_norm`` it keeps the input and two numbers per channel for the backward pass, and
    recomputes :math:`\hat x` from them with one subtraction and one product. It can be
    differentiated twice.

    Shape:
        - x: (N, C, *positions); gamma and beta: (C,) or None.
        - Output: ``(y, mean, var)`` of shapes (N, C, *positions), (C,) and (C,).

    Source:
        Ioffe & Szegedy (2015), algorithm 1 and the gradients of section 3.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize ``x`` and keep what the backward pass needs."""
        z, axes = at_least_float32(x), reduced_axes(x)
        mean = z.mean(axes)
        centered = z - per_channel(mean, z)
        # The rounding error of a large mean is itself a mean, so we subtract it as well. (This is
        # the corrected two-pass idea of Chan, Golub & LeVeque 1983, applied to the mean.)
        residue = centered.mean(axes)
        mean, centered = mean + residue, centered.sub_(per_channel(residue, z))
        squares = centered * centered
        var = squares.mean(axes)
        rstd = torch.rsqrt(var + eps)

        scale = rstd if gamma is None else gamma * rstd
        shift = torch.zeros_like(scale) if beta is None else beta.to(scale.dtype)
        # y = shift + scale * centered, written into memory that is no longer needed, because on a
        # CPU fresh memory costs more than the arithmetic.
        y = torch.addcmul(per_channel(shift, z), centered, per_channel(scale, z), out=squares)

        ctx.save_for_backward(x, gamma, mean, rstd)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        ctx.set_materialize_grads(False)  # no zero-filled gradients for mean and var
        return y.to(x.dtype), mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``x``, ``gamma`` and ``beta``, and None for ``eps``."""
        dy = grads[0]  # mean and var are not differentiable
        if dy is None:
            return None, None, None, None
        x, gamma, mean, rstd = ctx.saved_tensors
        z, dz, axes = at_least_float32(x), at_least_float32(dy), reduced_axes(x)
        twice = torch.is_grad_enabled()  # with create_graph=True this will be differentiated again
        if twice:  # then mean and rstd are functions of x, not constants
            var, mean = torch.var_mean(z, axes, correction=0)
            rstd = torch.rsqrt(var + ctx.eps)
        fresh = twice or is_batched(dy)  # then nothing is written into memory of before
        m = x.numel() // x.shape[1]

        centered = z - per_channel(mean, z)
        products = dz * centered
        dbeta = dz.sum(axes)
        dgamma = products.sum(axes) * rstd

        # dx = scale * (dy - dbeta / m - x_hat * dgamma / m), gathered per channel so that two
        # operations on large tensors suffice, written into memory that is no longer needed.
        scale = rstd if gamma is None else gamma * rstd
        slope, shift = -scale * rstd * dgamma / m, -scale * dbeta / m
        dx = torch.addcmul(
            per_channel(shift, z), centered, per_channel(slope, z), out=None if fresh else centered
        )
        dx = torch.addcmul(dx, dz, per_channel(scale, z), out=None if fresh else products)

        _, needs_gamma, needs_beta, _ = ctx.needs_input_grad
        return (
            dx.to(x.dtype),
            dgamma.to(gamma.dtype) if needs_gamma else None,
            dbeta if needs_beta else None,
            None,
        )


def batch_norm_closed(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Call :class:`BatchNormFunction` with the signature of the other forms.

    Under ``torch.func`` and in forward mode, which it does not serve, its place is taken by
    :func:`batch_norm_var_mean`, whose operations torch differentiates one by one.

    Args:
        x: (N, C, *positions) input.
        gamma: (C,) scale, or None.
        beta: (C,) shift, or None.
        eps: added to the variance, inside the square root.

    Returns:
        ``(y, mean, var)``: the output, shaped as ``x``, and the detached statistics, each (C,).
    """
    if needs_plain_operations(x, gamma, beta):
        return batch_norm_var_mean(x, gamma, beta, eps)
    return BatchNormFunction.apply(x, gamma, beta, eps)


@lru_cache(maxsize=1)
def compiled_var_mean() -> Form:
    """Return :func:`batch_norm_var_mean` through ``torch.compile``, the same object every time."""
    return torch.compile(batch_norm_var_mean)


def batch_norm_compiled(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Run :func:`batch_norm_var_mean` through ``torch.compile``; the first call takes seconds.

    Args:
        x: (N, C, *positions) input.
        gamma: (C,) scale, or None.
        beta: (C,) shift, or None.
        eps: added to the variance, inside the square root.

    Returns:
        ``(y, mean, var)``: the output, shaped as ``x``, and the detached statistics, each (C,).
    """
    return compiled_var_mean()(x, gamma, beta, eps)


def batch_norm_inference(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize with given statistics: an affine map per channel that no batch influences.

    Args:
        x: (N, C, *positions) input.
        mean: (C,) constants, usually the running mean.
        var: (C,) constants, usually the running variance.
        gamma: (C,) scale, or None.
        beta: (C,) shift, or None.
        eps: added to the variance, inside the square root.

    Returns:
        The output, of the shape and dtype of ``x``.
    """
    z = at_least_float32(x)
    x_hat = (z - per_channel(mean, z)) * per_channel(torch.rsqrt(var + eps), z)
    return scale_and_shift(x_hat, gamma, beta).to(x.dtype)


#: The forms of the training-mode computation, by name.
FORMS: dict[str, Form] = {
    "naive": batch_norm_naive,
    "var_mean": batch_norm_var_mean,
    "closed": batch_norm_closed,
    "compiled": batch_norm_compiled,
}
