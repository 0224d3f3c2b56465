"""Recording within a number of minutes, with a clock that moves by itself."""

import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_experiments import write_images

from resnorm import data, ledger
from resnorm.experiments import __main__ as command_module
from resnorm.experiments import cifar
from resnorm.experiments.__main__ import main
from resnorm.experiments.budget import ORDER, record_within
from resnorm.experiments.jobs import Run
from resnorm.experiments.pace import Pace, TooLongError
from resnorm.train import DivergedError, History

SMALL = data.synthetic(train=48, test=20, size=16)
SOURCE = "images, test set"
TRAINING = cifar.Training(epochs=3, batch_size=16, side=16, padding=0)  # three steps per epoch
QUICK = cifar.Arm("ConvNet", TRAINING, {"norm": "batch", "widths": (4,), "depth": 1})
SLOW = replace(QUICK, training=replace(TRAINING, epochs=30))
AT_RATES = {
    f"quick, rate {rate:g}": replace(QUICK, training=replace(TRAINING, lr=rate))
    for rate in (0.01, 0.02, 0.04, 0.08, 0.16)
}
SEARCH = cifar.Experiment("At which rate?", AT_RATES, "a CPU")
PAIR = cifar.Experiment("Which?", {"slow": SLOW, "quick": QUICK}, "a CPU")
ONE = cifar.Experiment("How?", {"quick": QUICK}, "a CPU")


