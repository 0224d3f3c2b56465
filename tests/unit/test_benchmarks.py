"""The measuring itself: a slower arm is slower, a hungrier one hungrier, a missed target fails."""

import time

import benchmarks.__main__ as table
import pytest
import torch
from benchmarks.measure import interleaved, saved_bytes


def test_the_ratio_is_that_of_the_times():
    arms = {"a": lambda: time.sleep(0.004), "again": lambda: time.sleep(0.004), "slow": lambda: time.sleep(0.012)}
    ratios = {name: ratio for name, (ratio, _) in interleaved(arms, "a", rounds=9).items()}
    assert ratios["a"] == 1
    assert 0.6 < ratios["again"] < 1.6
    assert 2 < ratios["slow"] < 4


def test_every_arm_runs_once_a_round_in_a_turning_order():
    order = []
    interleaved({name: lambda name=name: order.append(name) for name in "abc"}, "a", rounds=3)
    assert "".join(order) == "abc" + "bca" + "cab"


def test_kept_bytes_count_each_piece_of_memory_once():
    x = torch.randn(1000, requires_grad=True)
    assert saved_bytes(lambda: x * x) == 4000  # kept twice, one piece
    assert saved_bytes(lambda: (2 * x).sin().cos()) == 8000
    assert saved_bytes(lambda: x + 1) == 0


@pytest.mark.parametrize("time_target, kept_target, status", [(1e9, 1e9, 0), (0.0, 1e9, 1), (1e9, 0.5, 1)])
def test_a_missed_target_is_named_and_fails(monkeypatch, capsys, time_target, kept_target, status):
    shape = (4, 3, 4, 4)
    monkeypatch.setattr(table, "SHAPES", [(shape, table.LAST)])
    monkeypatch.setattr(table, "FORMS", ("closed",))
    monkeypatch.setattr(table, "TIME_TARGETS", {(shape, table.LAST, "closed"): time_target})
    monkeypatch.setattr(table, "SAVED_TARGETS", {"closed": kept_target})
    assert table.main(rounds=2) == status
    printed = capsys.readouterr().out
    assert "again (noise)" in printed
    assert ("Missed: closed at (4, 3, 4, 4)" in printed) == bool(status)
