"""A Runge-Kutta method that chooses its own steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .fixed_steps import RightHandSide, Tableau, check_shape, combine, slopes_of

#: Dormand & Prince's fifth-order method. Its last stage is the first one of the next step.
DORMAND_PRINCE = Tableau(
    (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1),
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0),
    5,
)
#: Weights of the embedded fourth-order method, which the error estimate compares with.
FOURTH_ORDER = (5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
ERROR_WEIGHTS = tuple(a - b for a, b in zip(DORMAND_PRINCE.weights, FOURTH_ORDER, strict=True))

#: The next step aims at this fraction of the largest step that the estimate allows.
SAFETY = 0.9
#: A step changes by these factors at most.
SHRINK, GROW = 0.2, 5.0


class StepLimitError(RuntimeError):
    """The solver did not reach the end within its number of steps, or with steps of any length."""


@dataclass(frozen=True)
class AdaptiveSolution:
    """What the adaptive solver found.

    Attributes:
        state: the state at the end.
        times: the beginning, and the end of each accepted step.
        states: the states at these times.
        evaluations: how often f was evaluated, rejected steps included.
        rejected: number of rejected steps.
    """

    state: Tensor
    times: tuple[float, ...]
    states: tuple[Tensor, ...]
    evaluations: int
    rejected: int


def solve_adaptively(
    f: RightHandSide,
    h: Tensor,
    t0: float = 0.0,
    t1: float = 1.0,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    max_steps: int = 1000,
) -> AdaptiveSolution:
    """Solve dh/dt = f(h, t) with steps as long as the tolerances allow.

    Each step is computed by methods of fifth and of fourth order. Their difference, in units of
    ``atol + rtol * |h|`` and as root mean square over the state, must be at most 1; otherwise the
    step is repeated with a shorter one.

    Args:
        f: the right-hand side, as for :func:`resnorm.continuous.solve`.
        h: state at ``t0``, any shape.
        t0: time at the beginning.
        t1: time at the end; it may lie before ``t0``.
        rtol: relative tolerance per step.
        atol: absolute tolerance per step.
        max_steps: largest number of steps, accepted and rejected ones together.

    Returns:
        The state at the end, and the way there. Gradients flow through ``state`` and ``states``,
        but not through the choice of the steps.

    Raises:
        ValueError: a tolerance is negative, both are zero, or ``max_steps`` is not positive; ``f``
            returns another shape.
        StepLimitError: the end was not reached in ``max_steps`` steps, or the step became too
            short for the precision, as it does where the solution runs to infinity.

    Source:
        Dormand & Prince (1980); Hairer, Norsett & Wanner (1993), section II.4, for the control of
        the step.
    """
    if not (rtol >= 0 and atol >= 0 and rtol + atol > 0):
        raise ValueError(f"rtol={rtol!r} and atol={atol!r} must be non-negative, and one positive")
    if not isinstance(max_steps, int) or max_steps < 1:
        raise ValueError(f"max_steps is {max_steps!r}; it must be a positive int")
    if t1 == t0:
        return AdaptiveSolution(h, (t0,), (h,), 0, 0)
    t, step = t0, _first_step(f, h, t0, t1, rtol, atol)
    times, states, evaluations, rejected = [t0], [h], 2, 0
    first: Tensor | None = None  # slope at the beginning of the step
    while t != t1:
        if len(times) - 1 + rejected >= max_steps or abs(step) <= 16 * math.ulp(max(abs(t), 1e-12)):
            raise StepLimitError(_advice(t0, t, t1, step, len(times) - 1, rejected, max_steps))
        last = abs(step) >= abs(t1 - t)
        step = t1 - t if last else step
        slopes = _slopes(f, h, t, step, first)
        evaluations += len(slopes) - (first is not None)
        proposal = combine(h, step, DORMAND_PRINCE.weights, slopes)
        error = _error(h, proposal, step, slopes, rtol, atol)
        if error <= 1:
            t = t1 if last else t + step
            h, first = proposal, slopes[-1]
            times.append(t)
            states.append(h)
        else:  # also where the error is not a number
            first, rejected = slopes[0], rejected + 1
        step *= _factor(error)
    return AdaptiveSolution(h, tuple(times), tuple(states), evaluations, rejected)


def _slopes(
    f: RightHandSide, h: Tensor, t: float, step: float, first: Tensor | None
) -> list[Tensor]:
    """Evaluate the stages; the first is known from the step before."""
    calls = iter([first])

    def known_first(state: Tensor, time: float) -> Tensor:
        known = next(calls, None)
        return f(state, time) if known is None else known

    return slopes_of(known_first, h, t, step, DORMAND_PRINCE)


@torch.no_grad()
def _error(
    h: Tensor, proposal: Tensor, step: float, slopes: list[Tensor], rtol: float, atol: float
) -> float:
    """Estimate the error of a step in units of the tolerance."""
    difference = combine(torch.zeros_like(h), step, ERROR_WEIGHTS, slopes)
    return _scaled_norm(difference, torch.maximum(h.abs(), proposal.abs()), rtol, atol)


def _scaled_norm(x: Tensor, size: Tensor, rtol: float, atol: float) -> float:
    return (x / (atol + rtol * size)).square().mean().sqrt().item()


def _factor(error: float) -> float:
    """How much longer the next step may be: the error grows with the fifth power of the step."""
    if not math.isfinite(error):
        return SHRINK
    return min(GROW, max(SHRINK, SAFETY * max(error, 1e-10) ** -0.2))


@torch.no_grad()
def _first_step(
    f: RightHandSide, h: Tensor, t0: float, t1: float, rtol: float, atol: float
) -> float:
    """Guess the first step from sizes of the state, its slope and the change of the slope."""
    slope = f(h, t0)
    check_shape(h, slope)
    size, speed = (_scaled_norm(x, h.abs(), rtol, atol) for x in (h, slope))
    guess = 0.01 * size / speed if min(size, speed) > 1e-5 else 1e-6
    guess = math.copysign(min(guess, abs(t1 - t0)), t1 - t0)
    change = _scaled_norm(f(h + guess * slope, t0 + guess) - slope, h.abs(), rtol, atol)
    bend = max(speed, change / abs(guess))
    longest = (0.01 / bend) ** 0.2 if bend > 1e-15 else max(1e-6, 1e-3 * abs(guess))
    longest = longest if math.isfinite(longest) else 100 * abs(guess)
    return math.copysign(min(100 * abs(guess), longest, abs(t1 - t0)), t1 - t0)


def _advice(
    t0: float, t: float, t1: float, step: float, accepted: int, rejected: int, max_steps: int
) -> str:
    reason = (
        f"used all of max_steps={max_steps}"
        if accepted + rejected >= max_steps
        else f"would need steps shorter than {abs(step):.1e}"
    )
    return (
        f"the solver went from t={t0:g} to t={t:.6g} of {t1:g} with {accepted} accepted and "
        f"{rejected} rejected steps and {reason}. Raise max_steps or the tolerances; if neither "
        "helps, the solution runs to infinity or the equation is stiff, and f has to change"
    )
