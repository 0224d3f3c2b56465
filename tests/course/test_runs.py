"""One submission never stops the class: what it provokes is its own report."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from test_folder import ANSWERS, NOTEBOOK, assignment, course, hand_in, marks, reasons  # noqa: F401

from resnorm.course import runs
from resnorm.course.folder import Course, CourseError, make
from resnorm.course.grading.reports import Report
from resnorm.course.runs import grade_class, run_tasks
from resnorm.course.sandbox.limits import DEFAULT_LIMITS, Limits
from resnorm.course.sandbox.runner import KernelNotStartedError


@dataclasses.dataclass(frozen=True)
class Named:
    """An assignment, as far as a report needs it."""

    name: str = "T1"


@dataclasses.dataclass(frozen=True)
class Task:
    """A submission that does something to the process that grades it."""

    student: str
    assignment: Named = Named()
    limits: Limits = DEFAULT_LIMITS

    def run(self):
        if self.student == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.student == "exits":
            os._exit(0)
        if self.student == "hangs":
            with threading.Lock():
                time.sleep(10_000)
        return Report(self.student, self.assignment.name, "graded")


def outcome(reports):
    return {report.student: report.status for report in reports}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_grading_process_that_is_lost_costs_only_its_own_submission(jobs):
    short = Limits(notebook_seconds=2.0)
    tasks = [Task("a"), Task("killed"), Task("b"), Task("exits"), Task("hangs", limits=short)]
    reports = list(run_tasks([*tasks, Task("c"), Task("d")], jobs))
    lost = dict.fromkeys(("killed", "exits", "hangs"), "failed")
    assert outcome(reports) == lost | dict.fromkeys("abcd", "graded")
    for report in reports:
        if report.status == "failed":
            assert "Run the command again" in report.incidents[0].message
    assert list(run_tasks([], jobs)) == []


def test_processes_end_with_the_command_that_started_them(tmp_path):
    """A kill that hits the command alone, as when memory is short, and not its process group."""
    code = "import test_runs\nlist(test_runs.run_tasks([test_runs.Task('hangs')], 1))"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path})
    started = psutil.Process(command.pid)
    try:
        until = time.monotonic() + 120
        while not any("spawn_main" in " ".join(p.cmdline()) for p in started.children()):
            assert time.monotonic() < until
            time.sleep(0.1)
        family = started.children(recursive=True)
        time.sleep(1)
    finally:
        command.kill()
        command.wait()
    _, alive = psutil.wait_procs(family, timeout=60)
    for process in alive:
        process.kill()
    assert alive == []


def submitted(course, student):  # noqa: F811
    return course.root / "submitted" / student / "T1"


def test_what_is_handed_in_costs_only_its_own_mark(course):  # noqa: F811
    """A pipe, a link and a deep folder in place of files; names that no terminal takes."""
    half = "\ud83d"
    pipe, link, deep, odd = (submitted(course, student) for student in ("bo", "cy", "di", "ann"))
    (pipe / NOTEBOOK).unlink()
    os.mkfifo(pipe / NOTEBOOK)
    os.mkfifo(pipe / "timestamp.txt")
    (link / NOTEBOOK).unlink()
    (link / NOTEBOOK).symlink_to(course.root / "source" / "T1" / NOTEBOOK)
    (link / "timestamp.txt").symlink_to("/etc/passwd")
    here = deep
    for _ in range(40):
        here = here / ("d" * 90)
        here.mkdir()
    (deep / "timestamp.txt").symlink_to("/dev/zero")
    os.mkfifo(odd / "data.csv")
    Path(os.fsdecode(os.fsencode(odd) + b"/\xff.txt")).write_text("x")
    hand_in(course, "ann", assignment(ANSWERS["ann"] + f"\nprint(chr({ord(half)}))"))

    reports = {report.student: report for report in grade_class(course, "T1", jobs=2)}
    refused = dict.fromkeys(("bo", "cy"), "refused")
    assert outcome(reports.values()) == refused | dict.fromkeys(("ann", "di"), "graded")
    assert "is a file" in reports["bo"].incidents[0].message
    assert marks(course) == {"ann": 2.0, "bo": None, "cy": None, "di": 2.0}
    assert not list(course.root.glob("restored/*/T1/timestamp.txt"))
    for report in reports.values():
        for incident in report.incidents:
            incident.message.encode()


def test_an_error_of_the_grader_is_a_report_and_is_tried_again(course, monkeypatch):  # noqa: F811
    def here(tasks, jobs):
        return [task.run() for task in tasks]

    def fails(submitted, *rest, student, **options):
        if student == "bo":
            raise KeyError("metadata")
        if student == "cy":
            raise RecursionError
        if student == "di":
            raise KernelNotStartedError("the kernel did not start: no memory")
        return grade(submitted, *rest, student=student, **options)

    grade = runs.grade
    monkeypatch.setattr(runs, "run_tasks", here)
    monkeypatch.setattr(runs, "grade", fails)
    reports = {report.student: report for report in grade_class(course, "T1")}
    failed = dict.fromkeys(("bo", "cy", "di"), "failed")
    assert outcome(reports.values()) == failed | {"ann": "graded"}
    assert "KeyError" in reports["bo"].incidents[0].message
    assert "Mark it by hand" in reports["bo"].incidents[0].message
    assert "the kernel did not start: no memory" in reports["di"].incidents[0].message
    assert "run the command again" in reports["di"].incidents[0].message
    assert marks(course)["ann"] == 2.0 and reasons(course)["di"] == (None, "not graded yet")
    monkeypatch.setattr(runs, "grade", grade)
    again = grade_class(course, "T1")
    assert set(outcome(again).values()) == {"graded"}
    assert marks(course) == {"ann": 2.0, "bo": 2.0, "cy": 0.0, "di": 2.0}


def test_a_record_that_is_damaged_is_graded_again(course, monkeypatch):  # noqa: F811
    grade_class(course, "T1", jobs=2)
    for student, text in {"ann": "{", "bo": "[]", "cy": '{"incidents": [{}]}'}.items():
        course.report_path("T1", student).write_text(text)
    seen = []
    monkeypatch.setattr(
        runs, "run_tasks", lambda tasks, jobs: seen.extend(t.student for t in tasks) or []
    )
    monkeypatch.setattr(runs.Gradebook, "enter", lambda *_: None)
    grade_class(course, "T1")
    assert seen == ["ann", "bo", "cy"]


def test_a_machine_on_which_no_kernel_starts_says_so_before_it_grades(course):  # noqa: F811
    with pytest.raises(CourseError, match="the kernel did not start"):
        grade_class(course, "T1", limits=Limits(memory=20 * 2**20, disk=20 * 2**20))


@pytest.fixture
def unready(tmp_path, monkeypatch):
    """A course without a gradebook, in which nothing may run."""
    source = tmp_path / "sources" / "T1"
    source.mkdir(parents=True)
    (source / NOTEBOOK).write_text(nbformat.writes(assignment()))
    make(tmp_path / "course", source.parent)
    made = Course(tmp_path / "course")
    (made.root / "students.csv").write_text("id\nann\n")
    hand_in(made, "ann", assignment(ANSWERS["ann"]))
    monkeypatch.setattr(runs, "require", lambda unsafe: True)
    monkeypatch.setattr(runs, "reference", lambda *_, **__: pytest.fail("the solution ran"))
    return made


def test_what_is_missing_in_the_end_is_said_before_anything_runs(unready):
    with pytest.raises(CourseError, match="T1 is not in the gradebook: run resnorm-course release"):
        grade_class(unready, "T1")
    (unready.root / "students.csv").write_bytes("id,name\nann,Müller\n".encode("cp1252"))
    with pytest.raises(CourseError, match="not in UTF-8"):
        grade_class(unready, "T1")


def test_a_student_who_is_named_twice_is_graded_once(course, monkeypatch):  # noqa: F811
    seen = []
    monkeypatch.setattr(
        runs, "run_tasks", lambda tasks, jobs: seen.extend(t.student for t in tasks) or []
    )
    monkeypatch.setattr(runs, "reference", lambda *_, **__: {})
    grade_class(course, "T1", ["bo", "ann", "bo"])
    assert seen == ["bo", "ann"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="jobs are not kept apart here")
def test_no_job_computes_on_the_processors_of_another_one(monkeypatch):
    for ours, jobs, expected in (
        ({0, 1, 2, 3}, 2, [{0, 1}, {2, 3}]),
        ({2, 3, 5}, 2, [{2}, {3, 5}]),
        ({0, 1}, 1, [{0, 1}]),
        ({4, 6}, 3, [{4}, {4}, {6}]),
    ):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, ours=ours: ours)
        assert [runs._processors(place, jobs) for place in range(jobs)] == expected
    monkeypatch.undo()
    one = min(os.sched_getaffinity(0))
    monkeypatch.setattr(runs, "_processors", lambda place, places: {one})
    pool = runs._pool()
    assert pool.submit(os.sched_getaffinity, 0).result() == {one}
    pool.shutdown()


def test_a_restored_notebook_that_is_lost_is_made_again(course):  # noqa: F811
    grade_class(course, "T1", ["ann"])
    restored = course.root / "restored" / "ann" / "T1" / NOTEBOOK
    restored.unlink()
    grade_class(course, "T1", ["ann"])
    assert restored.is_file()