def images(part):
    """The same images for both splits; what they are called differs."""
    return replace(SMALL, source=f"images, {part} {'set' if part == 'test' else 'split'}")


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
    monkeypatch.setitem(cifar.EXPERIMENTS, "search", SEARCH)
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "package")
    return partial(
        record_within,
        images=images,
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
    assert first.finished == [
        Run("pair", "quick", 0),
        Run("pair", "quick", 1),
        Run("one", "quick", 0),
    ]
    assert set(first.too_long) >= {Run("pair", "slow", 0), Run("pair", "slow", 1)}
    assert first.too_long[Run("pair", "slow", 0)] > 700
    assert (tmp_path / "states" / "pair, slow, seed 0.pt").exists()
    second = budget(60.0, seeds=(0, 1))
    assert second.finished == [
        Run("pair", "slow", 0),
        Run("pair", "slow", 1),
        Run("one", "quick", 1),
    ]
    assert not second.too_long and not list((tmp_path / "states").iterdir())
    assert budget(60.0, seeds=(0, 1)).finished == []  # nothing is lacking


def test_a_continued_run_equals_an_uninterrupted_one(budget, tmp_path):
    budget(2.0, seeds=(0,), names=("pair",))
    budget(60.0, seeds=(0,), names=("pair",))
    whole = ledger.open_record(None, "pair", "none", SOURCE, PAIR.configuration())
    cifar.run(whole, PAIR, SMALL, [0])
    for arm in PAIR.arms:
        found = ledger.read(tmp_path / "pair.json")
        assert found.values(arm, "losses") == whole.values(arm, "losses")


def test_runs_of_the_package_are_not_repeated_unless_the_data_differ(budget, tmp_path):
    for name, source in (("one", SOURCE), ("pair", "other images")):
        shipped = ledger.open_record(
            tmp_path / "package" / f"{name}.json",
            name,
            "none",
            source,
            cifar.EXPERIMENTS[name].configuration(),
        )
        shipped.add("quick", 0, {"test error": 1.0}, 1.0)
    assert budget(6.0, seeds=(0,)).finished == [Run("pair", "quick", 0)]


def test_a_run_that_took_longer_than_what_is_left_is_not_begun(budget, tmp_path):
    record = ledger.open_record(tmp_path / "one.json", "one", "none", SOURCE, ONE.configuration())
    record.add("quick", 5, {"test error": 1.0}, 1000.0)
    begun = []
    outcome = budget(10.0, seeds=(0,), names=("one",), on_run=begun.append)
    assert outcome.finished == begun == [] and outcome.too_long == {Run("one", "quick", 0): 1000.0}


def test_a_record_of_other_settings_is_refused_and_kept(budget, tmp_path):
    record = ledger.open_record(tmp_path / "pair.json", "pair", "none", SOURCE, {})
    record.add("quick", 0, {"test error": 1.0}, 1.0)
    before = (tmp_path / "pair.json").read_bytes()
    with pytest.raises(ValueError, match="pair.json holds other runs"):
        budget(5.0)
    assert (tmp_path / "pair.json").read_bytes() == before


# --- searches -------------------------------------------------------------------------------------


@pytest.fixture
def trains_best_at(monkeypatch):
    """Replaces the training: the error is the distance from a learning rate, in powers of two."""

    def errors_from(best):
        def run(record, experiment, data, seeds, *, arms, **_):
            for arm, seed in zip(arms, seeds, strict=True):
                error = abs(math.log2(experiment.arms[arm].training.lr / best))
                record.add(arm, seed, {"test error": error}, 1.0)

        monkeypatch.setattr(cifar, "run", run)

    return errors_from


def test_a_search_begins_in_the_middle_and_goes_on_beyond_an_edge(budget, tmp_path, trains_best_at):
    trains_best_at(0.09)
    outcome = budget(60.0, seeds=(0, 1), names=("search", "one"))
    searched = [(run.arm, run.seed) for run in outcome.finished if run.split == "validation"]
    assert searched == [(f"quick, rate {rate:g}", 0) for rate in (0.02, 0.04, 0.08, 0.16)]
    final = [Run("search", "quick, rate 0.08", seed) for seed in (0, 1)]
    assert outcome.finished[4:] == [*final, Run("one", "quick", 0), Run("one", "quick", 1)]
    assert not outcome.too_long and not outcome.not_begun and not outcome.refused
    found = ledger.read(tmp_path / "search.json"), ledger.read(tmp_path / "search.validation.json")
    assert [(record.data, record.command.split("--data DIR ")[1]) for record in found] == [
        ("images, test set", "--tuned search.validation.json"),
        ("images, validation split", "--validation"),
    ]
    assert budget(60.0, seeds=(0, 1), names=("search",)).finished == []  # nothing is lacking


def test_a_search_that_needs_more_rates_is_refused_and_the_next_experiment_done(
    budget, trains_best_at
):
    trains_best_at(1.0)
    outcome = budget(60.0, seeds=(0,), names=("search", "one"))
    assert outcome.finished[-1] == Run("one", "quick", 0)
    assert "best rate of some network is 0.16, the last of the table" in str(outcome.refused)
    assert not any(run.experiment == "search" and run.split == "test" for run in outcome.finished)


def test_the_search_that_comes_with_the_package_is_not_repeated(budget, tmp_path, trains_best_at):
    trains_best_at(0.04)
    budget(60.0, seeds=(), names=("search",))
    (tmp_path / "package").mkdir()
    moved = tmp_path / "package" / "search.validation.json"
    (tmp_path / "search.validation.json").rename(moved)
    outcome = budget(60.0, seeds=(0,), names=("search",))
    assert outcome.finished == [Run("search", "quick, rate 0.04", 0)]


def test_a_search_is_trained_and_resumed_on_the_validation_split(budget, tmp_path):
    """With real training: nine steps per run, of which 1.3 minutes allow eight at most."""
    first = budget(1.3, seeds=(0,), names=("search",))
    assert not first.finished and (states := list((tmp_path / "states" / "validation").iterdir()))
    assert [file.name for file in states] == ["search, quick, rate 0.02, seed 0.pt"]
    budget(600.0, seeds=(0,), names=("search",))
    record = ledger.read(tmp_path / "search.validation.json")
    assert len(record.runs) >= 3 and not list((tmp_path / "states" / "validation").iterdir())
    errors = {run["arm"]: run["results"]["test error"] for run in record.runs}
    whole = ledger.open_record(None, "search", "none", SOURCE, SEARCH.configuration())
    cifar.run(whole, SEARCH, SMALL, [0], arms=["quick, rate 0.02"])
    assert errors["quick, rate 0.02"] == whole.values("quick, rate 0.02", "test error")[0]


def two_networks(first, second):
    """A search of two networks that are best at the given rates, and the errors of a run."""
    other = {
        name.replace("quick", "other"): replace(arm, options=arm.options | {"depth": 2})
        for name, arm in AT_RATES.items()
    }
    experiment = cifar.Experiment("At which rates?", AT_RATES | other, "a CPU")
    best = {"quick": first, "other": second}

    def error(name):
        return abs(math.log2(experiment.arms[name].training.lr / best[name.split(",")[0]]))

    return experiment, error


def in_turn(experiment, error, seeds=(0,)):
    """The rates that a search takes in turn, for both networks, until it is done."""
    record = ledger.open_record(
        None, "search", "none", "images, validation split", experiment.configuration()
    )
    steps = []
    for name in ("quick, rate 0.04", "other, rate 0.04"):
        for seed in seeds:
            record.add(name, seed, {"test error": error(name)}, 1.0)
    while wanted := cifar.next_of_search(experiment, record):
        steps.append(wanted)
        for name, seed in wanted:
            record.add(name, seed, {"test error": error(name)}, 1.0)
    return record, steps


@pytest.mark.parametrize("seeds", [(0,), (3, 5)])
def test_every_network_gets_every_rate_and_every_seed(seeds):
    experiment, error = two_networks(0.021, 0.07)
    record, steps = in_turn(experiment, error, seeds)
    assert [sorted({float(name.split()[-1]) for name, _ in step}) for step in steps] == [
        [0.02, 0.08],
        [0.01, 0.16],
    ]
    assert len(record.runs) == 2 * 5 * len(seeds)
    assert {run["seed"] for run in record.runs} == set(seeds)
    assert cifar.best_rates(experiment, record) == ["quick, rate 0.02", "other, rate 0.08"]


@pytest.mark.parametrize("first, end", [(0.001, "0.01, the first"), (0.5, "0.16, the last")])
def test_a_search_ends_where_its_table_does(first, end):
    experiment, error = two_networks(first, 0.04)
    with pytest.raises(ValueError, match=f"the best rate of some network is {end} of the table"):
        in_turn(experiment, error)


def test_what_is_no_search_is_refused_before_any_training():
    experiment, _ = two_networks(0.02, 0.04)
    wrong = ledger.open_record(None, "s", "none", SOURCE, experiment.configuration())
    with pytest.raises(ValueError, match="learning rates are chosen on the validation split"):
        cifar.next_of_search(experiment, wrong)
    mixed = cifar.Experiment("?", {"a, 1": SLOW, "a, 2": replace(SLOW), **AT_RATES}, "a CPU")
    record = ledger.open_record(
        None, "s", "none", "images, validation split", mixed.configuration()
    )
    with pytest.raises(ValueError, match="the same rates for all"):
        cifar.next_of_search(mixed, record)


def test_unequal_seeds_are_no_search():
    experiment, error = two_networks(0.04, 0.04)
    record, _ = in_turn(experiment, error)
    record.add("quick, rate 0.04", 1, {"test error": 0.0}, 1.0)
    with pytest.raises(ValueError, match="not given the same rates and the same seeds"):
        cifar.best_rates(experiment, record)
    assert len(cifar.next_of_search(experiment, record)) == 5  # seed 1 of everything else


def test_an_experiment_that_only_chooses_ends_with_the_search(budget, monkeypatch, trains_best_at):
    monkeypatch.setitem(cifar.EXPERIMENTS, "search", replace(SEARCH, chooses=True))
    trains_best_at(0.04)
    outcome = budget(60.0, seeds=(0,), names=("search",))
    assert len(outcome.finished) == 3 and {run.split for run in outcome.finished} == {"validation"}


def test_the_time_of_a_search_is_that_of_its_final_runs(budget, tmp_path, trains_best_at):
    trains_best_at(0.04)
    budget(60.0, seeds=(), names=("search",))
    path = tmp_path / "search.validation.json"
    record = ledger.read(path)
    for run in record.runs:
        run["seconds"] = 1000.0
    ledger.write(record, path)
    outcome = budget(10.0, seeds=(0,), names=("search",))
    assert outcome.too_long == {Run("search", "quick, rate 0.04", 0): 1000.0}
    for run in record.runs:  # on another machine
        run["hardware"] = "a slow one, 2 threads; no GPU"
    ledger.write(record, path)
    assert budget(10.0, seeds=(0,), names=("search",)).finished


# --- several processes ----------------------------------------------------------------------------


def many(part):
    """Enough images for the batches of a real experiment, which other processes can look up."""
    return replace(data.synthetic(train=256, test=20, size=32), source=f"images, {part}")


def three_runs(images, folder, processes):
    """Record three small runs of a real experiment, which other processes know."""
    return record_within(
        10.0,
        images,
        folder,
        folder / "states",
        (0,),
        names=("noisy-batch-norm-short",),
        processes=processes,
    )


def test_several_processes_record_what_one_records(tmp_path):
    found = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        outcome = three_runs(many, folder, processes)
        record = ledger.read(folder / "noisy-batch-norm-short.json")
        assert len(outcome.finished) == len(record.runs) == 3
        there = {run["results"].get("runs at a time") for run in record.runs}
        assert there == {None if processes == 1 else 2}
        found.append({run["arm"]: run["results"]["losses"] for run in record.runs})
        assert not list((folder / "states").iterdir())
    one, several = found
    # The number of threads decides the order of sums.
    for arm, losses in one.items():
        assert several[arm] == pytest.approx(losses, abs=1e-3)


def together(part):
    """In other processes, waits until two of them ask for images."""
    if multiprocessing.parent_process() is not None:
        here = Path(os.environ["TOGETHER"])
        (here / str(os.getpid())).touch()
        late = time.monotonic() + 120
        while len(list(here.iterdir())) < 2:
            assert time.monotonic() < late, "the other process does not come"
            time.sleep(0.05)
    return many(part)


def test_several_processes_train_at_a_time(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("TOGETHER", str(tmp_path / "here"))
    outcome = three_runs(together, tmp_path, 2)
    assert len(outcome.finished) == 3


def test_the_command_trains_in_several_processes(tmp_path):
    """As a reader gives it, because a process that is spawned imports no ``__main__``.

    The images are read from files by each process.
    """
    write_images(tmp_path / "data", train=20)
    command = [sys.executable, "-m", "resnorm.experiments", "record"]
    command += ["--data", str(tmp_path / "data"), "--budget", "10", "--seeds", "0"]
    command += ["--only", "noisy-batch-norm-short", "--processes", "2", "--device", "cpu"]
    command += ["--runs", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    record = ledger.read(tmp_path / "runs" / "noisy-batch-norm-short.json")
    assert [run["results"]["runs at a time"] for run in record.runs] == [2, 2, 2]
    assert "3 runs recorded" in done.stdout


RECORDS = """
import signal
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from resnorm.experiments.budget import record_within
import test_budget
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's "&" switches off
    here = Path(sys.argv[1])
    record_within(60.0, test_budget.endless, here, here / "states", (0,),
                  names=("noisy-batch-norm-short",), processes=2)
"""


def endless(part):
    """In other processes, says which one it is and never returns."""
    if multiprocessing.parent_process() is not None:
        (Path(sys.argv[1]) / f"{os.getpid()}.pid").touch()
        time.sleep(600)
    return many(part)


def works(process):
    """Whether a process is there and has not ended. (Nobody may ask an orphan how it ended.)"""
    try:
        state = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux about processes")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_goes_on_when_the_command_is_ended(tmp_path, how):
    script = tmp_path / "records.py"
    script.write_text(RECORDS.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen([sys.executable, script, str(tmp_path)], stderr=subprocess.DEVNULL)
    late = time.monotonic() + 120
    while len(children := list(tmp_path.glob("*.pid"))) < 2:
        assert time.monotonic() < late and process.poll() is None
        time.sleep(0.1)
    process.send_signal(how)
    process.wait(timeout=60)
    for child in children:
        while works(child.stem):
            assert time.monotonic() < late, "a process goes on"
            time.sleep(0.1)


def test_what_asks_for_the_time_is_trained_alone(tmp_path):
    with pytest.raises(ValueError, match="six-minutes: the question is how long"):
        record_within(1.0, many, tmp_path, tmp_path, names=("six-minutes",), processes=2)


def test_two_commands_do_not_do_the_same_runs(budget, tmp_path):
    with ledger.claimed(tmp_path / "one.json"):
        with pytest.raises(BlockingIOError, match="another process is making runs for .*one.json"):
            budget(60.0, names=("one",))
        assert budget(60.0, seeds=(0,), names=("pair",)).finished
    assert budget(60.0, seeds=(0,), names=("one", "one")).finished == [Run("one", "quick", 0)]


def gone(part):
    """Ends each process but the first."""
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return many(part)


def test_a_process_that_ends_unexpectedly_is_reported(tmp_path):
    with pytest.raises(BrokenProcessPool, match="try fewer --processes"):
        three_runs(gone, tmp_path, 2)


def test_an_error_in_a_process_arrives_whole():
    problem = DivergedError("the loss is NaN", History())
    again = pickle.loads(pickle.dumps(problem))
    assert str(again) == str(problem) and again.history == problem.history


def test_a_run_that_diverges_is_named_and_the_others_are_done(monkeypatch, tmp_path, capsys):
    wild = replace(QUICK, training=replace(TRAINING, lr=1e30, momentum=0.0))
    monkeypatch.setitem(
        cifar.EXPERIMENTS, "pair", cifar.Experiment("?", {"wild": wild, "quick": QUICK}, "a CPU")
    )
    monkeypatch.setattr(data, "cifar10", lambda *_, **__: SimpleNamespace(split=images))
    command = ["record", "--data", "DIR", "--budget", "5", "--only", "pair", "--device", "cpu"]
    assert main([*command, "--seeds", "0", "--runs", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "pair: wild, seed 0: " in shown.err
    assert f"1 runs recorded in {tmp_path}; nothing else can be done" in shown.out
    assert [run["arm"] for run in ledger.read(tmp_path / "pair.json").runs] == ["quick"]


def test_a_search_that_ends_at_its_table_is_reported(monkeypatch, tmp_path, capsys, trains_best_at):
    monkeypatch.setitem(cifar.EXPERIMENTS, "search", SEARCH)
    monkeypatch.setattr(data, "cifar10", lambda *_, **__: SimpleNamespace(split=images))
    trains_best_at(9.0)
    command = ["record", "--data", "DIR", "--budget", "5", "--only", "search", "--device", "cpu"]
    assert main([*command, "--runs", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "search: search: the best rate of some network is 0.16, the last" in shown.err
    assert "nothing else can be done" in shown.out


def test_a_command_that_is_stopped_says_how_to_go_on(monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_module, "run_record", stopped)
    assert main(["record", "--data", "DIR", "--budget", "5"]) == 130
    assert "stopped. The same command does the rest" in capsys.readouterr().err


def test_the_command_keeps_weights_and_passes_on_what_it_is_given(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(cifar.EXPERIMENTS, "one", ONE)
    monkeypatch.setattr(data, "cifar10", lambda *_, **__: SimpleNamespace(split=images))
    command = ["record", "--data", "DIR", "--budget", "5", "--device", "cpu", "--seeds", "0"]
    command += ["--runs", str(tmp_path), "--weights", str(tmp_path / "weights"), "--only", "one"]
    assert main(command) == 0
    record = ledger.read(tmp_path / "one.json")
    model = cifar.trained("one", folder=tmp_path / "weights", record=record)
    assert not model.training
    assert main([*command[:-1], "two"]) == 2
    assert "'two'" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many", ""])
def test_a_number_of_processes_that_is_none_is_refused(number, capsys):
    with pytest.raises(SystemExit):
        main(["record", "--data", "DIR", "--budget", "5", "--processes", number])
    assert "is not a number of processes" in capsys.readouterr().err


# --- time -----------------------------------------------------------------------------------------


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
    monkeypatch.setattr(data, "cifar10", lambda *_, **__: SimpleNamespace(split=images))
    command = ["record", "--data", "DIR", "--budget", "1e-6", "--seeds", "0", "--device", "cpu"]
    monkeypatch.setitem(ORDER, "cpu", ("pair", "one"))
    monkeypatch.setitem(cifar.EXPERIMENTS, "pair", PAIR)
    monkeypatch.setitem(cifar.EXPERIMENTS, "one", ONE)
    assert main([*command, "--runs", str(tmp_path)]) == 1
    assert "no run could be finished in 1e-06 minutes" in capsys.readouterr().err
    command[4] = "5"
    assert main([*command, "--runs", str(tmp_path)]) == 0
    assert f"3 runs recorded in {tmp_path}; nothing is lacking" in capsys.readouterr().out
