"""Recorded runs: written whole, resumed, never mixed."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import results
from resnorm import ledger
from resnorm.experiments import cifar, microscopy
from resnorm.experiments.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "utils" / "resnorm"


def new(path, **changes):
    fields = {
        "name": "test",
        "command": "run it",
        "data": "none",
        "configuration": {"lr": 0.1, "widths": (1, 2)},
    } | changes
    return ledger.open_record(path, **fields)


def test_a_record_is_written_after_each_run_and_read_back(tmp_path):
    path = tmp_path / "deep" / "record.json"
    record = new(path)
    with record.run("a", 1) as results:
        results["error"] = 8.5
    with record.run("a", 0) as results:
        results["error"] = 9.5
    found = ledger.read(path)
    assert [run["seed"] for run in found.runs] == [0, 1]
    assert found.values("a", "error") == [9.5, 8.5]
    assert found.has("a", 0) and not found.has("a", 2) and not found.has("b", 0)
    run = found.runs[0]
    assert run["versions"]["torch"] and run["hardware"] and run["commit"]
    assert str(ROOT) not in path.read_text() and os.uname().nodename not in path.read_text().split(
        '"'
    )
    assert list(path.parent.iterdir()) == [path]  # no temporary file stays


def test_a_run_is_stamped_with_the_commit_of_the_package():
    def git(*arguments):
        command = ["git", *arguments]
        return subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True).stdout.strip()

    assert ledger.RESULTS == PACKAGE / "results"
    if head := git("rev-parse", "HEAD"):
        changes = "+changes" if git("status", "--porcelain", "--", ".") else ""
        assert ledger.commit() == head[:12] + changes


def test_a_copy_outside_of_a_repository_has_an_unknown_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(ledger.stamp, "PACKAGE", tmp_path)
    assert ledger.commit() == "unknown"


def test_an_error_in_a_run_records_nothing(tmp_path):
    record = new(tmp_path / "record.json")
    with pytest.raises(RuntimeError), record.run("a", 0) as results:
        results["error"] = 1.0
        raise RuntimeError
    assert not record.runs and not record.path.exists()


def test_a_crash_while_writing_leaves_the_old_record(tmp_path, monkeypatch):
    record = new(tmp_path / "record.json")
    record.add("a", 0, {"error": 1.0}, 1.0)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        record.add("a", 1, {"error": 2.0}, 1.0)
    assert len(ledger.read(record.path).runs) == 1


def test_going_on_keeps_runs_and_refuses_another_configuration(tmp_path):
    new(tmp_path / "r.json").add("a", 0, {}, 1.0)
    assert new(tmp_path / "r.json").has("a", 0)
    with pytest.raises(ValueError, match="configuration, .*: 0.1 there, 0.2 here"):
        new(tmp_path / "r.json", configuration={"lr": 0.2, "widths": (1, 2)})
    with pytest.raises(ValueError, match="data: 'none' there, 'real' here"):
        new(tmp_path / "r.json", data="real")


def test_records_merge_seed_by_seed():
    a, b, other = new(None), new(None), new(None, configuration={"lr": 1})
    a.add("a", 0, {"e": 1.0}, 1.0)
    b.add("a", 0, {"e": 1.0}, 1.0)
    b.add("a", 1, {"e": 2.0}, 1.0)
    assert ledger.merge([b, a]).values("a", "e") == [1.0, 2.0]
    with pytest.raises(
        ValueError, match="not of the same experiment .*configuration: only one of them has widths"
    ):
        ledger.merge([a, other])
    with pytest.raises(ValueError, match="no records"):
        ledger.merge([])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda fields: fields.pop("data"), "the fields are"),
        (lambda fields: fields.update(runs={}), "runs is dict; it must be list"),
        (lambda fields: fields["runs"][0].update(seed="0"), "run 0: seed is str; it must be int"),
    ],
)
def test_a_broken_record_is_named(tmp_path, change, message):
    record = new(tmp_path / "record.json")
    record.add("a", 0, {}, 1.0)
    fields = json.loads(record.path.read_text())
    change(fields)
    record.path.write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=message):
        ledger.read(record.path)
    record.path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        ledger.read(record.path)


def test_an_arm_that_is_not_there_is_named():
    record = new(None)
    record.add("a", 0, {"e": 1.0}, 1.0)
    with pytest.raises(KeyError, match="no run of 'b'; there are a"):
        record.values("b", "e")


def test_every_record_of_the_book_is_one():
    for path in sorted(ledger.RESULTS.glob("*.json")):
        record = ledger.read(path)
        assert record.name == path.stem.split(".")[0] and record.runs
        for run in record.runs:
            assert run["commit"] != "unknown" and not run["commit"].endswith("+changes"), (
                f"{path.name} was made from changed files"
            )


def test_a_summary_has_mean_and_spread_and_the_best_first():
    record = new(None)
    for arm, seed, value in (("a", 0, 3.0), ("a", 1, 5.0), ("b", 0, 2.0)):
        record.add(arm, seed, {"error": value}, 1.0)
    best, other = ledger.summary(record, "error")
    assert (best.arm, best.n, best.mean) == (
        "b",
        1,
        2.0,
    ) and best.std != best.std  # one seed has no spread
    assert (other.arm, other.n, other.mean) == ("a", 2, 4.0) and other.std == pytest.approx(2**0.5)


def test_the_page_of_results_is_what_the_records_say():
    results.main(["check"])


def test_a_page_that_differs_from_the_records_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PAGE", tmp_path / "results.md")
    results.PAGE.write_text(results.page().replace("0", "1"))
    with pytest.raises(SystemExit, match="run make results"):
        results.main(["check"])


def test_the_records_are_of_the_experiments_as_they_are():
    configurations = {name: e.configuration() for name, e in cifar.EXPERIMENTS.items()}
    configurations["segmentation"] = microscopy.configuration()
    for path in sorted(ledger.RESULTS.glob("*.json")):
        record = ledger.read(path)
        wanted = json.loads(json.dumps(configurations[record.name]))
        again = f"{path.name}: rename the experiment, or run it again"
        for arm in {run["arm"].split(", vote")[0] for run in record.runs}:
            assert record.configuration["arms"][arm] == wanted["arms"][arm], f"{again} ({arm})"
        for key in record.configuration.keys() - {"arms"}:
            assert record.configuration[key] == wanted[key], f"{again} ({key})"


def test_a_record_that_is_not_there_is_named():
    with pytest.raises(
        FileNotFoundError, match="no record named 'imagenet'; there are: .*segmentation"
    ):
        ledger.recorded("imagenet")


def test_the_command_says_what_is_missing(tmp_path, capsys):
    assert main(["segmentation", "--data", str(tmp_path)]) == 2
    assert "expected image/N.png and label/N.png" in capsys.readouterr().err


def test_a_line_as_text_is_the_mean_and_for_several_seeds_the_spread():
    assert str(ledger.Line("a", 3, 12.3456, 0.678)) == "12.35 ± 0.68"
    assert str(ledger.Line("a", 2, 0.0421, 0.0012)) == "0.042 ± 0.001"
    assert str(ledger.Line("a", 1, 5.0, float("nan"))) == "5.00"


def test_a_leaderboard_has_the_best_first_and_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger.files, "RESULTS", tmp_path)
    assert ledger.leaderboard("race") == [("race: not recorded yet", "", "", "")]
    record = new(tmp_path / "race.json")
    for seed, error in enumerate((3.0, 5.0)):
        record.add("slow", seed, {"test error": error, "training seconds": 90.0}, 100.0)
    record.add("fast", 0, {"test error": 2.0, "training seconds": 30.0}, 40.0)
    assert ledger.leaderboard("race") == [
        ("fast", "2.00", "1", "0.5"),
        ("slow", "4.00 ± 1.41", "2", "1.5"),
    ]
