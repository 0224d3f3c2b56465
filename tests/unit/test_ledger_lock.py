"""Several processes add to one record, and no run is lost."""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import filelock
import pytest

from resnorm import ledger

ADD = """
import sys
from resnorm import ledger
path, arm, seeds = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = ledger.open_record(path, "test", "run it", "none", {"lr": 0.1})
for seed in range(seeds):
    record.add(arm, seed, {"error": 1.0}, 1.0)
"""


def opened(path):
    return ledger.open_record(path, "test", "run it", "none", {"lr": 0.1})


def by_name(folder):
    return [folder / "record.json"] * 3


def by_link(folder):
    (folder / "link.json").symlink_to("record.json")
    return [folder / "record.json", folder / "link.json", folder / "link.json"]


def by_another_path(folder):
    (folder / "deep").mkdir()
    return [folder / "record.json", folder / "deep" / ".." / "record.json", folder / "record.json"]


@pytest.mark.parametrize("paths", [by_name, by_link, by_another_path])
def test_what_processes_add_at_the_same_time_is_all_kept(tmp_path, paths):
    opened(tmp_path / "record.json").add("first", 0, {"error": 1.0}, 1.0)
    running = [
        subprocess.Popen([sys.executable, "-c", ADD, path, f"arm {i}", "12"])
        for i, path in enumerate(paths(tmp_path))
    ]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    runs = ledger.read(tmp_path / "record.json").runs
    assert len(runs) == 1 + 3 * 12
    there = {path.name for path in tmp_path.iterdir()}
    assert there <= {"record.json", "link.json", "deep"}  # the lock is elsewhere


def test_what_threads_add_at_the_same_time_is_all_kept(tmp_path):
    def add(arm):
        record = opened(tmp_path / "record.json")
        for seed in range(20):
            record.add(arm, seed, {}, 1.0)

    threads = [threading.Thread(target=add, args=(arm,)) for arm in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(ledger.read(tmp_path / "record.json").runs) == 60


def fails(*_, **__):
    raise PermissionError("read-only")


def test_a_lock_that_another_process_keeps_is_waited_for_and_then_gone_without(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(ledger.lock, "PATIENCE", 0.1)
    record = opened(tmp_path / "record.json")
    record.add("a", 0, {}, 1.0)
    (name,) = (tmp_path / "locks").iterdir()
    held, release = threading.Event(), threading.Event()

    def hold():
        with filelock.FileLock(name):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    with pytest.warns(UserWarning, match="record.json is written without a lock"):
        record.add("a", 1, {}, 1.0)
    release.set()
    thread.join()
    assert len(ledger.read(record.path).runs) == 2


def test_without_a_place_for_the_lock_the_run_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(filelock.FileLock, "acquire", fails)
    record = opened(tmp_path / "record.json")
    with pytest.warns(UserWarning, match="without a lock .*read-only"):
        record.add("a", 0, {}, 1.0)
    assert len(ledger.read(record.path).runs) == 1


def test_an_error_frees_the_lock(tmp_path):
    path = Path(tmp_path / "record.json")
    record = opened(path)
    path.write_text("{")
    for _ in range(2):
        with pytest.raises(ValueError, match="not JSON"):
            record.add("a", 0, {}, 1.0)
    path.unlink()
    record.add("a", 0, {}, 1.0)
    assert len(ledger.read(path).runs) == 1
