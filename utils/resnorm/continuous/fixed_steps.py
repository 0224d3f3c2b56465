"""Explicit Runge-Kutta methods with steps of equal length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

#: The right-hand side f(h, t); t is a number.
RightHandSide = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Tableau:
    """The coefficients of an explicit Runge-Kutta method.

    Stage i evaluates f at time ``t + nodes[i] * step`` and at ``h`` plus the step times the
    earlier stages, weighted by ``stages[i]``. The step adds all stages, weighted by ``weights``.

    Attributes:
        nodes: fraction of the step at which each stage evaluates f.
        stages: for each stage, weights of the stages before it.
        weights: of the stages in the result.
        order: the error at a fixed time falls as this power of the step.
    """

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int


#: Method -> coefficients (Hairer, Norsett & Wanner 1993, section II.1).
METHODS = {
    "euler": Tableau((0.0,), ((),), (1.0,), 1),
    "heun": Tableau((0.0, 1.0), ((), (1.0,)), (0.5, 0.5), 2),
    "rk4": Tableau(
        (0.0, 0.5, 0.5, 1.0),
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
        4,
    ),
}


def combine(h: Tensor, step: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Compute ``h + step * sum(weight * slope)``, without the terms of weight zero.

    Args:
        h: any shape.
        step: length of the step, which may be negative.
        weights: one per slope.
        slopes: tensors of the shape of ``h``.

    Returns:
        A tensor of the shape of ``h``.
    """
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            h = h + (step * weight) * slope
    return h


def slopes_of(f: RightHandSide, h: Tensor, t: float, step: float, tableau: Tableau) -> list[Tensor]:
    """Evaluate all stages of one step.

    Args:
        f: the right-hand side.
        h: state at the beginning of the step.
        t: time at the beginning of the step.
        step: length of the step.
        tableau: the method.

    Returns:
        One slope per stage.
    """
    slopes: list[Tensor] = []
    for node, weights in zip(tableau.nodes, tableau.stages, strict=True):
        slopes.append(f(combine(h, step, weights, slopes), t + node * step))
    return slopes


def solve(
    f: RightHandSide,
    h: Tensor,
    t0: float = 0.0,
    t1: float = 1.0,
    *,
    steps: int,
    method: str = "euler",
    after_step: Callable[[float, Tensor], None] | None = None,
) -> Tensor:
    """Solve dh/dt = f(h, t) from ``t0`` to ``t1`` with steps of equal length.

    Args:
        f: the right-hand side; it takes the state and the time and returns a tensor of the state's
            shape.
        h: state at ``t0``, any shape.
        t0: time at the beginning.
        t1: time at the end; it may lie before ``t0``.
        steps: number of steps.
        method: ``"euler"`` (order 1), ``"heun"`` (2) or ``"rk4"`` (4), a key of :data:`METHODS`.
        after_step: called with the time and the state after each step.

    Returns:
        The state at ``t1``.

    Raises:
        ValueError: the method is unknown, ``steps`` is not positive, or ``f`` returns another
            shape.

    Source:
        Hairer, Norsett & Wanner (1993), section II.1.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps is {steps!r}; it must be a positive int")
    tableau, step = METHODS[method], (t1 - t0) / steps
    for i in range(steps):
        slopes = slopes_of(f, h, t0 + i * step, step, tableau)
        check_shape(h, slopes[0])
        h = combine(h, step, tableau.weights, slopes)
        if after_step is not None:
            after_step(t0 + (i + 1) * step, h)
    return h


def check_shape(h: Tensor, slope: Tensor) -> None:
    """Check that f returns what can be added to the state.

    Args:
        h: the state.
        slope: what f returned.

    Raises:
        ValueError: the shapes differ.
    """
    if h.shape != slope.shape:
        raise ValueError(
            f"f returned the shape {tuple(slope.shape)} for a state of shape {tuple(h.shape)}; "
            "dh/dt must have the shape of h"
        )
