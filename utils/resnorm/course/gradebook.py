"""What nbgrader does for us: release an assignment, keep the gradebook, write the feedback."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from .collecting.times import NOTED, HandedIn
from .folder import VARIANTS, Course, CourseError
from .grading.cells import graded_cells, meta
from .grading.reports import Report, machine_failure
from .grading.weights import rules
from .marks import MISSING, Mark, mark_of
from .markup import safe_name
from .variants import instructors_notebook, write_variant


class Gradebook:
    """The gradebook of a course, which nbgrader keeps.

    Args:
        course: the course's folder.
    """

    def __init__(self, course: Course):
        self.course = course

    def release(self, name: str) -> Path:
        """Write the students' notebook and enter the assignment into the gradebook.

        Args:
            name: of the assignment.

        Returns:
            The students' notebook.

        Raises:
            CourseError: a graded cell compares nothing, the variants of the assignment cannot be
                used, or nbgrader finds a fault.
        """
        assignment = self.course.assignment(name)
        cells = graded_cells(instructors_notebook(self.course, name))
        compares = re.compile(r"checking\.(close|emit)\(")
        compared = [cell for cell in cells if not rules(cell)]
        if silent := [meta(c)["grade_id"] for c in compared if not compares.search(c.source)]:
            raise CourseError(
                f"{name}: these graded cells compare nothing, so they would earn nothing: "
                f"{', '.join(silent)}; use checking.close or checking.emit"
            )
        api = self._api(source=write_variant(self.course, name))
        _check(f"release {name}", api.generate_assignment(name, force=True, create=True))
        return self.course.root / "release" / name / assignment.notebook.name

    def has(self, name: str) -> bool:
        """Say whether an assignment is in the gradebook, which ``release`` does.

        Args:
            name: of the assignment.
        """
        if not (self.course.root / "gradebook.db").is_file():
            return False
        with self._api().gradebook as gradebook:
            return _has(gradebook, name)

    def due(self, name: str) -> datetime | None:
        """Get the deadline of an assignment in UTC, or None if there is none.

        Args:
            name: of the assignment.
        """
        if not (self.course.root / "gradebook.db").is_file():
            return None
        with self._api().gradebook as gradebook:
            due = gradebook.find_assignment(name).duedate if _has(gradebook, name) else None
        return due.replace(tzinfo=UTC) if due else None

    def set_due(self, name: str, due: datetime) -> bool:
        """Enter the deadline of an assignment, which late penalties are counted from.

        Args:
            name: of the assignment.
            due: the deadline, with its time zone.

        Returns:
            Whether the gradebook has the assignment, which is entered by ``release``.
        """
        with self._api().gradebook as gradebook:
            if not _has(gradebook, name):
                return False
            gradebook.update_or_create_assignment(name, duedate=due.astimezone(UTC))
        return True

    def assign_penalties(self, name: str) -> None:
        """Count late penalties anew, by the deadline, times and marks as they are now.

        nbgrader counts them once, before anybody has marked the written answers.

        Args:
            name: of the assignment.
        """
        from nbgrader.preprocessors import AssignLatePenalties

        api = self._api()
        late = []
        with api.gradebook as gradebook:
            for submission in gradebook.assignment_submissions(name):
                student = submission.student.id
                path = self.course.root / "submitted" / student / name / NOTED
                handed_in = HandedIn.read(path)
                when = handed_in.when if handed_in else None
                submission.timestamp = when.replace(tzinfo=None) if when else None
                if submission.total_seconds_late or submission.late_submission_penalty:
                    late += [(student, notebook.name) for notebook in submission.notebooks]
            gradebook.db.commit()
        for student, notebook in late:
            about = {"assignment": name, "student": student, "notebook": notebook}
            about["db_url"] = api.coursedir.db_url
            AssignLatePenalties(parent=api).preprocess(
                nbformat.v4.new_notebook(), {"nbgrader": about}
            )

    def enter(self, name: str, reports: Iterable[Report]) -> None:
        """Enter the class and the reports. It is done in one process, as SQLite has one writer.

        Args:
            name: of the assignment.
            reports: one that cannot be entered becomes a failure of the machine.
        """
        api = self._api()
        with api.gradebook as gradebook:
            for student in self.course.students():
                last, comma, first = student.name.partition(", ")
                if not comma:
                    first, _, last = student.name.rpartition(" ")
                gradebook.update_or_create_student(
                    student.id,
                    first_name=safe_name(first),
                    last_name=safe_name(last),
                    email=student.email or None,
                    lms_user_id=student.lms_id or None,
                )
        for report in reports:
            if report.has_mark and self._entered(name, report.student) != report.fingerprint:
                self._enter_one(api, name, report)
        self.assign_penalties(name)

    def feedback(self, name: str) -> tuple[list[Path], dict[str, str]]:
        """Write what students get back, one page per submission that has a mark.

        A page of an earlier submission is removed where the one of now has no mark.

        Args:
            name: of the assignment.

        Returns:
            The pages, and why there is none: id of the student who handed something in -> reason.

        Raises:
            CourseError: nothing is graded yet.
        """
        marks = [mark for mark in self.marks(name) if mark.state != MISSING]
        if all(mark.points is None for mark in marks):
            raise CourseError(f"{name} is not graded yet: run resnorm-course grade {name} first")
        self.assign_penalties(name)
        api = self._api()
        # Every call prepares nbgrader's templates again, so all pages are written by one. Only if
        # that finds a fault, a call for each student says whose page it is.
        together = api.generate_feedback(name, force=True)["success"]
        pages: list[Path] = []
        without: dict[str, str] = {}
        for mark in marks:
            student = mark.student.id
            folder = self.course.root / "feedback" / student / name
            try:
                if mark.points is None:
                    raise CourseError(mark.reason)
                if not together:
                    result = api.generate_feedback(name, student, force=True)
                    _check(f"write the feedback of {student}", result)
                pages += sorted(folder.glob("*.html"))
            except CourseError as problem:
                shutil.rmtree(folder, ignore_errors=True)
                without[student] = str(problem)
        return pages, without

    def marks(self, name: str) -> list[Mark]:
        """List the marks of the whole class, in the order of the class list.

        Args:
            name: of the assignment.
        """
        submitted = self.course.submitted(name)
        with self._api().gradebook as gradebook:
            possible: float | None = None
            entered: dict[str, Any] = {}
            if _has(gradebook, name):
                possible = gradebook.find_assignment(name).max_score
                found = gradebook.assignment_submissions(name)
                entered = {submission.student.id: submission for submission in found}
            return [
                mark_of(
                    self.course,
                    name,
                    student,
                    possible,
                    submitted.get(student.id),
                    entered.get(student.id),
                    self._entered(name, student.id),
                )
                for student in self.course.students()
            ]

    def _enter_one(self, api: Any, name: str, report: Report) -> None:
        """Let nbgrader read what the sandbox has run, add the bonus, and then note the report."""
        try:
            result = api.autograde(name, report.student, force=True, create=True)
            _check(f"enter {report.student}'s {name}", result)
            with api.gradebook as gradebook:
                _enter_bonus(gradebook, name, report)
            self._noted(name, report.student).write_text(report.fingerprint)
        except Exception as problem:  # whatever nbgrader and its database raise
            report.fail(machine_failure(problem))

    def _entered(self, name: str, student: str) -> str:
        """Fingerprint of the report that the gradebook has entered completely, or nothing.

        nbgrader itself does not know: when it is stopped, it leaves cells without a mark.
        """
        path = self._noted(name, student)
        return path.read_text() if path.is_file() else ""

    def _noted(self, name: str, student: str) -> Path:
        """Where it is noted which report was entered; nbgrader removes it with the folder."""
        return self.course.root / "autograded" / student / name / ".report"

    def _api(self, source: str = "") -> Any:
        """Make nbgrader's interface, with the configuration of this course.

        The source notebooks are in another folder of the course, if one is given.
        """
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config
        from traitlets.config.loader import PyFileConfigLoader

        # nbgrader calls alembic by name. Where Python was called by its path, the environment's
        # folder is not searched for programs.
        programs = str(Path(sys.executable).parent)
        if programs not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
        root = str(self.course.root)
        try:
            config = Config(PyFileConfigLoader("nbgrader_config.py", path=root).load_config())
        except Exception as problem:  # it is code, in which an instructor chooses a late penalty
            raise CourseError(
                f"nbgrader_config.py cannot be executed: {type(problem).__name__}: {problem}"
            ) from None
        config.CourseDirectory.root = root
        config.CourseDirectory.ignore.append(VARIANTS)  # also if the configuration is another
        if source:
            config.CourseDirectory.source_directory = source
        return NbGraderAPI(config=config)


def _has(gradebook: Any, name: str) -> bool:
    """Whether an open gradebook has an assignment, which is entered by ``release``."""
    return name in {assignment.name for assignment in gradebook.assignments}


def _check(task: str, result: dict[str, Any]) -> None:
    """Raise an error if nbgrader did not do its task, with the last reason that it gives."""
    if result["success"]:
        return
    log = f"{result.get('log') or ''}\n{result.get('error') or ''}"
    reasons = [
        line.strip()
        for line in log.splitlines()
        if re.match(r"\s*[\w.]*(Error|Exception)\b", line) and "traceback" not in line
    ]
    reason = reasons[-1] if reasons else "it does not say why"
    raise CourseError(f"nbgrader could not {task}: {reason}")


def _enter_bonus(gradebook: Any, name: str, report: Report) -> None:
    """Enter the bonus as extra credit, and check that nbgrader has the points of the report."""
    grades = gradebook.find_submission(name, report.student).notebooks[0].grades
    for verdict in report.verdicts:
        if verdict.bonus:
            grade = next(grade for grade in grades if grade.name == verdict.name)
            grade.extra_credit = verdict.points
    gradebook.db.commit()
    # These are two ways to the same number, so a difference is a fault of ours.
    entered = sum(grade.auto_score or 0.0 for grade in grades)
    if abs(entered - report.points) > 1e-6:
        raise CourseError(
            f"the gradebook has {entered:g} points for {report.student}, the report "
            f"{report.points:g}, which is a fault of the grader; please report it"
        )
