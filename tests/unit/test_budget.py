"""Recording within a number of minutes, with a clock that moves by itself."""

from dataclasses import replace
from functools import partial

import pytest

from resnorm import data, ledger
from resnorm.experiments import cifar
from resnorm.experiments.__main__ import main
from resnorm.experiments.budget import ORDER, Pace, TooLongError, record_within

SMALL = data.synthetic(train=48, test=20, size=16)
TRAINING = cifar.Training(epochs=3, batch_size=16, side=16, padding=0)  # three steps per epoch
QUICK = cifar.Arm("ConvNet", TRAINING, {"norm": "batch", "widths": (4,), "depth": 1})
SLOW = replace(QUICK, training=replace(TRAINING, epochs=30))
PAIR = cifar.Experiment("Which?", {"slow": SLOW, "quick": QUICK}, "a CPU")
ONE = cifar.Experiment("How?", {"quick": QUICK}, "a CPU")


class Clock:
    """Every look at it takes ten seconds, and training looks once per step."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 10
        return self.now


@pytest.fixture
def budget(tmp_path, monkeypatch):
    monkeypatch.setitem(cifar.EXPERIMENTS, "pair", PAIR)
    monkeypatch.setitem(cifar.EXPERIMENTS, "one", ONE)
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "package")
    return partial(
        record_within,
        data=SMALL,
        folder=tmp_path,
        checkpoints=tmp_path / "states",
        names=("pair", "one"),
        clock=Clock(),
    )


def test_every_order_names_experiments():
    assert set(ORDER["cuda"]) | set(ORDER["cpu"]) <= set(cifar.EXPERIMENTS)


def test_what_fits_is_recorded_and_what_does_not_is_continued(budget, tmp_path):
    # A quick run has 9 steps, so it takes 90 seconds or a little more; a slow one takes 900.
    first = budget(7.5, seeds=(0, 1))
    assert first.finished == [("pair", "quick", 0), ("pair", "quick", 1), ("one", "quick", 0)]
    assert set(first.too_long) >= {("pair", "slow", 0), ("pair", "slow", 1)}
    assert first.too_long["pair", "slow", 0] > 700
    assert (tmp_path / "states" / "pair, slow, seed 0.pt").exists()
    second = budget(60.0, seeds=(0, 1))
    assert second.finished == [("pair", "slow", 0), ("pair", "slow", 1), ("one", "quick", 1)]
    assert not second.too_long and not list((tmp_path / "states").iterdir())
    assert budget(60.0, seeds=(0, 1)).finished == []  # nothing is lacking


def test_a_continued_run_equals_an_uninterrupted_one(budget, tmp_path):
    budget(2.0, seeds=(0,), names=("pair",))
    budget(60.0, seeds=(0,), names=("pair",))
    whole = ledger.open_record(None, "pair", "none", SMALL.source, PAIR.configuration())
    cifar.run(whole, PAIR, SMALL, [0])
    for arm in PAIR.arms:
        found = ledger.read(tmp_path / "pair.json")
        assert found.values(arm, "losses") == whole.values(arm, "losses")


def test_runs_of_the_package_are_not_repeated_unless_the_data_differ(budget, tmp_path):
    for name, source in (("one", SMALL.source), ("pair", "other images")):
        shipped = ledger.open_record(
            tmp_path / "package" / f"{name}.json",
            name,
            "none",
            source,
            cifar.EXPERIMENTS[name].configuration(),
        )
        shipped.add("quick", 0, {"test error": 1.0}, 1.0)
    assert budget(6.0, seeds=(0,)).finished == [("pair", "quick", 0)]


def test_a_run_that_took_longer_than_what_is_left_is_not_begun(budget, tmp_path):
    record = ledger.open_record(
        tmp_path / "one.json", "one", "none", SMALL.source, ONE.configuration()
    )
    record.add("quick", 5, {"test error": 1.0}, 1000.0)
    begun = []
    outcome = budget(10.0, seeds=(0,), names=("one",), on_run=lambda *run: begun.append(run))
    assert outcome.finished == begun == [] and outcome.too_long == {("one", "quick", 0): 1000.0}


def test_a_record_of_other_settings_is_refused_and_kept(budget, tmp_path):
    record = ledger.open_record(tmp_path / "pair.json", "pair", "none", SMALL.source, {})
    record.add("quick", 0, {"test error": 1.0}, 1.0)
    before = (tmp_path / "pair.json").read_bytes()
    with pytest.raises(ValueError, match="pair.json holds other runs"):
        budget(5.0)
    assert (tmp_path / "pair.json").read_bytes() == before


def test_the_pace_leaves_out_what_came_before_the_first_step():
    times = iter([1000.0, 1001.0, 1002.0, 1003.0])  # compiled for a thousand seconds
    pace = Pace(steps=2, epochs=3, deadline=1006.0, clock=lambda: next(times))
    for step in (1, 2, 3):
        pace(step, None)
    late = iter([0.0, 10.0])
    pace = Pace(steps=1, epochs=3, deadline=15.0, clock=lambda: next(late))
    pace(1, None)
    with pytest.raises(TooLongError, match="0.2 more minutes"):
        pace(2, None)


@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "inf", "soon", ""])
def test_a_budget_that_is_no_time_is_refused(minutes, capsys):
    with pytest.raises(SystemExit):
        main(["record", "--data", "DIR", "--budget", minutes])
    assert "is not a number of minutes above 0" in capsys.readouterr().err


def test_record_wants_a_budget(capsys):
    with pytest.raises(SystemExit):
        main(["record", "--data", "DIR"])
    assert "record needs --budget MINUTES" in capsys.readouterr().err


def test_the_command_says_what_was_too_long(monkeypatch, tmp_path, capsys):
    class Cifar:
        def split(self, part):
            return SMALL

    monkeypatch.setattr(data, "cifar10", lambda *_, **__: Cifar())
    command = ["record", "--data", "DIR", "--budget", "1e-6", "--seeds", "0", "--device", "cpu"]
    monkeypatch.setitem(ORDER, "cpu", ("pair", "one"))
    monkeypatch.setitem(cifar.EXPERIMENTS, "pair", PAIR)
    monkeypatch.setitem(cifar.EXPERIMENTS, "one", ONE)
    assert main([*command, "--runs", str(tmp_path)]) == 1
    assert "no run could be finished in 1e-06 minutes" in capsys.readouterr().err
    command[4] = "5"
    assert main([*command, "--runs", str(tmp_path)]) == 0
    assert f"3 runs recorded in {tmp_path}; 0 are lacking" in capsys.readouterr().out
