"""What became of a download, and what is known about the times of handing in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from .times import HandedIn, duration
from .worksheet import Worksheet


@dataclass
class Collected:
    """What became of a download.

    Attributes:
        students: ids of the students whose submission was taken, or was there already.
        late: ids of those whose submission came late.
        again: ids of those whose further submission was kept beside the first.
        taken: ids of those whose files were copied, and replaced what was there.
        left: everything that was not taken: its name, and the reason.
        remarks: what somebody may want to look at.
        times: id -> what is known about the time of handing in.
    """

    students: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    times: dict[str, HandedIn] = field(default_factory=dict)


def summary(
    result: Collected,
    due: datetime | None,
    zone: tzinfo | None = None,
    worksheet: Worksheet | None = None,
) -> list[str]:
    """Say in lines what became of what was taken.

    Args:
        result: what was collected.
        due: the deadline, if it is known.
        zone: time zone to show the deadline in, too; None for that of this machine.
        worksheet: Moodle's grading worksheet, if it was given.
    """
    lines = []
    if due:
        here = due.astimezone(zone)
        also = f" ({here:%Y-%m-%d %H:%M %Z})" if here.utcoffset() else ""
        lines.append(f"Due {due:%Y-%m-%d %H:%M} UTC{also}.")
    lines += [f"Late: {one}, {lateness(result.times[one], due)}" for one in result.late]
    lines += time_remarks(result, due, worksheet)
    lines += [f"Look: {remark}" for remark in result.remarks]
    if result.again:
        again = ", ".join(sorted(set(result.again)))
        lines.append(f"Once more, kept in duplicates (--replace takes the new one): {again}")
    return lines


def lateness(handed_in: HandedIn, due: datetime | None) -> str:
    """Say how late something came, and who says so.

    Args:
        handed_in: what is known about the time.
        due: the deadline, if it is known.
    """
    if handed_in.when and due and handed_in.when > due:
        return f"{duration(handed_in.when - due)} late by {handed_in.source}"
    entered = "entered as one second" if due else "give --due to enter it"
    return f"late by {handed_in.source}, which does not say how much ({entered})"


def time_remarks(result: Collected, due: datetime | None, worksheet: Worksheet | None) -> list[str]:
    """Say where the times of handing in are from, and where there are none.

    Args:
        result: what was collected.
        due: the deadline, if it is known.
        worksheet: Moodle's grading worksheet, if it was given.
    """
    remarks = []
    sources = Counter(time.source for time in result.times.values() if time.when)
    for source, count in sources.items():
        remarks.append(f"Time of handing in: {source}, for {count}.")
    unknown = [student for student, time in result.times.items() if not time.source]
    if unknown:
        remarks.append(
            f"Time of handing in not known: {', '.join(unknown)}. The download does not have it. "
            "For one of Moodle, give the assignment's grading worksheet with --worksheet"
        )
    canvas = [time for time in result.times.values() if time.source == "Canvas"]
    if due and canvas and not any(time.late for time in canvas):
        remarks.append(
            "Canvas marks nobody late. It does so only where the assignment has its due date there."
        )
    if worksheet and worksheet.unread:
        remarks.append(
            f"Times of the worksheet that could not be read, such as {worksheet.unread[0]!r}: "
            "download it with Moodle in English"
        )
    return remarks
