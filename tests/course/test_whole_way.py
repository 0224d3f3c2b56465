"""As a new instructor would: from an empty folder to marks for the LMS, for a class.

Each step is one command.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import harness
import nbformat
import pytest
from boxes import NOBODY, ordinary
from further_people import further_people, with_answers
from mutants import a1

from resnorm.course import cli
from resnorm.course.grading.cells import meta
from resnorm.course.sandbox import bubblewrap

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "notebooks" / "assignments" / "source" / "A1"
NOTEBOOK = next(SOURCE.glob("*.ipynb")).name
FULL = 24.0  # what is graded automatically; the written answer waits for a person


def command(*arguments, cwd=None, check=None):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "utils")}
    result = subprocess.run(
        [sys.executable, "-m", "resnorm.course.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )
    if check is not None:
        assert result.returncode == check, result.stdout + result.stderr
    return result


def solutions(source):
    return {task: harness.solution(source, task) for task in harness.tests_of(source)} | {
        "written": "Both values become plus and minus one."
    }


HOSTILE = {
    # always equal, whatever it is compared with
    "equal": """
class Same(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    shape, dtype = (), None
""",
    "torch": """
torch.allclose = lambda *a, **k: True
torch.isfinite = lambda x: torch.ones(1, dtype=torch.bool)
torch.Tensor.abs = lambda self: self * 0
""",
    "checker": """
checking.close = lambda *a, **k: None
checking.emit = lambda *a, **k: None
""",
}
FORWARD = """
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    return (Same() if 'Same' in globals() else x * 0), (x, x, x)
"""
STATISTICS = """
def channel_statistics(x):
    raise NotImplementedError
"""
CONNECTION = """
import socket
try:
    socket.create_connection(('127.0.0.1', 9), timeout=1)
except OSError:
    pass
"""
BAD = {"loop": "while True:\n    pass", "exit": "import os\nos._exit(0)"}


def points_by_task(source):
    """Task -> the points of its tests."""
    points = {meta(cell).get("grade_id"): meta(cell).get("points") for cell in source.cells}
    return {
        task: sum(points[test] for test in tests)
        for task, tests in harness.tests_of(source).items()
    }


def the_class(release, source):
    """Student -> (what is handed in, expected automatic mark or None for none, expected status)."""
    right = solutions(source)
    by_task = points_by_task(source)
    people = {}

    def add(notebook, mark, status="graded"):
        people[f"s{len(people) + 1:02}"] = (notebook, mark, status)

    add(with_answers(release, right), FULL)
    for task in (
        "channel_statistics",
        "forward",
        "running",
        "evaluation",
        "fold",
        "backward",
    ):  # right, written differently
        add(with_answers(release, right | {task: next(iter(a1.RIGHT[task].values()))}), FULL)
    expected = harness.reference(source)
    for task, name in (
        ("forward", "no beta"),
        ("running", "biased"),
        ("fold", "sign of the mean"),
        ("backward", "statistics constant"),
        ("evaluation", "sign"),
        ("channel_statistics", "unbiased"),
    ):
        wrong = right | {task: harness.edited(right[task], a1.WRONG[task][name])}
        found = harness.verdicts(source, expected, wrong)
        mark = sum(v.points for v in found.values() if not v.bonus)
        assert mark < FULL
        add(with_answers(release, wrong), mark)
    add(release, 0.0)  # nothing done
    add(
        with_answers(release, {key: right[key] for key in ("channel_statistics", "forward")}),
        by_task["channel_statistics"] + by_task["forward"],
    )
    add(
        with_answers(release, right | {"running": "def update_running(:\n"}),
        FULL - by_task["running"],
    )  # does not parse
    cut = with_answers(release, right)
    cut.cells = [
        cell for cell in cut.cells if meta(cell).get("grade_id") not in ("test_fold", "backward")
    ]
    add(cut, FULL - by_task["backward"])  # a test and an answer deleted: the test is put back
    beta = right | {"fold": harness.edited(right["fold"], a1.WRONG["fold"]["beta forgotten"])}
    softened = with_answers(release, beta)
    for cell in softened.cells:
        if meta(cell).get("grade_id") == "test_fold":
            cell.source = "print('passed')"
    found = harness.verdicts(source, expected, beta)
    lost = by_task["fold"] - sum(found[test].points for test in harness.tests_of(source)["fold"])
    assert lost > 0
    add(softened, FULL - lost)
    before = by_task["channel_statistics"] + by_task["forward"] + by_task["running"]
    for bad in BAD.values():  # what ran before counts
        wrong = right | {"evaluation": f"{right['evaluation']}\n{bad}\n"}
        add(with_answers(release, wrong), before, "unfinished")
    for trick in HOSTILE.values():  # tricks on top of an empty answer earn nothing
        wrong = {"forward": trick + FORWARD, "channel_statistics": STATISTICS}
        add(with_answers(release, wrong), 0.0)
    network = right | {"forward": right["forward"] + CONNECTION}
    add(with_answers(release, network), FULL)
    flood = right | {"forward": right["forward"] + "\nprint('x' * 100 * 2**20)"}
    add(with_answers(release, flood), by_task["channel_statistics"], "unfinished")
    for content, mark in further_people(release, right, FULL):
        add(content, mark)
    add(b"", None, "refused")
    add(b"%PDF-1.4 this is no notebook", None, "refused")
    add(
        json.dumps({"nbformat": 9, "nbformat_minor": 0, "cells": [], "metadata": {}}).encode(),
        None,
        "refused",
    )
    assert len(people) == 50
    return people


def bulk_download(folder, people):
    """A Canvas download: one flat zip, names in the files' names."""
    path = folder / "submissions.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for number, (student, (content, _, _)) in enumerate(people.items()):
            late = "LATE_" if student == "s03" else ""
            data = content if isinstance(content, bytes) else nbformat.writes(content).encode()
            zipped.writestr(
                f"surname{student}_{late}{1000 + number}_{5000 + number}_{NOTEBOOK}", data
            )
        zipped.writestr(f"stranger_999999_1_{NOTEBOOK}", b"{}")
    return path


@pytest.fixture(scope="module")
def course(tmp_path_factory, missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    folder = tmp_path_factory.mktemp("teaching") / "course"
    command("init", folder, check=0)
    return folder


@pytest.fixture(scope="module")
def people(course):
    command("release", "A1", "-c", course, check=0)
    release = nbformat.read(course / "release" / "A1" / NOTEBOOK, as_version=4)
    source = nbformat.read(SOURCE / NOTEBOOK, as_version=4)
    made = the_class(release, source)
    with (course / "students.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["id", "name", "email", "lms_id"],
                *([s, f"Surname {s}", f"{s}@school.example", 1000 + n] for n, s in enumerate(made)),
            ]
        )
    return made


@pytest.fixture(scope="module")
def graded(course, people):
    collected = command(
        "collect", "A1", bulk_download(course.parent, people), "-c", course, check=1
    )
    assert (
        f"Collected {len(people)} of {len(people)}" in collected.stdout
        and "Late: s03" in collected.stdout
    )
    assert "Not taken: stranger: nobody in the class list" in collected.stderr
    before = snapshot(course)
    # killed in the middle, and started again
    environment = os.environ | {"PYTHONPATH": str(ROOT / "utils")}
    arguments = ["grade", "A1", "-c", str(course), "--jobs", "2", "--cell-seconds", "60"]
    first = subprocess.Popen(
        [sys.executable, "-m", "resnorm.course.cli", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    reports = course / "reports" / "A1"
    deadline = time.monotonic() + 600  # a machine may be busy; six reports end the wait
    while len(list(reports.glob("s*.json"))) < 6 and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    time.sleep(1)
    done = {path.name: path.stat().st_mtime_ns for path in reports.glob("s*.json")}
    assert 6 <= len(done) < len(people)
    result = command(*arguments, check=1)
    assert snapshot(course) == before, "grading changed what it only reads"
    return result, done


def snapshot(course):
    """Contents of what students' code must neither see nor change."""
    return {
        path: path.read_bytes()
        for name in ("source", "release", "submitted", "students.csv", "nbgrader_config.py")
        for path in [course / name, *(course / name).rglob("*")]
        if path.is_file()
    }


def test_every_mark_is_as_expected_and_none_is_a_silent_zero(course, people, graded):
    reports = {
        student: json.loads((course / "reports" / "A1" / f"{student}.json").read_text())
        for student in people
    }
    found = {
        student: (report["points"] if report["status"] != "refused" else None, report["status"])
        for student, report in reports.items()
    }
    assert found == {student: (mark, status) for student, (_, mark, status) in people.items()}
    for student, report in reports.items():
        if report["status"] != "graded":
            assert report["incidents"], student
        assert all(
            verdict["message"] or verdict["points"] == verdict["possible"]
            for verdict in report["verdicts"]
        )


def test_what_was_done_when_it_was_killed_is_not_done_again(course, graded):
    _, done = graded
    assert {name: (course / "reports" / "A1" / name).stat().st_mtime_ns for name in done} == done
    again = command("grade", "A1", "-c", course, "--jobs", "2", "--cell-seconds", "60", check=1)
    assert again.stdout == graded[0].stdout


def test_grading_without_a_terminal_says_how_far_it_is(graded, people):
    lines = [line for line in graded[0].stderr.splitlines() if " done: " in line]
    assert re.fullmatch(rf"{len(people)} of {len(people)} done: s\d+", lines[-1])


def test_an_ordinary_user_gives_the_same_marks(course, people, graded):
    """Of root's course, nobody grades a copy; an ordinary user has graded it above."""
    if os.geteuid() != 0:
        pytest.skip("this user is an ordinary one, and has graded the whole class above")
    tried = ["s01", "s08", "s14", "s20", "s31", "s45"]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # which nobody can enter
        copied = Path(folder, "course")
        shutil.copytree(course, copied, ignore=shutil.ignore_patterns("reports", "restored"))
        for path in [Path(folder), copied, *copied.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        words = ["grade", "A1", *tried, "-c", str(copied), "--cell-seconds", "60"]
        result = ordinary([sys.executable, "-P", "-m", "resnorm.course.cli", *words])
        for student in tried:
            report = copied / "reports" / "A1" / f"{student}.json"
            assert report.exists(), result.stdout + result.stderr
            found = json.loads(report.read_text())
            assert (found["points"], found["status"]) == people[student][1:], student


def test_feedback_and_export(course, people, graded):
    pages = sum(mark is not None for _, mark, _ in people.values())
    assert f"Wrote {pages} pages" in command("feedback", "A1", "-c", course, check=0).stdout
    page = (course / "feedback" / "s08" / "A1" / NOTEBOOK.replace(".ipynb", ".html")).read_text()
    assert "comparisons agree" in page and "HIDDEN" not in page and "manual_seed(12)" not in page
    exported = command("export", "A1", "canvas", "-c", course, check=1)  # written answers wait
    assert "waits for a person: written" in exported.stderr
    rows = list(csv.reader((course / "marks" / "A1-canvas.csv").open()))
    assert rows[0][:2] == ["Student", "ID"] and rows[1][-1] == "30"
    marks = {row[2]: row[-1] for row in rows[2:]}
    bonus = 3.0
    for student, (_, mark, _) in people.items():
        assert (
            marks[student] == "" if mark is None else float(marks[student]) in (mark, mark + bonus)
        ), student
    command("export", "A1", "moodle", "-c", course, check=1)
    shown = command("status", "-c", course, check=0).stdout
    states = Counter(status for _, _, status in people.values())
    assert f"{len(people)} of {len(people)} handed in; {states['graded']} graded; " in shown
    assert f"{states['unfinished']} unfinished; {states['refused']} refused; " in shown


def test_nothing_of_one_submission_reaches_the_next_or_the_outside(course, graded):
    names = {path.name for path in course.iterdir()}
    assert names <= {
        "source",
        "release",
        "students.csv",
        "nbgrader_config.py",
        "gradebook.db",
        "submitted",
        "restored",
        "reports",
        "autograded",
        "feedback",
        "marks",
        "duplicates",
        ".lock",
    }
    assert not list(course.rglob("*.part"))


def test_what_is_missing_is_said_in_one_line(tmp_path, course, monkeypatch, capsys):
    for arguments, wanted in (
        (["grade", "A1", "-c", tmp_path], "is not a course"),
        (["release", "A9", "-c", course], "no assignment 'A9': there are A1"),
        (["collect", "A1", tmp_path / "nothing.zip", "-c", course], "there is no"),
        (["init", course], "is not empty"),
        (["export", "A1", "blackboard", "-c", course], "canvas or moodle"),
    ):
        monkeypatch.setattr(sys, "argv", ["resnorm-course", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        message = capsys.readouterr().err.strip()
        assert end.value.code == 2 and wanted in message and "\n" not in message
    assert command("--help").returncode == 0


def test_the_whole_release_has_no_trace_of_a_solution(course, people):
    traces = (r"BEGIN SOLUTION", r"HIDDEN", r"Rubric", r"inv_std = \(", r"share \* \(x - mean")
    text = (course / "release" / "A1" / NOTEBOOK).read_text()
    source = (course / "source" / "A1" / NOTEBOOK).read_text()
    for trace in traces:
        assert re.search(trace, source) and not re.search(trace, text), trace
