"""The marks as a CSV that a learning management system imports.

The columns are those that the importers ask for. Canvas's needs ``Student``, ``ID`` and
``Section``, and takes a column for a new assignment unless its header is known there (``lib/
gradebook_importer.rb``). Moodle has two importers: that of the gradebook takes any columns and
asks what they mean, and that of an assignment takes its own grading worksheet back, with
``Identifier``, ``Grade`` and ``Last modified (grade)`` (``mod/assign/feedback/offline``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .atomic import write_whole
from .collecting.matching import match
from .collecting.people import Person
from .collecting.tables import Table, read_table
from .folder import Course, CourseError
from .gradebook import Gradebook
from .marks import Mark

POINTS_POSSIBLE = "    Points Possible"
#: Columns of Canvas that are about the student.
CANVAS_STUDENT = (
    "Student",
    "LastName",
    "FirstName",
    "ID",
    "SIS User ID",
    "SIS Login ID",
    "Integration ID",
    "Root Account",
    "Section",
)
MOODLE_NEEDS = ("Identifier", "Grade", "Last modified (grade)")


@dataclass
class Exported:
    """A table of marks.

    Attributes:
        table: what the system imports.
        path: where it was written.
        remarks: what somebody has to know before importing it.
        marks: those of the class, with what stands in the way of a final one.
    """

    table: Table
    path: Path = Path()
    remarks: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def export(
    course: Course, name: str, system: str, template: Path | None = None, column: str = ""
) -> Exported:
    """Write the marks. A student without a mark keeps an empty field, never a 0.

    Args:
        course: the course's folder.
        name: of the assignment.
        system: ``"canvas"`` or ``"moodle"``.
        template: the gradebook that Canvas exports, or the grading worksheet that Moodle gives, to
            be filled in.
        column: header of the assignment in Canvas's gradebook; empty to look for its name.

    Raises:
        CourseError: the system is not known, or the template is not its.
    """
    if system not in SYSTEMS:
        raise CourseError(f"{system!r} is not a known system: give canvas or moodle")
    gradebook = Gradebook(course)
    gradebook.assign_penalties(name)
    marks = gradebook.marks(name)
    write, fill = SYSTEMS[system]
    if template:
        try:
            exported = fill(name, marks, read_table(template), column)
        except (OSError, ValueError) as problem:
            raise CourseError(str(problem)) from None
    else:
        exported = Exported(write(name, marks))
    exported.marks = marks
    exported.path = course.root / "marks" / f"{name}-{system}.csv"
    write_whole(exported.path, exported.table.text())
    return exported


def _canvas(name: str, marks: list[Mark]) -> Table:
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name]
    possible = _number(marks[0].possible if marks else None)
    rows = [
        [
            _harmless(mark.student.name),
            mark.student.lms_id,
            mark.student.id,
            mark.student.username or mark.student.email,
            "",
            _number(mark.points),
        ]
        for mark in marks
    ]
    return Table(header, [[POINTS_POSSIBLE, "", "", "", "", possible], *rows])


def _fill_canvas(name: str, marks: list[Mark], table: Table, column: str) -> Exported:
    """Canvas's own gradebook, with the columns of the student and of this assignment alone.

    The other columns would bring back marks that were changed in Canvas meanwhile.
    """
    if not {"Student", "ID", "Section"} <= {*table.columns}:
        raise ValueError(
            "this is not the gradebook that Canvas exports: it has the columns "
            f"{', '.join(table.columns)}"
        )
    wanted = column or _canvas_column(name, table.columns)
    if wanted not in table.columns:
        raise ValueError(f"there is no column {wanted!r}: {', '.join(table.columns)}")
    kept = [table.columns.index(one) for one in CANVAS_STUDENT if one in table.columns]
    kept = [*sorted(kept), table.columns.index(wanted)]
    rows = [[row[index] for index in kept] for row in table.rows]
    exported = Exported(
        Table([table.columns[index] for index in kept], rows, table.delimiter, table.marked)
    )
    points = next((row[-1] for row in rows if "Points Possible" in row[0]), "")
    people = [
        (row, Person(name=table.field(full, "Student"), number=table.field(full, "ID")))
        for row, full in zip(rows, table.rows, strict=True)
        if table.field(full, "ID")
    ]
    _fill(exported, marks, people, -1, points, "Canvas shows more than 100 % for it")
    return exported


def _canvas_column(name: str, columns: list[str]) -> str:
    """The column of an assignment; Canvas appends its own number to the title."""
    titles = {one: re.sub(r" \(\d+\)$", "", one) for one in columns if one not in CANVAS_STUDENT}
    found = [one for one, title in titles.items() if title == name] or [
        one for one, title in titles.items() if re.match(rf"{re.escape(name)}\b", title)
    ]
    if len(found) != 1:
        raise ValueError(
            f"{len(found)} columns of the gradebook begin with {name}: give the right one with "
            f"--column, of {', '.join(titles)}"
        )
    return found[0]


def _moodle(name: str, marks: list[Mark]) -> Table:
    header = ["Full name", "Email address", "Username", "ID number", name]
    rows = [
        [
            _harmless(mark.student.name),
            mark.student.email,
            mark.student.username,
            mark.student.id,
            _number(mark.points),
        ]
        for mark in marks
    ]
    return Table(header, rows)


def _fill_moodle(name: str, marks: list[Mark], table: Table, column: str) -> Exported:
    """Moodle's own grading worksheet, in which only the grade is changed."""
    if missing := [one for one in MOODLE_NEEDS if one not in table.columns]:
        raise ValueError(
            f"this is not Moodle's grading worksheet in English: it has no {missing[0]!r}, but "
            f"{', '.join(table.columns)}"
        )
    people = [
        (
            row,
            Person(
                name=table.field(row, "Full name"),
                email=table.field(row, "Email address"),
                loose_number="".join(re.findall(r"\d+$", table.field(row, "Identifier"))),
            ),
        )
        for row in table.rows
    ]
    largest = [one for one in table.columns if one.lower() == "maximum grade"]
    points = table.field(table.rows[0], largest[0]) if largest and table.rows else ""
    exported = Exported(table)
    grade = table.columns.index("Grade")
    _fill(exported, marks, people, grade, points, "Moodle leaves it out without a word")
    return exported


