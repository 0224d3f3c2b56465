"""Grade what a class has handed in, several submissions at a time."""

from __future__ import annotations

import faulthandler
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import nbformat

from .collecting.times import NOTED
from .folder import Assignment, Course, CourseError
from .gradebook import Gradebook
from .grading import fingerprints
from .grading.grader import grade
from .grading.reading import NotGradableError, read_submission
from .grading.reference import Reference, reference
from .grading.reports import Report, machine_failure
from .hidden_images import hidden_images
from .sandbox.bubblewrap import NoSandboxError, require
from .sandbox.incidents import Incident
from .sandbox.limits import DEFAULT_LIMITS, Limits
from .sandbox.runner import KernelNotStartedError
from .sanitizing import sanitized
from .variants import from_another_variant, instructors_notebook

#: A grading process is given up after this many times the time of one notebook.
PATIENCE = 3


def grade_class(
    course: Course,
    name: str,
    students: Iterable[str] | None = None,
    *,
    jobs: int = 1,
    force: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    unsafe: bool = False,
    on_report: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Grade what is handed in and has changed since it was last graded.

    Args:
        course: the course's folder.
        name: of the assignment.
        students: ids of the students to grade; None for all who handed something in.
        jobs: number of submissions that run at the same time.
        force: grade again what has not changed.
        limits: what one submission may use.
        unsafe: grade without a sandbox where there is none.
        on_report: called with each report as soon as there is one.

    Returns:
        One report per student, also for what cannot be graded, in the order of the ids.

    Raises:
        CourseError: there is nothing to grade, a student is not known, there is no sandbox, the
            class list cannot be read, the assignment is not released or has no hidden images yet,
            or the instructor's solution itself fails.
    """
    try:
        require(unsafe)
    except NoSandboxError as problem:
        raise CourseError(str(problem)) from None
    assignment, submitted = course.assignment(name), course.submitted(name)
    chosen = _chosen(name, submitted, students)
    # What the end needs is there before an hour is spent.
    course.students()
    gradebook = Gradebook(course)
    if not gradebook.has(name):
        raise CourseError(
            f"{name} is not in the gradebook: run resnorm-course release {name}, then grade again"
        )
    hidden = hidden_images(course, name)
    source = instructors_notebook(course, name)
    cache = course.root / "reports" / ".reference"
    try:
        expected = reference(source, cache, assignment.files, limits, unsafe=unsafe)
    except (NotGradableError, KernelNotStartedError) as problem:
        raise CourseError(str(problem)) from None
    base = fingerprints.of_grading(source, assignment.files, limits, hidden)
    tasks: list[_Task] = []
    reports: list[Report] = []
    for student in chosen:
        folder = submitted[student]
        try:
            key = f"{base}-{fingerprints.of_folder(folder)}"
        except (OSError, ValueError) as problem:
            reports.append(_failed(student, name, problem))
            continue
        report = course.report(name, student)
        restored = course.root / "restored" / student / name / assignment.notebook.name
        is_there = report and (restored.is_file() or not report.has_mark)
        if report and is_there and report.key == key and not force:
            reports.append(report)
        else:
            task = _Task(course, assignment, student, key, folder, expected, hidden, limits, unsafe)
            tasks.append(task)
    for report in reports:
        on_report(report)
    for report in run_tasks(tasks, jobs):
        reports.append(report)
        on_report(report)
    gradebook.enter(name, reports)
    return sorted(reports, key=lambda report: report.student)


def _chosen(name: str, submitted: dict[str, Path], students: Iterable[str] | None) -> list[str]:
    """The students to grade, each once.

    Raises:
        CourseError: there are none, or one of them has handed in nothing.
    """
    chosen = list(dict.fromkeys(sorted(submitted) if students is None else students))
    if unknown := [student for student in chosen if student not in submitted]:
        raise CourseError(f"{', '.join(unknown)}: nothing handed in for {name}")
    if not chosen:
        raise CourseError(
            f"nothing is handed in for {name}: run resnorm-course collect {name} EXPORT first"
        )
    return chosen


def _failed(student: str, assignment: str, problem: Exception) -> Report:
    """The report of a submission that could not be graded. It is not kept."""
    if isinstance(problem, (OSError, MemoryError, KernelNotStartedError)):
        incident = machine_failure(problem)
    else:
        what = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
        incident = Incident(
            -1,
            "machine",
            f"could not be graded: {what}. Mark it by hand, and report this fault of the grader",
        )
    return Report(student, assignment, "failed", incidents=[incident])


@dataclass(frozen=True)
class _Task:
    """One submission to grade, with everything that its own process needs to know."""

    course: Course
    assignment: Assignment
    student: str
    key: str
    folder: Path
    expected: Reference
    hidden: Path | None
    limits: Limits
    unsafe: bool

    def run(self) -> Report:
        """Grade the submission and write its files; the report is written last."""
        name = self.assignment.name
        destination = self.course.root / "restored" / self.student / name
        part = destination.with_name(destination.name + ".part")
        try:
            report = self._grade(part)
            shutil.rmtree(destination, ignore_errors=True)
            os.replace(part, destination)
        except NotGradableError as problem:
            incidents = [Incident(-1, "refused", str(problem))]
            report = Report(self.student, name, "refused", incidents=incidents)
        except Exception as problem:  # whatever a submission provokes, the others are graded
            shutil.rmtree(part, ignore_errors=True)
            return _failed(self.student, name, problem)
        report.key = self.key
        try:
            report.write(self.course.report_path(name, self.student))
        except Exception as problem:
            # Without a report on disk, the next run tries again.
            return _failed(self.student, name, problem)
        return report

    def _grade(self, destination: Path) -> Report:
        """Grade the submission and write the notebook that ran to a new folder."""
        name = self.assignment.notebook.name
        path = self.folder / name
        files = sorted(self.folder.iterdir())
        if not path.is_file() or path.is_symlink():
            there = ", ".join(file.name[:80] for file in files[:10]) or "nothing"
            raise NotGradableError(f"there is no {name} that is a file among {there}")
        ours = {file.name for file in self.assignment.files} | {name, NOTED}
        theirs = [
            file
            for file in files
            if file.is_file() and not file.is_symlink() and file.name not in ours
        ]
        source = instructors_notebook(self.course, self.assignment.name)
        submitted = read_submission(path)
        notebook, report = grade(
            submitted,
            source,
            self.expected,
            student=self.student,
            assignment=self.assignment.name,
            files=[*self.assignment.files, *theirs],
            limits=self.limits,
            hidden=self.hidden,
            unsafe=self.unsafe,
        )
        other = from_another_variant(submitted, self.course, self.assignment.name)
        report.incidents = [*other, *report.incidents]
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir(parents=True)
        nbformat.write(sanitized(notebook, source), destination / name)
        timestamp = self.folder / NOTED
        if timestamp.is_file() and not timestamp.is_symlink():
            shutil.copy(timestamp, destination)
        return report


def run_tasks(tasks: list[_Task], jobs: int) -> Iterator[Report]:
    """Grade submissions in processes of their own, each of which grades one at a time.

    A process that is killed, or that does not come back, costs its submission a report with the
    status ``failed``, and no other submission anything.

    Args:
        tasks: the submissions.
        jobs: number of processes at the same time.

    Yields:
        Reports, as they come.
    """
    waiting = iter(tasks)
    running: dict[Future[Report], tuple[_Task, ProcessPoolExecutor, int]] = {}
    places = max(1, min(jobs, len(tasks)))

    def start(pool: ProcessPoolExecutor, place: int) -> None:
        """Give a pool its next submission, or close it when there are no more."""
        if task := next(waiting, None):
            running[pool.submit(_run, task)] = task, pool, place
        else:
            pool.shutdown(wait=False)

    try:
        for place in range(min(jobs, len(tasks))):
            start(_pool(place, places), place)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, pool, place = running.pop(future)
                try:
                    report = future.result()
                except BrokenProcessPool:
                    pool.shutdown(wait=False)
                    pool = _pool(place, places)
                    report = _lost(task)
                start(pool, place)
                yield report
    finally:
        for _, pool, _ in running.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(place: int = 0, places: int = 1) -> ProcessPoolExecutor:
    """A process that grades, the one with this number among several."""
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(_processors(place, places),),
    )


def _processors(place: int, places: int) -> set[int]:
    """The processors that one job keeps to; empty where there is no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    ours = sorted(os.sched_getaffinity(0))
    first, after = (number * len(ours) // places for number in (place, place + 1))
    return set(ours[first:after]) or {ours[place % len(ours)]}


def _begin(processors: set[int]) -> None:
    """Keep this process, and the boxes that it makes, to some processors, and to its parent's life.

    A submission with hundreds of busy processes would slow down what other jobs run, until that is
    stopped because its time is up.
    """
    if processors:
        os.sched_setaffinity(0, processors)
    _end_with_parent()


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however it did.

    A pool's process does not see that. It would write its report beside those of the next command,
    and then wait for ever.
    """
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(task: _Task) -> Report:
    """Grade one submission in this process, which ends when that takes far too long."""
    seconds = PATIENCE * task.limits.notebook_seconds
    with open(os.devnull, "w") as file:
        # This needs neither the interpreter's lock nor its event loop.
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            return task.run()
        finally:
            faulthandler.cancel_dump_traceback_later()


def _lost(task: _Task) -> Report:
    """The report of a submission whose process was killed, or did not come back."""
    message = (
        "could not be graded: the grading process was killed (out of memory?) or took more than "
        f"{PATIENCE * task.limits.notebook_seconds:.0f} s. Run the command again, with fewer --jobs"
    )
    incidents = [Incident(-1, "machine", message)]
    return Report(task.student, task.assignment.name, "failed", incidents=incidents)
