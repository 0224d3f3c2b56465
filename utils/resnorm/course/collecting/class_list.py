"""The class list of a course."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .tables import Table, read_table

COLUMNS = ("id", "name", "email", "lms_id")
VALID_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


@dataclass(frozen=True)
class Student:
    """One row of the class list.

    Attributes:
        id: short name, which folders and marks use.
        name: full name.
        email: address.
        lms_id: how the learning management system numbers this person.
        username: what this person logs in with.
    """

    id: str
    name: str = ""
    email: str = ""
    lms_id: str = ""
    username: str = ""


@dataclass(frozen=True)
class _Export:
    """How a learning management system names the columns of a class.

    A field may have several names; the first one that is filled in every row counts.
    """

    system: str
    signs: tuple[str, ...]
    id: tuple[str, ...]
    name: tuple[str, ...]
    email: tuple[str, ...]
    lms_id: tuple[str, ...] = ()
    username: tuple[str, ...] = ()


#: The first one that has all its signs among the columns counts.
EXPORTS = (
    _Export(
        "Canvas",
        ("Student", "ID", "Section"),
        ("SIS Login ID", "SIS User ID", "ID"),
        ("Student",),
        (),
        ("ID",),
        ("SIS Login ID",),
    ),
    _Export(
        "Brightspace",
        ("OrgDefinedId",),
        ("Username", "OrgDefinedId"),
        ("First Name+Last Name",),
        ("Email",),
        ("OrgDefinedId",),
        ("Username",),
    ),
    _Export(
        "Gradescope",
        ("SID", "Email"),
        ("SID", "Email"),
        ("Name", "Full Name", "First Name+Last Name"),
        ("Email",),
        ("SID",),
    ),
    _Export(
        "Moodle",
        ("Email address",),
        ("ID number", "Username", "Email address"),
        ("Full name", "First name+Last name", "First name+Surname"),
        ("Email address",),
        (),
        ("Username",),
    ),
)


def read_class(path: Path) -> list[Student]:
    """Read the class list.

    Args:
        path: a CSV with the column ``id`` and, if wanted, ``name``, ``email``, ``lms_id`` and
            ``username``; or the export of Canvas, Moodle, Gradescope or Brightspace.

    Raises:
        ValueError: the columns are not known, an id cannot be the name of a folder, or two rows
            are of the same person.
    """
    table = read_table(path)
    export = next((known for known in EXPORTS if {*known.signs} <= {*table.columns}), None)
    if "id" in table.columns:
        fields = ("id", "name", "email", "lms_id", "username")
        students = [Student(**{key: table.field(row, key) for key in fields}) for row in table.rows]
    elif export:
        students = _from_export(table, export)
    else:
        raise ValueError(
            f"{path.name} needs a column id (and may have name, email, lms_id, username); "
            f"it has {', '.join(table.columns) or 'none'}. Rename its columns, or save the class "
            "list of Canvas, Moodle, Gradescope or Brightspace as it is"
        )
    for student in students:
        if not VALID_ID.fullmatch(student.id):
            raise ValueError(
                f"{path.name}: the id {student.id!r} must be of letters, digits and . _ @ - "
                "(it names a folder)"
            )
    for attribute in ("id", "lms_id", "email"):
        values = [value for student in students if (value := getattr(student, attribute).lower())]
        if double := {value for value in values if values.count(value) > 1}:
            raise ValueError(
                f"{path.name}: more than one row has the {attribute} {', '.join(sorted(double))}"
            )
    return students


def _from_export(table: Table, export: _Export) -> list[Student]:
    """The students of an export, without what else it lists."""
    rows = [row for row in table.rows if _is_student(table, row)]

    def value(row: list[str], column: str) -> str:
        parts = [table.field(row, part).lstrip("#") for part in column.split("+")]
        return " ".join(part for part in parts if part)

    def column(names: tuple[str, ...], fits: Callable[[str], object] = bool) -> str:
        for name in names:
            values = [value(row, name) for row in rows]
            if all(map(fits, values)) and len({text.lower() for text in values}) == len(values):
                return name
        return ""

    ids = column(export.id, VALID_ID.fullmatch)
    if not ids:
        raise ValueError(
            f"this is a class list of {export.system}, but none of its columns "
            f"{', '.join(export.id)} is filled in every row with a name for a folder; "
            "add a column id"
        )
    names = next((name for name in export.name if {*name.split("+")} <= {*table.columns}), "")
    others = {
        key: next((name for name in getattr(export, key) if name in table.columns), "")
        for key in ("email", "lms_id", "username")
    }
    return [
        Student(
            value(row, ids),
            value(row, names),
            **{key: value(row, name) if name else "" for key, name in others.items()},
        )
        for row in rows
    ]


def _is_student(table: Table, row: list[str]) -> bool:
    """Whether a row is of a student: not of Canvas's points, a test account, or of the staff."""
    name = table.field(row, "Student")
    if "Student" in table.columns and (not name or "Points Possible" in row[0]):
        return False
    staff = table.field(row, "Role").lower() not in ("", "student")
    return not staff and name != "Student, Test"
