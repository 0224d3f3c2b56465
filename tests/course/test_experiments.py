"""The experiments at the end of the assignments show, with the solution, what their rubrics say."""

import math

import harness
import pytest
from test_mutants import source


@pytest.fixture(scope="module")
def a1():
    """The names of A1 after its solution and the cells of its experiment."""
    space = {"__name__": "__main__"}
    for name in ("imports", "forward", "backward", "laboratory", "training"):
        exec(harness.solution(source("A1"), name), space)
    return space


@pytest.mark.parametrize("number", [7, 4321])
def test_with_the_norm_twice_the_scale_needs_twice_the_rate(a1, number):
    train, norm = a1["train"], a1["own_norm"]
    first = train(norm, 0.5, 0.01, number)
    assert train(norm, 1, 0.02, number) == pytest.approx(first, rel=0.005)
    assert train(norm, 2, 0.04, number) == pytest.approx(first, rel=0.005)
    # What the rule predicts differs from what no training at all would give.
    assert abs(train(norm, 1, 0.01, number) - first) > 0.04


@pytest.mark.parametrize("number", [7, 4321])
def test_without_the_norm_every_scale_learns_and_the_rule_fails(a1, number):
    train, control = a1["train"], a1["no_norm"]
    assert train(control, 1, 0.04, number) < train(control, 0.5, 0.02, number) - 0.1
    # Guessing costs 2.303, so each row of the control says something.
    assert all(train(control, scale, 0.32, number) < 2.15 for scale in (0.25, 0.5, 1, 2))


def test_the_layer_of_the_student_trains_as_that_of_the_library(a1):
    mine = a1["train"](a1["own_norm"], 1, 0.04, 7, steps=12)
    assert mine == pytest.approx(a1["train"](a1["library_norm"], 1, 0.04, 7, steps=12), rel=1e-3)


@pytest.fixture(scope="module")
def a2():
    """The names of A2 after its first answer and the cells of its experiment."""
    space = {"__name__": "__main__"}
    for name in ("imports", "normalize", "laboratory", "network", "training", "evaluation"):
        exec(harness.solution(source("A2"), name), space)
    return space


def test_statistics_of_two_images_cost_batch_norm_much_of_its_loss(a2):
    train, norm = a2["train"], a2["library_norm"]
    for seed in (1, 2):
        _, whole = train(norm, "batch", 32, 0.1, 7, seed=seed)
        _, pairs = train(norm, "batch", 32, 0.1, 7, together=2, seed=seed)
        assert pairs > whole + 0.2


def test_steps_with_fewer_images_cost_every_norm(a2):
    train, norm = a2["train"], a2["library_norm"]
    for kind in ("batch", "layer"):
        _, many = train(norm, kind, 32, 0.1, 7)
        _, few = train(norm, kind, 8, 0.1, 7)
        assert many + 0.15 < few < math.log(6) - 0.1  # and guessing costs more


def test_the_normalize_of_the_student_trains_as_the_norms_of_the_library(a2):
    for kind in ("batch", "layer", "group"):
        mine = a2["train"](a2["own_norm"], kind, 16, 0.3, 7, steps=12)
        theirs = a2["train"](a2["library_norm"], kind, 16, 0.3, 7, steps=12)
        assert mine == pytest.approx(theirs, rel=1e-3)
