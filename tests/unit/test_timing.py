"""Times of functions beside each other."""

import time

import pytest

from resnorm import probes


def test_ratios_are_to_the_first_function_of_the_same_round(monkeypatch):
    clock, durations = [0.0], {"a": 2.0, "b": 3.0}
    calls = []

    def call(name):
        calls.append(name)
        # Each round is slower than the one before; the ratios do not change.
        clock[0] += durations[name] * 10 ** calls.count(name)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    ratios = probes.time_ratios({name: lambda name=name: call(name) for name in durations}, 3)
    assert calls == ["a", "b"] * 4  # in turn, and one round to warm up
    assert ratios["a"] == [1.0] * 3 and ratios["b"] == pytest.approx([1.5] * 3)


def test_another_clock_may_count():
    spent = iter(range(100))

    def wait():
        next(spent)  # this function takes one unit more than the other

    ratios = probes.time_ratios({"a": lambda: None, "b": wait}, 2, clock=lambda: next(spent))
    assert ratios["b"] == [2.0, 2.0]


@pytest.mark.parametrize(("calls", "rounds"), [({}, 3), ({"a": print}, 0)])
def test_nothing_to_time_is_refused(calls, rounds):
    with pytest.raises(ValueError, match="at least one of each"):
        probes.time_ratios(calls, rounds)
