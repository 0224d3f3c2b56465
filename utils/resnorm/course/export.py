"""The marks as a CSV that a learning management system imports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from .atomic import write_whole
from .folder import Course, CourseError
from .gradebook import Gradebook, Mark

Table = list[list[str]]


def export(course: Course, name: str, system: str) -> Path:
    """Write the marks. A student without a mark keeps an empty field, never a 0.

    Args:
        course: the course's folder.
        name: of the assignment.
        system: ``"canvas"`` or ``"moodle"``.

    Returns:
        The file.

    Raises:
        CourseError: the system is not known.
    """
    if system not in SYSTEMS:
        raise CourseError(f"{system!r} is not a known system: give canvas or moodle")
    table = SYSTEMS[system](name, Gradebook(course).marks(name))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[_harmless(value) for value in row] for row in table])
    path = course.root / "marks" / f"{name}-{system}.csv"
    write_whole(path, text.getvalue())
    return path


def _canvas(name: str, marks: list[Mark]) -> Table:
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name]
    possible = _number(marks[0].possible if marks else None)
    rows = [
        [m.student.name, m.student.lms_id, m.student.id, m.student.email, "", _number(m.points)]
        for m in marks
    ]
    return [header, ["    Points Possible", "", "", "", "", possible], *rows]


def _moodle(name: str, marks: list[Mark]) -> Table:
    header = ["Identifier", "Full name", "Email address"]
    header += ["Grade", "Maximum Grade", "Feedback comments"]
    rows = [
        [
            mark.student.lms_id or mark.student.id,
            mark.student.name,
            mark.student.email,
            _number(mark.points),
            _number(mark.possible),
            mark.reason,
        ]
        for mark in marks
    ]
    return [header, *rows]


SYSTEMS: dict[str, Callable[[str, list[Mark]], Table]] = {"canvas": _canvas, "moodle": _moodle}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _harmless(value: str) -> str:
    """Quote a field that a spreadsheet would take for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value
