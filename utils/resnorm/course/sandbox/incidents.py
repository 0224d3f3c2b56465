"""What happened while a notebook ran, besides its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from .limits import GiB, Limits


@dataclass(frozen=True)
class Incident:
    """Something that an instructor should know about.

    Attributes:
        cell: index of the cell, or -1 where none is known.
        kind: one word. In the sandbox ``"time"``, ``"memory"``, ``"processes"``, ``"disk"``,
            ``"output"``, ``"cut"``, ``"messages"``, ``"unreadable"``, ``"crash"`` or ``"reach"``;
            in grading also ``"edited"``, ``"missing"``, ``"matched"``, ``"forbidden"``,
            ``"patched"``, ``"variant"``, ``"doubtful"``, ``"refused"`` or ``"machine"``.
        message: what happened, in words. Parts of it can come from the submission, so what is not
            printable, such as half a character or the commands of a terminal, becomes question
            marks.
    """

    cell: int
    kind: str
    message: str

    def __post_init__(self) -> None:
        shown = (each if each.isprintable() or each == "\n" else "?" for each in self.message)
        object.__setattr__(self, "message", "".join(shown))


class StoppedError(Exception):
    """The rest of the notebook cannot run.

    Args:
        incident: why.
    """

    def __init__(self, incident: Incident):
        super().__init__(incident.message)
        self.incident = incident


@dataclass
class Trace:
    """What one run did and what it took.

    Attributes:
        incidents: in the order in which they happened.
        seconds: duration of the run.
        memory: largest use of memory, in bytes.
        processes: largest number of processes at the same time.
        used: name of a cell -> what the journal says was used during the requests before it.
    """

    incidents: list[Incident] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    processes: int = 0
    used: dict[str, list[str]] = field(default_factory=dict)


def exceeded(kind: str, limits: Limits) -> Incident:
    """The incident of a submission that took more than it may.

    Args:
        kind: ``"time"``, ``"memory"`` or ``"processes"``.
        limits: those of the submission.

    Returns:
        An incident whose cell is not known.
    """
    messages = {
        "time": f"the notebook was stopped after {limits.notebook_seconds:.0f} s",
        "memory": f"stopped: more than {limits.memory / GiB:.1f} GiB of memory",
        "processes": f"stopped at {limits.processes} processes and threads",
    }
    return Incident(-1, kind, messages[kind])