SYSTEMS: dict[
    str,
    tuple[Callable[[str, list[Mark]], Table], Callable[[str, list[Mark], Table, str], Exported]],
] = {"canvas": (_canvas, _fill_canvas), "moodle": (_moodle, _fill_moodle)}


def _fill(
    exported: Exported,
    marks: list[Mark],
    people: list[tuple[list[str], Person]],
    place: int,
    largest: str,
    above: str,
) -> None:
    """Write the marks into the rows of their students, and note what does not fit.

    Args:
        exported: its remarks are added to.
        marks: those of the class.
        people: rows of the template, with the person of each.
        place: index of the field with the mark.
        largest: the points that the system has for the assignment.
        above: what the system does with more points.
    """
    students = [mark.student for mark in marks]
    by_id = {mark.student.id: mark for mark in marks}
    missing = dict.fromkeys(by_id)
    comma = bool(re.fullmatch(r"\d+,\d+", largest))
    limit = float(largest.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d+)?", largest) else None
    for row, person in people:
        found = match(person, students)
        if found.student is None:
            exported.remarks.append(f"{person.label}: left as it is, because {found.reason}")
            continue
        mark = by_id[found.student.id]
        if mark.student.id not in missing:
            exported.remarks.append(
                f"{person.label}: left as it is, because an earlier row is of {mark.student.id} too"
            )
            continue
        del missing[mark.student.id]
        if mark.points is not None:
            row[place] = _number(mark.points).replace(".", "," if comma else ".")
            if limit is not None and mark.points > limit:
                exported.remarks.append(
                    f"{mark.student.id}: {mark.points:g} is more than the {limit:g} points of the "
                    f"assignment there, and {above}"
                )
    exported.remarks += [f"{student}: not in the template" for student in missing]
    possible = marks[0].possible if marks else None
    if limit is not None and possible is not None and limit != possible:
        exported.remarks.append(f"the assignment has {limit:g} points there, and {possible:g} here")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _harmless(name: str) -> str:
    """Quote a name that a spreadsheet would take for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t") else name
