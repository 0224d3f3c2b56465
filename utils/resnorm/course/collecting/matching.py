"""Find the student whose files these are, or say why it cannot be told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .class_list import Student
from .names import levels, words
from .people import Person

#: The lowest level of a match by name.
BY_NAME = 2


@dataclass(frozen=True)
class Match:
    """Who a person in a download is.

    Attributes:
        student: row of the class list; None if it cannot be told.
        level: how sure this is; 0 and 1 are by number, address or id, and larger numbers by name.
        reason: why it cannot be told; empty if it can.
        remark: what somebody may want to look at, although it can be told.
    """

    student: Student | None
    level: int = 0
    reason: str = ""
    remark: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether the name, if it is by name, has the same letters with the same accents."""
        return self.level <= BY_NAME + 1


def match(person: Person, students: list[Student]) -> Match:
    """Find the student.

    A number of the learning management system decides, and an address; then the name, if only one
    student has it. Where a number and a name are of different students, nobody gets the work.

    Args:
        person: what a download says of the person.
        students: the class.
    """
    named, level = _by_name(_name(person), students)
    sure = _by_key(person, students)
    if len(sure) == 1:
        (student,) = sure
        if named and student not in named:
            return Match(
                None,
                reason=f"the number or address is that of {_show([student])}, the name that of "
                f"{_show(named)}: correct the class list",
            )
        differs = person.name and not named and student.name
        remark = f"{person.label} is {_show([student])} by number, not by name" if differs else ""
        return Match(student, 0, remark=remark)
    if len(sure) > 1:
        return Match(None, reason=f"the number and the address are of {_show(sure)}")
    numbered = _with_number(person, students)
    if named and person.handle and numbered and not set(named) & set(numbered):
        return Match(
            None, reason=f"the name is that of {_show(named)}, the number that of {_show(numbered)}"
        )
    if len(named) == 1:
        return Match(named[0], BY_NAME + level)
    if named:
        # A number that is of this assignment alone can still tell people of the same name apart.
        both = [student for student in named if student in numbered]
        if len(both) == 1:
            return Match(both[0], 1)
        return Match(
            None, reason=f"{_show(named)} have this name: the download must tell them apart"
        )
    return Match(None, reason=_nobody(person, students))


def is_known(handle: str, students: list[Student]) -> bool:
    """Whether a file or folder with this name is of somebody in the class.

    Args:
        handle: name of the file or folder.
        students: the class.
    """
    person = Person(handle=handle)
    return bool(_by_key(person, students) or _by_name(_name(person), students)[0])


def _name(person: Person) -> str:
    """The name of a person; that of a file without numbers, such as the 2 of a second copy."""
    if person.name:
        return person.name
    return re.sub(r"(?<![^\W_])\d+(?![^\W_])", " ", person.handle)


def _with_number(person: Person, students: list[Student]) -> list[Student]:
    """The students with the number that a download has of a person, or a file in its name."""
    numbers = {person.loose_number} if person.loose_number else set()
    numbers |= set(re.findall(r"(?<![^\W_])\d{4,}(?![^\W_])", person.handle))
    return [student for student in students if numbers & {student.lms_id, student.id}]


def _by_key(person: Person, students: list[Student]) -> list[Student]:
    """The students whom a number, an address or an id names."""
    keys: Iterable[tuple[str, Callable[[Student], tuple[str, ...]]]] = (
        (person.number, lambda s: (s.lms_id,)),
        (person.email, lambda s: (s.email,)),
        (person.handle, lambda s: (s.id, s.email, s.username)),
        (person.number, lambda s: (s.id,)),
        (person.handle, lambda s: (s.email.partition("@")[0],)),
    )
    for value, fields in keys:
        wanted = value.strip().lower()
        found = [
            student
            for student in students
            if wanted and wanted in {field.lower() for field in fields(student)}
        ]
        if found:
            return found
    return []


def _by_name(name: str, students: list[Student]) -> tuple[list[Student], int]:
    """The students whose name is the most like this one, and how much."""
    found = [(level, s) for s in students if (level := levels(name, s.name)) is not None]
    best = min((level for level, _ in found), default=0)
    return [student for level, student in found if level == best], best


def _nobody(person: Person, students: list[Student]) -> str:
    """Why nobody was found, with the name that is the most like this one."""
    if person.reason:
        return person.reason
    given = "".join(sorted(words(_name(person))))
    names = {"".join(sorted(words(student.name))): student for student in students}
    close = difflib.get_close_matches(given, [name for name in names if name], 1, 0.6)
    like = f" (the most like it: {_show([names[close[0]]])})" if close else ""
    return (
        f"nobody in the class list has this name, number or address{like}: "
        "add the row, or its lms_id, and give the command again"
    )


def _show(students: list[Student]) -> str:
    return " and ".join(f"{student.id} ({student.name})" for student in students)
