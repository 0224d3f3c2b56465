"""The class list of a course."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("id", "name", "email", "lms_id")


@dataclass(frozen=True)
class Student:
    """One row of the class list.

    Attributes:
        id: short name, which folders and marks use.
        name: full name.
        email: address.
        lms_id: how the learning management system numbers this person.
    """

    id: str
    name: str = ""
    email: str = ""
    lms_id: str = ""


def read_class(path: Path) -> list[Student]:
    """Read the class list.

    Args:
        path: a CSV with the column ``id`` and, if wanted, ``name``, ``email`` and ``lms_id``.

    Raises:
        ValueError: there is no column ``id``, an id cannot be the name of a folder, or two rows
            are of the same person.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or []
    if "id" not in columns:
        raise ValueError(
            f"{path.name} needs a column id (and may have name, email, lms_id); "
            f"it has {', '.join(columns) or 'none'}"
        )
    students = [Student(**{key: (row.get(key) or "").strip() for key in COLUMNS}) for row in rows]
    for student in students:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]*", student.id):
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
