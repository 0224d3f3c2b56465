"""The marks of a class, with what stands in the way of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .collecting.class_list import Student
from .folder import Course
from .grading import fingerprints

MISSING, WAITING = "not handed in", "not graded yet"
UNFINISHED, REFUSED, FAILED = "unfinished", "refused", "failed on this machine"
#: What a submission can be, other than graded.
STATES = (UNFINISHED, REFUSED, FAILED, WAITING)


@dataclass(frozen=True)
class Mark:
    """What one student has in an assignment.

    Attributes:
        student: row of the class list.
        possible: points that can be earned, or None if the assignment is not released yet.
        points: points earned, or None if there is no mark.
        reason: what stands in the way of a mark, or of a final one; empty if nothing does.
        state: ``"graded"``, or one of ``STATES``.
        waits: whether written answers wait for a person.
    """

    student: Student
    possible: float | None
    points: float | None
    reason: str
    state: str = "graded"
    waits: bool = False


def mark_of(
    course: Course,
    name: str,
    student: Student,
    possible: float | None,
    handed_in: Path | None,
    submission: Any,
    entered: str,
) -> Mark:
    """Find out what one student has in an assignment.

    Args:
        course: the course's folder.
        name: of the assignment.
        student: row of the class list.
        possible: points that can be earned, if they are known.
        handed_in: folder of what was handed in; None if there is nothing.
        submission: what nbgrader knows of it; None if that is nothing.
        entered: fingerprint of the report that the gradebook has entered; empty if it has none.
    """
    report = course.report(name, student.id)
    if handed_in is None:
        return Mark(student, possible, None, "nothing handed in", MISSING)
    if report is None:
        failure = course.failures(name).get(student.id)
        state = FAILED if failure else WAITING
        return Mark(student, possible, None, failure or "not graded yet", state)
    if not report.key.endswith(fingerprints.of_folder(handed_in)):
        return Mark(student, possible, None, "handed in anew: run grade again", WAITING)
    if report.status == "refused":
        return Mark(student, possible, None, report.incidents[0].message, REFUSED)
    if submission is None or entered != report.fingerprint:
        reason = "not in the gradebook yet: run grade again"
        return Mark(student, possible, None, reason, WAITING)
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
    points = max(0.0, submission.score - submission.late_submission_penalty)
    state = UNFINISHED if report.status == "unfinished" else "graded"
    return Mark(student, possible, points, reason, state, bool(waiting))
