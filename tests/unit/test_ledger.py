"""Recorded runs: written whole, resumed, never mixed."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

import findings
import results
from resnorm import ledger
from resnorm.experiments import cifar, microscopy
from resnorm.experiments.__main__ import main
from resnorm.experiments.command_line import GENERATED

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


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package in a repository of its own, which stamps are made of."""
    package = tmp_path / "repository" / "utils" / "package"
    (package / "results").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "results" / "old.json").write_text("{}")
    git(tmp_path, "init", "-q", "repository")
    git(package, "add", ".")
    git(package, "commit", "-qm", "first")
    stamp_of(package, monkeypatch)
    return package


def stamp_of(package, monkeypatch):
    monkeypatch.setattr(ledger.stamp, "PACKAGE", package)
    ledger.stamp._commit.cache_clear()
    return ledger.commit()


def head(package):
    return git(package, "rev-parse", "HEAD")[:12]


def test_a_run_is_stamped_with_the_commit_of_the_package():
    assert ledger.RESULTS == PACKAGE / "results" and ledger.stamp.PACKAGE == PACKAGE
    if (ROOT / ".git").exists():
        assert ledger.commit().removesuffix("+changes") == head(PACKAGE)


def test_records_are_no_changes_of_the_code(checkout, monkeypatch):
    assert ledger.commit() == head(checkout)
    for name in ("old.json", "new.json", "new.json.1.part"):
        (checkout / "results" / name).write_text("[]")
    assert stamp_of(checkout, monkeypatch) == head(checkout)
    record = new(checkout / "results" / "two runs.json")
    for seed in (0, 1):
        ledger.stamp._commit.cache_clear()  # as if each were a process of its own
        record.add("a", seed, {}, 1.0)
    assert [run["commit"] for run in record.runs] == [head(checkout)] * 2


@pytest.mark.parametrize("file", ["__init__.py", "new.py", "results.py", "deep/new.py"])
def test_changed_code_is_seen(checkout, monkeypatch, file):
    git(checkout, "config", "status.showUntrackedFiles", "no")  # a reader's own setting
    (checkout / file).parent.mkdir(exist_ok=True)
    (checkout / file).write_text("x = 1")
    assert stamp_of(checkout, monkeypatch) == head(checkout) + "+changes"


def test_a_clone_and_a_worktree_have_commits_of_their_own(checkout, tmp_path, monkeypatch):
    first = head(checkout)
    git(tmp_path, "clone", "-q", "repository", "clone")
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "worktree"))
    (checkout / "__init__.py").write_text("x = 1")
    git(checkout, "commit", "-qam", "second")
    for copy in ("clone", "worktree"):
        assert stamp_of(tmp_path / copy / "utils" / "package", monkeypatch) == first
    assert stamp_of(checkout, monkeypatch) == head(checkout) != first


def test_the_repository_of_a_hook_is_not_the_one_of_the_package(checkout, tmp_path, monkeypatch):
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    stamp = stamp_of(checkout, monkeypatch)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert stamp == head(checkout)


def test_a_package_that_no_repository_tracks_has_an_unknown_commit(checkout, tmp_path, monkeypatch):
    installed = checkout.parents[1] / ".venv" / "site-packages" / "package"  # in a repository
    outside = tmp_path / "site-packages" / "package"
    for package in (installed, outside):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
    (checkout.parents[1] / ".gitignore").write_text(".venv\n")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert stamp_of(installed, monkeypatch) == stamp_of(outside, monkeypatch) == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert stamp_of(checkout, monkeypatch) == "unknown"


def test_the_commit_is_that_of_the_code_in_memory(checkout, tmp_path):
    first = head(checkout)
    record = new(tmp_path / "record.json")
    (checkout / "__init__.py").write_text("x = 1")  # while the first run trains
    record.add("a", 0, {}, 1.0)
    git(checkout, "commit", "-qam", "second")
    record.add("a", 1, {}, 1.0)
    assert [run["commit"] for run in record.runs] == [first] * 2


def test_the_hardware_is_what_the_run_used(monkeypatch):
    names = {0: "first card", 1: "second card"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index or 0])
    record = new(None)
    for seed, device in enumerate(("cpu", "cuda", "cuda:1", "mps")):
        record.add("a", seed, {}, 1.0, device)
    used = [run["hardware"].split("; ")[1] for run in record.runs]
    assert used == ["no GPU", "first card", "second card", "mps"]


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


