"""What a download says of people and of what they handed in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .times import FILE_TIME, NOTED, HandedIn

#: What Canvas appends to the name of a file that is handed in again: ``a1-2.ipynb`` is the third.
RESUBMISSION = re.compile(r"-\d+(?=\.[^.]+$)")


@dataclass(frozen=True)
class Person:
    """Somebody in a download. What it does not say is empty.

    Attributes:
        name: full name, as the learning management system writes it.
        number: how it numbers this person, in every assignment.
        loose_number: how it numbers this person in this assignment alone.
        email: address.
        handle: name of a file or folder, which may be an id, an address or a name.
        reason: why it cannot be told who this is, if nobody fits.
    """

    name: str = ""
    number: str = ""
    loose_number: str = ""
    email: str = ""
    handle: str = ""
    reason: str = ""

    @property
    def label(self) -> str:
        """How a message names this person."""
        return self.name or self.handle or self.email or self.number or self.loose_number


@dataclass(frozen=True)
class File:
    """A file that somebody handed in.

    Attributes:
        path: where it is.
        name: how the student named it.
        order: larger for one that was handed in later; 0 if the download does not say.
        archive: the zip that a student packed it into; None if it was handed in as it is.
    """

    path: Path
    name: str
    order: int = 0
    archive: Path | None = None

    @property
    def handed_in(self) -> Path:
        """What was handed in: the file, or the zip in which a student chose names and times."""
        return self.archive or self.path

    @property
    def first_name(self) -> str:
        """The name without what Canvas appends when a file is handed in again."""
        return RESUBMISSION.sub("", self.name) if self.order else self.name

    @property
    def is_notebook(self) -> bool:
        """Whether the name is that of a notebook."""
        return self.name.lower().endswith(".ipynb")

    @property
    def is_zip(self) -> bool:
        """Whether the name is that of a zip."""
        return self.name.lower().endswith(".zip")


@dataclass
class Submission:
    """The files of one person, or of a group, in a download.

    Attributes:
        people: who handed it in.
        files: the files.
        handed_in: what the download says of the time.
        from_lms: whether a learning management system packed it, so that times of files are those
            of the download.
        problem: why this cannot be anybody's submission; empty if it can.
    """

    people: list[Person]
    files: list[File] = field(default_factory=list)
    handed_in: HandedIn | None = None
    from_lms: bool = False
    problem: str = ""

    def order(self, file: File) -> tuple[float, ...]:
        """Larger for a file that was handed in later; zeros where the download does not say.

        Args:
            file: one of this submission.
        """
        known = self.handed_in
        if not self.from_lms:
            known = HandedIn.read(file.handed_in.with_name(NOTED)) or known
        return (known.when.timestamp() if known and known.when else 0.0, file.order)

    def time_of(self, file: File) -> HandedIn:
        """Say what is known about the time. The time of a file is the weakest source.

        Args:
            file: the notebook of this submission.
        """
        if self.from_lms:  # where the times of files are those of the download
            return self.handed_in or HandedIn("")
        when = datetime.fromtimestamp(file.handed_in.stat().st_mtime, UTC)
        noted = HandedIn.read(file.handed_in.with_name(NOTED))
        return noted or self.handed_in or HandedIn(FILE_TIME, when)
