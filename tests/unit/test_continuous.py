"""Solvers of differential equations: their orders, their errors, and two ways to a gradient."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from resnorm import continuous

DOUBLE = {"dtype": torch.float64}


def rotation(h, t):
    """A circle whose speed grows; the angle at time t is t + t² / 2."""
    return (1 + t) * torch.stack([-h[1], h[0]])


START = torch.tensor([1.0, 0.0], **DOUBLE)


def exact(t):
    angle = t + t * t / 2
    return torch.tensor([math.cos(angle), math.sin(angle)], **DOUBLE)


# --- steps of equal length ------------------------------------------------------------------------


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_the_error_falls_with_the_order_of_the_method(method, order):
    errors = [
        (continuous.solve(rotation, START, steps=n, method=method) - exact(1)).norm().item()
        for n in (16, 32, 64)
    ]
    for coarse, fine in zip(errors, errors[1:]):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.05)
    assert continuous.METHODS[method].order == order


def test_euler_is_a_residual_network():
    torch.manual_seed(0)
    f = nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double()
    h = x = torch.randn(5, 3, **DOUBLE)
    for _ in range(7):
        h = h + f(h) / 7
    solved = continuous.solve(lambda state, t: f(state), x, steps=7)
    torch.testing.assert_close(solved, h, rtol=1e-14, atol=1e-14)


def test_backward_in_time_leads_to_the_start():
    end = continuous.solve(rotation, START, steps=50, method="rk4")
    back = continuous.solve(rotation, end, 1.0, 0.0, steps=50, method="rk4")
    torch.testing.assert_close(back, START, rtol=0, atol=1e-7)


def test_every_step_is_reported():
    seen = []
    end = continuous.solve(
        rotation, START, steps=4, after_step=lambda t, h: seen.append((t, h.clone()))
    )
    assert [t for t, _ in seen] == [0.25, 0.5, 0.75, 1.0] and torch.equal(seen[-1][1], end)


@pytest.mark.parametrize("method", continuous.METHODS)
def test_gradients_through_the_solver(method):
    h = START.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda state: continuous.solve(rotation, state, steps=3, method=method), h
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"steps": 4, "method": "rk5"}, "method is 'rk5'; it must be one of euler, heun, rk4"),
        ({"steps": 0}, "steps is 0; it must be a positive int"),
        ({"steps": 2.5}, "steps is 2.5; it must be a positive int"),
    ],
)
def test_bad_arguments_of_the_fixed_solver(options, words):
    with pytest.raises(ValueError, match=words):
        continuous.solve(rotation, START, **options)


@pytest.mark.parametrize("solver", [continuous.solve, continuous.solve_adaptively])
def test_a_slope_of_another_shape_is_refused(solver):
    options = {"steps": 2} if solver is continuous.solve else {}
    with pytest.raises(ValueError, match=r"returned the shape \(\) for a state of shape \(2,\)"):
        solver(lambda h, t: h.sum(), START, **options)


# --- steps of the solver's choice -----------------------------------------------------------------


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10])
def test_the_adaptive_error_follows_the_tolerance(rtol):
    found = continuous.solve_adaptively(rotation, START, rtol=rtol, atol=rtol / 100)
    assert (found.state - exact(1)).norm() < 20 * rtol
    assert found.times[0] == 0 and found.times[-1] == 1
    assert len(found.states) == len(found.times) and found.states[-1] is found.state


@pytest.mark.parametrize("t1", [1.0, -0.7, 6.0])
def test_the_adaptive_solver_works_as_scipys(t1):
    """Van der Pol's equation, which needs steps of very different lengths."""

    def f(h, t):
        return torch.stack([h[1], 4 * (1 - h[0] ** 2) * h[1] - h[0]])

    found = continuous.solve_adaptively(
        f, torch.tensor([2.0, 0.0], **DOUBLE), 0, t1, rtol=1e-8, atol=1e-10
    )
    theirs = solve_ivp(
        lambda t, y: [y[1], 4 * (1 - y[0] ** 2) * y[1] - y[0]],
        (0, t1),
        [2.0, 0.0],
        rtol=1e-8,
        atol=1e-10,
    )
    torch.testing.assert_close(found.state, torch.tensor(theirs.y[:, -1]), rtol=1e-6, atol=1e-6)
    assert found.evaluations <= 1.3 * theirs.nfev + 10  # as efficient


