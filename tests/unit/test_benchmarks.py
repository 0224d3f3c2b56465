"""The benchmarks measure what they say, and a missed target fails."""

import time

import pytest

import benchmarks.__main__ as command
from benchmarks import models, norms, training
from benchmarks.measure import interleaved


def test_the_ratio_is_that_of_the_times():
    arms = {
        "a": lambda: time.sleep(0.004),
        "again": lambda: time.sleep(0.004),
        "slow": lambda: time.sleep(0.012),
    }
    ratios = {name: ratio for name, (ratio, _) in interleaved(arms, "a", rounds=9).items()}
    assert ratios["a"] == 1
    assert 0.6 < ratios["again"] < 1.6
    assert 2 < ratios["slow"] < 4


def test_every_arm_runs_once_per_round_and_each_round_starts_with_another():
    order = []
    interleaved({name: lambda name=name: order.append(name) for name in "abc"}, "a", rounds=3)
    assert "".join(order) == "abc" + "bca" + "cab"


@pytest.mark.parametrize(
    "time_target, kept_target, status", [(1e9, 1e9, 0), (0.0, 1e9, 1), (1e9, 0.5, 1)]
)
def test_a_missed_target_of_a_norm_is_named_and_fails(
    monkeypatch, capsys, time_target, kept_target, status
):
    shape = (4, 3, 4, 4)
    monkeypatch.setattr(norms, "SHAPES", [(shape, norms.LAST)])
    monkeypatch.setattr(norms, "FORMS", ("closed",))
    monkeypatch.setattr(norms, "TIME_TARGETS", {(shape, norms.LAST, "closed"): time_target})
    monkeypatch.setattr(norms, "SAVED_TARGETS", {"closed": kept_target})
    monkeypatch.setattr(models, "run", lambda rounds: [])
    monkeypatch.setattr(training, "run", lambda rounds: [])
    assert command.main(rounds=2) == status
    printed = capsys.readouterr().out
    assert "again (noise)" in printed
    assert ("Missed: closed at (4, 3, 4, 4)" in printed) == bool(status)


@pytest.mark.parametrize(
    "time_target, memory_target, status", [(1e9, 0.9, 0), (0.0, 0.9, 1), (1e9, 0.01, 1)]
)
def test_a_missed_target_of_a_model_is_named_and_fails(
    monkeypatch, capsys, time_target, memory_target, status
):
    monkeypatch.setattr(models, "NAMES", ("resnet18",))
    monkeypatch.setattr(models, "SIZE", 32)
    monkeypatch.setattr(models, "DENSENET", (16, 4))
    monkeypatch.setattr(models, "TIME_TARGET", time_target)
    monkeypatch.setattr(models, "CHECKPOINT_TIME_TARGET", 1e9)
    monkeypatch.setattr(models, "MEMORY_TARGET", memory_target)
    monkeypatch.setattr(norms, "run", lambda rounds: [])
    monkeypatch.setattr(training, "run", lambda rounds: [])
    assert command.main(rounds=2) == status
    assert ("Missed" in capsys.readouterr().out) == bool(status)


@pytest.mark.parametrize(
    "target, status", [("none", 0), ("LOOP_TARGET", 1), ("PIPELINE_TARGET", 1), ("SHARE_TARGET", 1)]
)
def test_a_missed_target_of_training_is_named_and_fails(monkeypatch, capsys, target, status):
    monkeypatch.setattr(training, "BATCH", 8)
    monkeypatch.setattr(
        training,
        "FAMILIES",
        {"ResNet-20": training.FAMILIES["ResNet-20"], "SpeedNet": training.FAMILIES["SpeedNet"]},
    )
    monkeypatch.setattr(training.train, "best_precision", lambda device: "float32")
    lenient = {"LOOP_TARGET": 1e9, "PIPELINE_TARGET": 0.0, "SHARE_TARGET": 1e9}
    strict = {"LOOP_TARGET": 0.0, "PIPELINE_TARGET": 1e9, "SHARE_TARGET": 0.0}
    for name, value in lenient.items():
        monkeypatch.setattr(training, name, strict[name] if name == target else value)
    for other in (norms, models):
        monkeypatch.setattr(other, "run", lambda rounds: [])
    assert command.main(rounds=2) == status
    printed = capsys.readouterr().out
    assert "no target: this CPU only emulates bfloat16" in printed and "SpeedNet" in printed
    assert ("Missed" in printed) == bool(status)
