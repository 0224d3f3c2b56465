"""The report of one graded submission, as the instructor and the gradebook read it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..atomic import write_whole
from ..sandbox.incidents import Incident
from .verdicts import Verdict


@dataclass
class Report:
    """What an instructor needs in order to trust a mark, or not to trust it.

    Attributes:
        student: id of the student.
        assignment: name of the assignment.
        status: ``"graded"``; ``"unfinished"`` if the notebook was stopped; ``"refused"`` if the
            file cannot be run at all; ``"failed"`` if this machine could not grade it.
        key: hash of everything that decided this result.
        points: points earned in what is graded automatically, without the bonus.
        possible: points that can be earned there, without the bonus.
        bonus: points on top.
        to_mark: names of the written answers that wait for a person.
        incidents: edits, crashes, limits that were hit, attempts to reach outside.
        verdicts: one for each graded cell.
        seconds: duration of the run.
        memory: largest use of memory, in bytes.
        processes: largest number of processes at the same time.
    """

    student: str
    assignment: str
    status: str
    key: str = ""
    points: float = 0.0
    possible: float = 0.0
    bonus: float = 0.0
    to_mark: list[str] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    processes: int = 0

    @property
    def has_mark(self) -> bool:
        """Whether the points count: the submission ran, to its end or up to some cell."""
        return self.status in ("graded", "unfinished")

    @property
    def fingerprint(self) -> str:
        """Hash of the report itself, which tells whether the gradebook has entered this one.

        The key does not: what is graded again by force has the same key, and may end differently.
        """
        return hashlib.sha256(self._text().encode()).hexdigest()[:16]

    def fail(self, incident: Incident) -> None:
        """Note that this machine could not grade the submission.

        Args:
            incident: what went wrong.
        """
        self.status, self.incidents = "failed", [*self.incidents, incident]

    def add(self, verdict: Verdict) -> None:
        """Add the verdict on one cell, and its points.

        Args:
            verdict: the result of the cell.
        """
        self.verdicts.append(verdict)
        if verdict.bonus:
            self.bonus += verdict.points
        else:
            self.points += verdict.points
            self.possible += verdict.possible

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        Args:
            path: file to write or replace.
        """
        write_whole(path, self._text())

    def _text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a report that :meth:`write` wrote.

        Args:
            path: the file.
        """
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["incidents"] = [Incident(**entry) for entry in fields["incidents"]]
        fields["verdicts"] = [Verdict(**entry) for entry in fields["verdicts"]]
        return cls(**fields)


def machine_failure(problem: Exception) -> Incident:
    """Describe a failure of this machine, which is not the student's fault.

    Args:
        problem: what went wrong.
    """
    why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
    return Incident(
        -1, "machine", f"could not be graded: {why}. Fix this and run the command again"
    )