def test_evaluations_are_counted():
    calls = []

    def f(h, t):
        calls.append(t)
        return rotation(h, t)

    found = continuous.solve_adaptively(f, START, rtol=1e-9, atol=1e-11)
    assert found.evaluations == len(calls)
    assert all(b > a for a, b in zip(found.times, found.times[1:]))


def test_a_constant_needs_few_steps_and_no_time_none():
    found = continuous.solve_adaptively(lambda h, t: torch.zeros_like(h), START)
    assert torch.equal(found.state, START) and len(found.times) < 12
    assert continuous.solve_adaptively(rotation, START, 1.0, 1.0).evaluations == 0


def test_gradients_through_the_adaptive_solver():
    h = START.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda state: continuous.solve_adaptively(rotation, state, rtol=1e-10, atol=1e-12).state,
        h,
        atol=1e-6,
    )


def test_too_few_steps_are_reported_with_how_far_they_went():
    with pytest.raises(continuous.StepLimitError, match=r"to t=0\.\d+ of 1 .*max_steps=5"):
        continuous.solve_adaptively(rotation, START, rtol=1e-10, atol=1e-12, max_steps=5)


def test_a_solution_that_runs_to_infinity_ends_with_advice():
    one = torch.ones(1, **DOUBLE)  # h = 1 / (1 - t)
    with pytest.raises(
        continuous.StepLimitError, match="runs to infinity or the equation is stiff"
    ):
        continuous.solve_adaptively(lambda h, t: h * h, one, t1=2.0)


def test_a_right_hand_side_that_is_not_a_number_ends_with_advice():
    with pytest.raises(continuous.StepLimitError):
        continuous.solve_adaptively(lambda h, t: h * float("nan"), START)


@pytest.mark.parametrize(
    "options", [{"rtol": -1.0}, {"rtol": 0.0, "atol": 0.0}, {"max_steps": 0}, {"max_steps": 1.5}]
)
def test_bad_arguments_of_the_adaptive_solver(options):
    with pytest.raises(ValueError, match="non-negative|positive int"):
        continuous.solve_adaptively(rotation, START, **options)


# --- the adjoint method ---------------------------------------------------------------------------


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = nn.Linear(3, 8), nn.Linear(8, 2)
        self.unused = nn.Parameter(torch.ones(2))
        self.double()

    def forward(self, h, t):
        time = torch.full_like(h[..., :1], t)
        return self.outer(torch.tanh(self.inner(torch.cat([h, time], -1))))


def gradients(solved, f, x):
    targets = [x, *(p for p in f.parameters() if p.requires_grad)]
    found = torch.autograd.grad(
        solved.pow(3).sum(), targets, allow_unused=True, materialize_grads=True
    )
    return torch.cat([g.flatten() for g in found])


@pytest.mark.parametrize("rtol, limit", [(1e-4, 1e-3), (1e-7, 1e-6), (1e-10, 1e-9)])
def test_the_adjoint_gradient_is_backpropagations_up_to_the_tolerance(rtol, limit):
    f, x = Field(), torch.randn(4, 2, **DOUBLE).requires_grad_()
    options = {"rtol": rtol, "atol": rtol / 100}
    adjoint = gradients(continuous.solve_with_adjoint(f, x, **options), f, x)
    precise = continuous.solve_adaptively(f, x, rtol=1e-12, atol=1e-13).state
    reference = gradients(precise, f, x)
    assert (adjoint - reference).norm() < limit * reference.norm()


def test_adjoint_gradients_by_finite_differences():
    f, x = Field(), torch.randn(2, 2, **DOUBLE).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda h, *_: continuous.solve_with_adjoint(f, h, rtol=1e-11, atol=1e-12),
        (x, *f.inner.parameters()),
        atol=1e-6,
    )


def test_frozen_parameters_get_no_gradient_and_time_may_run_backward():
    f, x = Field(), torch.randn(4, 2, **DOUBLE).requires_grad_()
    f.inner.requires_grad_(False)
    options = {"t0": 0.8, "t1": 0.1, "rtol": 1e-10, "atol": 1e-12}
    adjoint = gradients(continuous.solve_with_adjoint(f, x, **options), f, x)
    reference = gradients(continuous.solve_adaptively(f, x, **options).state, f, x)
    torch.testing.assert_close(adjoint, reference, rtol=1e-7, atol=1e-8)


def test_the_adjoint_method_needs_a_module():
    with pytest.raises(TypeError, match="f is a function; it must be a torch.nn.Module"):
        continuous.solve_with_adjoint(rotation, START)
