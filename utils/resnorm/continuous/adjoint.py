"""The adjoint method: gradients of a solution without its intermediate states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .adaptive import solve_adaptively


def solve_with_adjoint(
    f: nn.Module,
    h: Tensor,
    t0: float = 0.0,
    t1: float = 1.0,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    max_steps: int = 1000,
) -> Tensor:
    r"""Solve dh/dt = f(h, t) so that the backward pass solves a second equation backward in time.

    Only the last state is kept. With the adjoint :math:`a(t) = \partial L / \partial h(t)`, the
    backward pass integrates from ``t1`` to ``t0``

    .. math::
        \frac{dh}{dt} = f, \qquad
        \frac{da}{dt} = -\frac{\partial f}{\partial h}^\top a, \qquad
        \frac{dg}{dt} = -\frac{\partial f}{\partial \theta}^\top a ,

    so the gradients are right up to the tolerances, and not to rounding.

    Args:
        f: a module that maps state and time to a tensor of the state's shape; gradients go to
            those of its parameters that require them.
        h: state at ``t0``, any shape.
        t0: time at the beginning.
        t1: time at the end.
        rtol: relative tolerance per step, of both passes.
        atol: absolute tolerance per step, of both passes.
        max_steps: largest number of steps, of each pass.

    Returns:
        The state at ``t1``. It can be differentiated once.

    Raises:
        TypeError: ``f`` is not a module, so that its parameters are not known.
        StepLimitError: a pass did not reach its end.

    Source:
        Chen et al. (2018), section 2 and algorithm 1.
    """
    if not isinstance(f, nn.Module):
        raise TypeError(
            f"f is a {type(f).__name__}; it must be a torch.nn.Module, because the adjoint method "
            "computes the gradients of its parameters"
        )
    parameters = [p for p in f.parameters() if p.requires_grad]
    options = {"rtol": rtol, "atol": atol, "max_steps": max_steps}
    return _Adjoint.apply(f, h, t0, t1, options, *parameters)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        f: nn.Module,
        h: Tensor,
        t0: float,
        t1: float,
        options: dict[str, Any],
        *parameters: Tensor,
    ) -> Tensor:
        end = solve_adaptively(f, h, t0, t1, **options).state
        ctx.save_for_backward(end, *parameters)
        ctx.f, ctx.span, ctx.options = f, (t0, t1), options
        return end.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        end, *parameters = ctx.saved_tensors
        shapes = [end.shape, end.shape, *(p.shape for p in parameters)]
        sizes = [shape.numel() for shape in shapes]

        def augmented(packed: Tensor, t: float) -> Tensor:
            """Slopes of state, adjoint and gradients, all in one vector."""
            state, a = (part.view(end.shape) for part in packed[: sum(sizes[:2])].split(sizes[:2]))
            with torch.enable_grad():
                state = state.detach().requires_grad_()
                slope = ctx.f(state, t)
                products = torch.autograd.grad(
                    slope, (state, *parameters), a, allow_unused=True, materialize_grads=True
                )
            parts = [slope.detach(), *(-product for product in products)]
            return torch.cat([part.reshape(-1) for part in parts])

        zeros = end.new_zeros(sum(sizes[2:]))
        packed = torch.cat([end.reshape(-1), grads[0].reshape(-1), zeros])
        t0, t1 = ctx.span
        with torch.no_grad():
            packed = solve_adaptively(augmented, packed, t1, t0, **ctx.options).state
        _, a, *gradients = (
            part.view(shape) for part, shape in zip(packed.split(sizes), shapes, strict=True)
        )
        return None, a, None, None, None, *gradients
