"""What nbgrader does for us: release an assignment, keep the gradebook, write the feedback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from .collecting.class_list import Student
from .folder import Course, CourseError
from .grading.cells import graded_cells, meta
from .grading.reports import Report, machine_failure
from .markup import safe_name


@dataclass(frozen=True)
class Mark:
    """What one student has in an assignment.

    Attributes:
        student: row of the class list.
        possible: points that can be earned, or None if the assignment is not released yet.
        points: points earned, or None if there is no mark.
        reason: what stands in the way of a mark, or of a final one; empty if nothing does.
    """

    student: Student
    possible: float | None
    points: float | None
    reason: str


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
            CourseError: a graded cell compares nothing, or nbgrader finds a fault.
        """
        assignment = self.course.assignment(name)
        cells = graded_cells(nbformat.read(assignment.notebook, as_version=4))
        compares = re.compile(r"checking\.(close|emit)\(")
        if silent := [meta(cell)["grade_id"] for cell in cells if not compares.search(cell.source)]:
            raise CourseError(
                f"{name}: these graded cells compare nothing, so they would earn nothing: "
                f"{', '.join(silent)}; use checking.close or checking.emit"
            )
        _check(f"release {name}", self._api().generate_assignment(name, force=True, create=True))
        return self.course.root / "release" / name / assignment.notebook.name

    def enter(self, name: str, reports: Iterable[Report]) -> None:
        """Enter the class and the reports. It is done in one process, as SQLite has one writer.

        Args:
            name: of the assignment.
            reports: one that cannot be entered becomes a failure of the machine.

        Raises:
            CourseError: the gradebook and a report disagree.
        """
        api = self._api()
        with api.gradebook as gradebook:
            for student in self.course.students():
                first, _, last = student.name.rpartition(" ")
                gradebook.update_or_create_student(
                    student.id,
                    first_name=safe_name(first),
                    last_name=safe_name(last),
                    email=student.email or None,
                    lms_user_id=student.lms_id or None,
                )
        marked = [report for report in reports if report.has_mark]
        for report in marked:
            if self._entered(name, report.student) != report.key:
                self._autograde(api, name, report)
        with api.gradebook as gradebook:
            for report in marked:
                if report.has_mark:  # which an error of nbgrader has taken from some
                    _enter_bonus(gradebook, name, report)

    def feedback(self, name: str) -> list[Path]:
        """Write what students get back, one page per graded submission.

        Args:
            name: of the assignment.

        Raises:
            CourseError: nothing is graded yet, or nbgrader finds a fault.
        """
        folders = (self.course.root / "autograded").glob(f"*/{name}")
        graded = sorted(folder.parent.name for folder in folders)
        if not graded:
            raise CourseError(f"{name} is not graded yet: run resnorm-course grade {name} first")
        api = self._api()
        for student in graded:
            result = api.generate_feedback(name, student, force=True)
            _check(f"write the feedback of {student}", result)
        return [
            page
            for student in graded
            for page in sorted((self.course.root / "feedback" / student / name).glob("*.html"))
        ]

    def marks(self, name: str) -> list[Mark]:
        """List the marks of the whole class, in the order of the class list.

        Args:
            name: of the assignment.
        """
        with self._api().gradebook as gradebook:
            possible: float | None = None
            entered: dict[str, Any] = {}
            if name in {assignment.name for assignment in gradebook.assignments}:
                possible = gradebook.find_assignment(name).max_score
                found = gradebook.assignment_submissions(name)
                entered = {submission.student.id: submission for submission in found}
            return [
                self._mark(name, student, possible, entered.get(student.id))
                for student in self.course.students()
            ]

    def _mark(self, name: str, student: Student, possible: float | None, submission: Any) -> Mark:
        """The mark of one student, whose submission nbgrader knows, or not (None)."""
        report = self.course.report(name, student.id)
        if student.id not in self.course.submitted(name):
            return Mark(student, possible, None, "nothing handed in")
        if report is None:
            return Mark(student, possible, None, "not graded yet")
        if report.status == "refused":
            return Mark(student, possible, None, report.incidents[0].message)
        if submission is None or self._entered(name, student.id) != report.key:
            return Mark(student, possible, None, "not in the gradebook yet: run grade again")
        waiting = [
            grade.name
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.needs_manual_grade
        ]
        reason = ""
        if waiting:
            reason = f"waits for a person: {', '.join(waiting)}"
        elif report.status == "unfinished":
            reason = "unfinished run, see the report"
        return Mark(student, possible, submission.score, reason)

    def _autograde(self, api: Any, name: str, report: Report) -> None:
        """Let nbgrader read what the sandbox has run, and note which report this was."""
        try:
            result = api.autograde(name, report.student, force=True, create=True)
            _check(f"enter {report.student}'s {name}", result)
            self._key_file(name, report.student).write_text(report.key)
        except (CourseError, OSError) as problem:
            report.fail(machine_failure(problem))

    def _entered(self, name: str, student: str) -> str:
        """Key of the report that the gradebook has entered completely; empty if it has none.

        nbgrader itself does not know: when it is stopped, it leaves cells without a mark.
        """
        path = self._key_file(name, student)
        return path.read_text() if path.is_file() else ""

    def _key_file(self, name: str, student: str) -> Path:
        return self.course.root / "autograded" / student / name / ".key"

    def _api(self) -> Any:
        """Make nbgrader's interface, with the configuration of this course."""
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config
        from traitlets.config.loader import PyFileConfigLoader

        # nbgrader calls alembic by name. Where Python was called by its path, the environment's
        # folder is not searched for programs.
        programs = str(Path(sys.executable).parent)
        if programs not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
        root = str(self.course.root)
        config = Config(PyFileConfigLoader("nbgrader_config.py", path=root).load_config())
        config.CourseDirectory.root = root
        return NbGraderAPI(config=config)


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
            f"{report.student}: the gradebook has {entered:g} points, "
            f"the report {report.points:g}; please report this"
        )