def test_what_another_process_added_is_kept(tmp_path):
    path = tmp_path / "record.json"
    mine, other = new(path), new(path)  # both opened before either has a run
    mine.add("a", 0, {"e": 1.0}, 1.0)
    other.add("a", 1, {"e": 2.0}, 1.0)
    mine.add("a", 2, {"e": 3.0}, 1.0)
    assert ledger.read(path).values("a", "e") == mine.values("a", "e") == [1.0, 2.0, 3.0]
    path.unlink()  # moved away meanwhile
    mine.add("a", 0, {"e": 9.0}, 1.0)
    assert ledger.read(path).values("a", "e") == [9.0, 2.0, 3.0]


def test_a_file_that_became_another_record_is_not_overwritten(tmp_path):
    path = tmp_path / "record.json"
    record = new(path)
    new(path, data="other").add("b", 0, {}, 1.0)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="another record meanwhile .*data: 'other' there"):
        record.add("a", 0, {}, 1.0)
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        record.add("a", 0, {}, 1.0)
    assert not record.runs and path.read_text() == "{" and before


def test_a_run_that_json_cannot_hold_changes_neither_file_nor_memory(tmp_path):
    record = new(tmp_path / "record.json")
    record.add("a", 0, {"e": 1.0}, 1.0)
    before = record.path.read_bytes()
    for value in (torch.tensor(1.0), {1, 2}, object()):
        with pytest.raises(TypeError, match="not JSON serializable"):
            record.add("a", 1, {"e": value}, 1.0)
    assert record.path.read_bytes() == before and not record.has("a", 1)
    assert list(tmp_path.iterdir()) == [record.path]


def test_memory_holds_what_a_reader_of_the_file_finds(tmp_path):
    record = new(tmp_path / "record.json")
    record.add("a", np.int64(0), {"sides": (1, 2), "by depth": {20: 1.0}}, 1)
    assert record.runs == ledger.read(record.path).runs
    assert record.runs[0]["results"] == {"sides": [1, 2], "by depth": {"20": 1.0}}


def test_a_link_is_followed(tmp_path):
    new(tmp_path / "real.json").add("a", 0, {}, 1.0)
    (tmp_path / "link.json").symlink_to("real.json")
    new(tmp_path / "link.json").add("a", 1, {}, 1.0)
    assert (tmp_path / "link.json").is_symlink()
    assert len(ledger.read(tmp_path / "real.json").runs) == 2


def test_a_file_that_cannot_be_written_is_refused_before_the_training(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "folder.json", tmp_path / "file" / "record.json"):
        with pytest.raises(OSError):
            new(path)
    new(tmp_path / "new" / "record.json")
    assert not list((tmp_path / "new").iterdir())  # the trial leaves nothing


def test_a_run_that_a_file_has_twice_is_named(tmp_path):
    record = new(tmp_path / "record.json")
    for seed in (0, 1):
        record.add("a", seed, {"e": 1.0}, 1.0)
    fields = json.loads(record.path.read_text())
    fields["runs"].append(fields["runs"][1])  # as after a merge by hand
    record.path.write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="record.json has a run twice: a, seed 1"):
        ledger.read(record.path)


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
    record.path.write_bytes(b"\xff\xfe{")
    with pytest.raises(ValueError, match="record.json is not JSON"):
        ledger.read(record.path)


def test_an_arm_that_is_not_there_is_named():
    record = new(None)
    record.add("a", 0, {"e": 1.0}, 1.0)
    with pytest.raises(KeyError, match="no run of 'b'; there are a"):
        record.values("b", "e")
    with pytest.raises(KeyError, match="test, a: no 'error'; there are e"):
        record.values("a", "error")


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


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_has_no_spread(bad):
    record = new(None)
    for seed, value in enumerate((2.0, bad)):
        record.add("a", seed, {"error": value}, 1.0)
        record.add("b", seed, {"error": bad}, 1.0)
        record.add("c", seed, {"error": 1.0}, 1.0)
    lines = ledger.summary(record, "error")
    assert {line.arm: str(line) for line in lines}["c"] == "1.00 ± 0.00"
    assert all(line.std != line.std and line.n == 2 for line in lines if line.arm != "c")
    if bad != bad:
        assert lines[0].arm == "c"


