"""Find the student whose files these are."""

from __future__ import annotations

import re
import unicodedata

from .class_list import Student
from .downloads import Submission


def match(submission: Submission, students: list[Student]) -> Student | None:
    """Find the student who handed something in.

    The number of the learning management system decides first, then the id and the address, and
    last the name, if only one student has it.

    Args:
        submission: one person's files, with what the download says of the person.
        students: the class.

    Returns:
        The student, or None if there is no such student, or more than one.
    """
    for attribute, value in (
        ("lms_id", submission.lms_id),
        ("id", submission.label),
        ("email", submission.label),
        ("id", submission.lms_id),
    ):
        for student in students if value else []:
            if getattr(student, attribute).lower() == value.lower():
                return student
    # Canvas writes doejane for Jane Doe: compare the letters, with the words in any order.
    given = _words(submission.label)
    same = [
        student
        for student in students
        if student.name
        and (
            sorted(_words(student.name)) == sorted(given)
            or "".join(given) in _joined(_words(student.name))
        )
    ]
    return same[0] if len(same) == 1 else None


def _words(text: str) -> list[str]:
    """The words of a name, without case, accents and punctuation."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z0-9]+", ascii_only.lower())


def _joined(words: list[str]) -> set[str]:
    """The words of a name as one, in the usual orders."""
    return {"".join(words), "".join([*words[-1:], *words[:-1]]), "".join(reversed(words))}
