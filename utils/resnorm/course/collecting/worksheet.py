"""Moodle's grading worksheet: who has which number in an assignment, and when they handed in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from .people import Person
from .tables import read_table
from .times import HandedIn, moodle_time

IDENTIFIER, NAME, EMAIL = "Identifier", "Full name", "Email address"
STATUS, SUBMITTED = "Status", "Last modified (submission)"


@dataclass
class Worksheet:
    """What a grading worksheet says.

    Attributes:
        people: number in this assignment -> the person, and what is known about the time.
        unread: times that could not be read.
    """

    people: dict[str, tuple[Person, HandedIn | None]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def read_worksheet(path: Path, zone: tzinfo | None = None) -> Worksheet:
    """Read a grading worksheet, in English.

    Args:
        path: the CSV that Moodle's "Download grading worksheet" gives.
        zone: time zone of its times; None for that of this machine.

    Raises:
        ValueError: this is not a grading worksheet.
    """
    table = read_table(path)
    if IDENTIFIER not in table.columns:
        raise ValueError(
            f"{path.name} is not Moodle's grading worksheet in English: it has no column "
            f"{IDENTIFIER!r}, but {', '.join(table.columns) or 'none'}"
        )
    worksheet = Worksheet()
    for row in table.rows:
        number = re.search(r"\d+$", table.field(row, IDENTIFIER))
        if not number:
            continue
        text = table.field(row, SUBMITTED)
        when = moodle_time(text, zone)
        if text not in ("", "-") and when is None:
            worksheet.unread.append(text)
        late = bool(re.search(r"\blate\b", table.field(row, STATUS)))
        handed_in = HandedIn("Moodle's worksheet", when, late) if when or late else None
        person = Person(
            name=table.field(row, NAME),
            email=table.field(row, EMAIL),
            loose_number=number[0],
        )
        worksheet.people[number[0]] = person, handed_in
    return worksheet
