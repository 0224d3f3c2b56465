r"""Batch normalization as functions: three ways to write one formula.

For every channel :math:`c`, with the sums running over the batch and all positions
(:math:`m` values a channel; Ioffe & Szegedy 2015, algorithm 1):

.. math::
    \mu = \tfrac1m \sum_i x_i, \qquad
    \sigma^2 = \tfrac1m \sum_i (x_i - \mu)^2, \qquad
    \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
    y_i = \gamma \hat x_i + \beta .

All three return ``(y, mean, var)`` with ``mean`` and ``var`` (biased) of shape ``(C,)``,
detached, for the running statistics. Inputs are ``(N, C)`` or ``(N, C, *positions)``.
Half-precision inputs are normalized in float32 and returned in their own dtype.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def reduced_axes(x: Tensor) -> tuple[int, ...]:
    """Every axis but the channel axis: ``(0,)`` for (N, C), ``(0, 2, 3)`` for (N, C, H, W)."""
    return (0, *range(2, x.ndim))


def per_channel(v: Tensor, x: Tensor) -> Tensor:
    """View ``v`` of shape (C,) so that it broadcasts over ``x``: (C,) -> (1, C, 1, 1)."""
    return v.view(1, -1, *[1] * (x.ndim - 2))


def at_least_float32(x: Tensor) -> Tensor:
    """Widen half precision: a sum of 10^5 float16 values overflows or drowns in rounding."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def scale_and_shift(x_hat: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    """``gamma * x_hat + beta`` per channel; either may be None (``affine=False``)."""
    if gamma is not None:
        x_hat = x_hat * per_channel(gamma, x_hat)
    if beta is not None:
        x_hat = x_hat + per_channel(beta, x_hat)
    return x_hat


def batch_norm_naive(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """The formula, a line a step; autograd keeps every intermediate for the backward pass."""
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
    """The formula with ``torch.var_mean`` (one reduction); what ``torch.compile`` likes best."""
    axes = reduced_axes(x)
    z = at_least_float32(x)
    var, mean = torch.var_mean(z, axes, correction=0, keepdim=True)
    x_hat = (z - mean) * torch.rsqrt(var + eps)
    y = scale_and_shift(x_hat, gamma, beta)
    return y.to(x.dtype), mean.detach().flatten(), var.detach().flatten()


class BatchNormFunction(torch.autograd.Function):
    r"""Forward and closed-form backward side by side.

    With :math:`r = 1/\sqrt{\sigma^2+\epsilon}` and :math:`\overline{\,\cdot\,}` the mean over
    the :math:`m` values of a channel (derived in chapter 2.2, last line):

    .. math::
        \frac{\partial L}{\partial x_i} = \gamma r\,\Bigl(
            dy_i - \overline{dy} - \hat x_i\,\overline{dy\,\hat x}\Bigr), \qquad
        \frac{\partial L}{\partial\gamma} = \sum_i dy_i \hat x_i, \qquad
        \frac{\partial L}{\partial\beta} = \sum_i dy_i .

    It keeps the input and two numbers a channel, as ``F.batch_norm`` does, and not x_hat:
    x_hat is one subtraction and one product away. Differentiable twice.
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        z, axes = at_least_float32(x), reduced_axes(x)
        mean = z.mean(axes)
        centered = z - per_channel(mean, z)
        # The rounding error of a large mean is itself a mean: take it off as well (the corrected
        # two-pass idea of Chan, Golub & LeVeque 1983, applied to the mean)
        residue = centered.mean(axes)
        mean, centered = mean + residue, centered.sub_(per_channel(residue, z))
        squares = centered * centered
        var = squares.mean(axes)
        rstd = torch.rsqrt(var + eps)

        scale = rstd if gamma is None else gamma * rstd
        shift = torch.zeros_like(scale) if beta is None else beta.to(scale.dtype)
        # y = shift + scale * centered, into memory that is no longer needed: on a CPU, fresh
        # memory costs more than the arithmetic
        y = torch.addcmul(per_channel(shift, z), centered, per_channel(scale, z), out=squares)

        ctx.save_for_backward(x, gamma, mean, rstd)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        ctx.set_materialize_grads(False)  # no zero-filled gradients for mean and var
        return y.to(x.dtype), mean, var

    @staticmethod
    def backward(ctx, dy, _dmean, _dvar):
        if dy is None:
            return None, None, None, None
        x, gamma, mean, rstd = ctx.saved_tensors
        z, dz, axes = at_least_float32(x), at_least_float32(dy), reduced_axes(x)
        twice = torch.is_grad_enabled()  # create_graph=True: someone will differentiate this
        if twice:  # then mean and rstd are functions of x again, not constants
            var, mean = torch.var_mean(z, axes, correction=0)
            rstd = torch.rsqrt(var + ctx.eps)
        m = x.numel() // x.shape[1]

        centered = z - per_channel(mean, z)
        products = dz * centered
        dbeta = dz.sum(axes)
        dgamma = products.sum(axes) * rstd

        # dx = scale * (dy - dbeta / m - x_hat * dgamma / m), gathered per channel so that each
        # large tensor is read once, and written into memory that is no longer needed
        scale = rstd if gamma is None else gamma * rstd
        slope, shift = -scale * rstd * dgamma / m, -scale * dbeta / m
        dx = torch.addcmul(
            per_channel(shift, z), centered, per_channel(slope, z), out=None if twice else centered
        )
        dx = torch.addcmul(dx, dz, per_channel(scale, z), out=None if twice else products)

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
    """:class:`BatchNormFunction` with the signature of its two siblings."""
    return BatchNormFunction.apply(x, gamma, beta, eps)


@lru_cache(maxsize=1)
def _compiled():
    return torch.compile(batch_norm_var_mean)


def batch_norm_compiled(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`batch_norm_var_mean` through ``torch.compile``: the first call takes seconds."""
    return _compiled()(x, gamma, beta, eps)


def batch_norm_inference(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize with given statistics: an affine map per channel, nothing depends on the batch.

    Args:
        x: (N, C, *positions).
        mean, var: (C,), constants.
    """
    z = at_least_float32(x)
    x_hat = (z - per_channel(mean, z)) * per_channel(torch.rsqrt(var + eps), z)
    return scale_and_shift(x_hat, gamma, beta).to(x.dtype)


#: The forms of the training-mode computation, by name.
FORMS = {
    "naive": batch_norm_naive,
    "var_mean": batch_norm_var_mean,
    "closed": batch_norm_closed,
    "compiled": batch_norm_compiled,
}