def test_a_mean_that_is_nan_comes_last():
    record = new(None)
    for arm, value in (("a", 2.0), ("b", float("nan")), ("c", 1.0)):
        record.add(arm, 0, {"error": value}, 1.0)
    assert [line.arm for line in ledger.summary(record, "error")] == ["c", "a", "b"]


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
    configurations |= {name: e.configuration() for name, e in GENERATED.items()}
    configurations["on-a-gpu"] = findings.configuration()
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
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path / "none"))
    assert ledger.leaderboard("race") == [("race: not recorded yet", "", "", "")]
    record = new(tmp_path / "race.json")
    for seed, error in enumerate((3.0, 5.0)):
        record.add("slow", seed, {"test error": error, "training seconds": 90.0}, 100.0)
    record.add("fast", 0, {"test error": 2.0, "training seconds": 30.0}, 40.0)
    assert ledger.leaderboard("race") == [
        ("fast", "2.00", "1", "0.5"),
        ("slow", "4.00 ± 1.41", "2", "1.5"),
    ]
    new(tmp_path / "slow.json").add("a", 0, {"iou": 0.5}, 90.0)  # no clock of the training alone
    assert ledger.leaderboard("slow", "iou") == [("a", "0.500", "1", "1.5")]


def test_the_readers_own_rows_follow_and_say_what_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger.files, "RESULTS", tmp_path / "package")
    monkeypatch.setenv("RESNORM_RUNS", str(tmp_path / "mine"))

    def add(folder, data, configuration, error):
        path = tmp_path / folder / "race.json"
        record = ledger.open_record(path, "race", "none", data, configuration)
        record.add("a", 0, {"test error": error, "training seconds": 60.0}, 90.0)

    assert ledger.own("race") is None
    add("mine", "photos", {"epochs": 1}, 12.0)
    assert ledger.own("race").values("a", "test error") == [12.0]
    missing = ("race: not recorded yet", "", "", "")
    mine = ("12.00", "1", "1.0")
    assert ledger.leaderboard("race") == [missing, ("a (yours)", *mine)]
    add("package", "photos", {"epochs": 1}, 11.0)
    shipped = ("a", "11.00", "1", "1.0")
    assert ledger.leaderboard("race") == [shipped, ("a (yours)", *mine)]
    for data, configuration, words in (
        ("drawings", {"epochs": 1}, "yours; drawings"),
        ("photos", {"epochs": 2}, "yours; other settings"),
    ):
        (tmp_path / "mine" / "race.json").unlink()
        add("mine", data, configuration, 12.0)
        assert ledger.leaderboard("race") == [shipped, (f"a ({words})", *mine)]
    (tmp_path / "mine" / "race.json").write_text("{")
    with pytest.raises(ValueError, match="race.json is not JSON"):
        ledger.leaderboard("race")


@pytest.mark.parametrize("reason", ["full", "gone", "read-only"])
def test_a_run_is_not_lost_with_the_drive(tmp_path, monkeypatch, reason):
    path = tmp_path / "drive" / "race.json"
    record = ledger.open_record(path, "race", "none", "photos", {})
    record.add("a", 0, {"test error": 1.0}, 1.0)
    before, write = path.read_bytes(), ledger.record.write
    problem = {"full": 28, "gone": 5, "read-only": 30}[reason]

    def to_a_broken_drive(record, where):
        if path.parent in Path(where).parents:
            raise OSError(problem, os.strerror(problem))
        write(record, where)

    monkeypatch.setattr(ledger.record, "write", to_a_broken_drive)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(
        OSError, match=r"All finished runs are in .*race\.[0-9a-f]+\.json"
    ) as caught:
        record.add("a", 1, {"test error": 2.0}, 1.0)
    assert path.read_bytes() == before and os.strerror(problem) in str(caught.value)
    (rescued,) = tmp_path.glob("race.*.json")
    assert ledger.read(rescued).values("a", "test error") == [1.0, 2.0]
    merged = ledger.merge([ledger.read(path), ledger.read(rescued)])
    assert merged.values("a", "test error") == [1.0, 2.0]
