"""The experiments at the end of the assignments show, with the solution, what their rubrics say."""

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
def test_with_the_norm_twice_the_scale_needs_four_times_the_rate(a1, number):
    train, norm, control = a1["train"], a1["own_norm"], a1["no_norm"]
    first = train(norm, 0.5, 0.064, number)
    assert train(norm, 1, 0.256, number) == pytest.approx(first, rel=0.01)
    assert train(norm, 2, 1.024, number) == pytest.approx(first, rel=0.01)
    # What the rule predicts differs from what no training at all would give.
    assert abs(train(norm, 1, 0.064, number) - first) > 0.05
    # The control breaks the rule: the smaller scale learns nothing at the matching rate.
    without = train(control, 0.5, 1.024, number)
    assert without > 2.25 and train(control, 1, 4.096, number) < without - 0.05


def test_the_layer_of_the_student_trains_as_that_of_the_library(a1):
    mine = a1["train"](a1["own_norm"], 1, 0.256, 7, steps=12)
    assert mine == pytest.approx(a1["train"](a1["library_norm"], 1, 0.256, 7, steps=12), rel=1e-3)
