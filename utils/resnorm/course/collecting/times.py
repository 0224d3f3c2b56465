"""Deadlines as people write them, and when something was handed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

EXAMPLE = "2026-11-30T23:59"
#: The file in which nbgrader or an earlier ``collect`` noted a time, and the source of such a time.
NOTED = "timestamp.txt"
#: The source of a time that any program may have changed.
FILE_TIME = "the time of the file, the weakest source"
#: How Moodle writes a time in English, in its grading worksheet.
MOODLE_FORMATS = (
    "%A, %d %B %Y, %I:%M %p",
    "%A, %B %d, %Y, %I:%M %p",
    "%A, %d %B %Y, %H:%M",
    "%d %B %Y, %I:%M %p",
    "%d %B %Y, %H:%M",
)


@dataclass(frozen=True)
class HandedIn:
    """What is known about the time of handing in.

    Attributes:
        source: who says so, such as ``"Gradescope"``.
        when: the time, in UTC; None if the source does not say.
        late: whether the source itself says that it came late.
    """

    source: str
    when: datetime | None = None
    late: bool = False

    @classmethod
    def read(cls, path: Path) -> HandedIn | None:
        """Read the file in which nbgrader notes the time.

        Args:
            path: the file; it may be missing.

        Returns:
            The time; None if there is none that can be read.
        """
        if path.is_symlink() or not path.is_file():
            return None
        try:
            text = path.read_text(encoding="utf-8").strip().replace(" UTC", "+00:00")
            when = datetime.fromisoformat(text)
        except (OSError, ValueError):
            return None
        return cls(NOTED, when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC))

    def is_same(self, other: HandedIn) -> bool:
        """Whether two times are the same, as they are noted.

        Args:
            other: what else is known.
        """
        if self.when is None or other.when is None:
            return False
        return abs(self.when - other.when) < timedelta(seconds=1)


def localized(naive: datetime, zone: tzinfo | None) -> datetime:
    """Give a time without a time zone its zone, in UTC.

    Args:
        naive: the time.
        zone: its zone; None for that of this machine.
    """
    aware = naive.replace(tzinfo=zone) if zone else naive.astimezone()
    return aware.astimezone(UTC)


def time_zone(name: str) -> tzinfo | None:
    """Find a time zone.

    Args:
        name: such as ``Europe/Berlin``; empty for the zone of this machine.

    Raises:
        ValueError: there is no such zone.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a time zone: give a name such as Europe/Berlin or America/New_York"
        ) from None


def deadline(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a deadline.

    Args:
        text: date and time such as ``2026-11-30T23:59``, with ``+01:00`` or ``Z`` if wanted.
        zone: time zone of a text that does not say; None for that of this machine.

    Returns:
        The deadline in UTC.

    Raises:
        ValueError: the text can be read in two ways, has no time, or is no date. The message says
            how to write it.
    """
    text = text.strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_how_to_write(text)) from None
    if not re.search(r"\d[T ]\d", text):
        raise ValueError(
            f"{text!r} is a date without a time: write {found:%Y-%m-%d}T23:59 for the end of that "
            "day"
        )
    return found.astimezone(UTC) if found.tzinfo else localized(found, zone)


def _how_to_write(text: str) -> str:
    """A sentence on a date in an order of its own."""
    match = re.match(r"(\d{1,2})\s*([./-])\s*(\d{1,2})\s*[./-]\s*(\d{4})\D*(\d{1,2}:\d\d)?", text)
    wanted = f"write the year first, as in {EXAMPLE}"
    if not match:
        return f"{text!r} is not a date that can be read: {wanted}"
    one, mark, two, year, clock = match.groups()
    orders = {(int(two), int(one))} if mark == "." else {(int(two), int(one)), (int(one), int(two))}
    readings = []
    for month, day in sorted(orders):
        try:
            date = datetime(int(year), month, day)
        except ValueError:
            continue
        readings.append(f"{date:%Y-%m-%d}T{(clock or '23:59').rjust(5, '0')}")
    if not readings:
        return f"{text!r} is not a date: {wanted}"
    ambiguous = "can be read in two ways" if len(readings) > 1 else "has the year last"
    return f"{text!r} {ambiguous}: write {' or '.join(readings)}"


def moodle_time(text: str, zone: tzinfo | None = None) -> datetime | None:
    """Read a time of Moodle's grading worksheet.

    Args:
        text: such as ``Wednesday, 10 June 2026, 2:14 PM``; ``-`` means that there is none.
        zone: time zone of the person who downloaded it; None for that of this machine.

    Returns:
        The time in UTC; None if there is none or it is in another language.
    """
    for form in MOODLE_FORMATS:
        try:
            return localized(datetime.strptime(" ".join(text.split()), form), zone)
        except ValueError:
            continue
    return None


def duration(late: timedelta) -> str:
    """Say how late something came, in two units at most.

    Args:
        late: the time since the deadline.
    """
    seconds = int(late.total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "less than a minute"
