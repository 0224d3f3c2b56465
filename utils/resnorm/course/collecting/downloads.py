"""Who handed in what, in the bulk download of a learning management system.

Downloads differ in how they pack a submission. Canvas names files
``doejane_LATE_1234_5678_a1.ipynb``. Moodle makes folders ``Jane Doe_1234_assignsubmission_file``.
Gradescope makes folders ``submission_1234`` beside a file ``submission_metadata.yml``. A folder
that holds one folder per student is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

CANVAS = re.compile(
    r"^(?P<name>[^_]+)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?P<submission>\d+)_(?P<file>.+)$"
)
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?$")
GRADESCOPE = re.compile(r"^submission_(?P<id>\d+)$")
#: What Canvas appends to the name of a file that is handed in again: ``a1-2.ipynb`` is the third.
RESUBMISSION = re.compile(r"-(\d+)(?=\.[^.]+$)")


@dataclass
class Submission:
    """The files of one person in a download.

    Attributes:
        label: name, id or address of the person, as the download has it.
        lms_id: how the learning management system numbers the person; empty if it does not say.
        late: whether the download says that it came late.
        when: when it was handed in, if the download says so.
        files: name -> file.
    """

    label: str
    lms_id: str = ""
    late: bool = False
    when: datetime | None = None
    files: dict[str, Path] = field(default_factory=dict)


def submissions(folder: Path) -> Iterator[Submission]:
    """Find out who handed in what.

    Args:
        folder: an unpacked download of any of the systems above.

    Yields:
        One submission per person.

    Raises:
        ValueError: Gradescope's description cannot be read.
    """
    entries = _visible(folder)
    # A download may have a folder around everything.
    while len(entries) == 1 and entries[0].is_dir() and _holds_others(entries[0]):
        entries = _visible(entries[0])
    metadata = next((path for path in entries if path.name == "submission_metadata.yml"), None)
    gradescope = _gradescope(metadata) if metadata else {}
    canvas: dict[tuple[str, str], Submission] = {}
    for entry in entries:
        if entry.is_dir():
            yield _from_folder(entry, gradescope)
        elif match := CANVAS.match(entry.name):
            _add_canvas_file(canvas, match, entry)
    yield from canvas.values()


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def _holds_others(folder: Path) -> bool:
    """Whether this is the folder of a download, and not that of one person."""
    if MOODLE.match(folder.name) or GRADESCOPE.match(folder.name):
        return False
    inside = list(folder.iterdir())
    return not any(path.suffix.lower() == ".ipynb" for path in inside) or any(
        CANVAS.match(path.name) for path in inside
    )


def _from_folder(folder: Path, gradescope: dict[str, dict[str, Any]]) -> Submission:
    """The submission in a folder of Moodle, of Gradescope, or with any other name."""
    files = {
        path.name: path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    if match := MOODLE.match(folder.name):
        return Submission(match["name"], match["id"], files=files)
    if folder.name in gradescope:
        return Submission(**gradescope[folder.name], files=files)
    return Submission(folder.name, files=files, when=_timestamp(folder))


def _add_canvas_file(
    found: dict[tuple[str, str], Submission], match: re.Match[str], path: Path
) -> None:
    """Add a file of Canvas to its person's submission, unless a later one is there."""
    person = match["name"], match["id"]
    submission = found.setdefault(person, Submission(*person))
    submission.late |= bool(match["late"])
    name = RESUBMISSION.sub("", match["file"])
    files = submission.files
    if name not in files or _count(match["file"]) >= _count(files[name].name):
        files[name] = path


def _count(name: str) -> int:
    """How often a file of Canvas has been handed in again."""
    match = RESUBMISSION.search(name)
    return int(match[1]) if match else 0


def _timestamp(folder: Path) -> datetime | None:
    """When a submission was handed in, from the file in which nbgrader notes it."""
    try:
        text = (folder / "timestamp.txt").read_text()
        return datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except (OSError, ValueError):
        return None


def _gradescope(metadata: Path) -> dict[str, dict[str, Any]]:
    """Name of a folder -> label, id and time, from Gradescope's description."""
    try:
        described = yaml.safe_load(metadata.read_text(encoding="utf-8")) or {}
        people = {}
        for name, entry in described.items():
            person = (entry.get(":submitters") or [{}])[0]
            when = entry.get(":created_at")
            people[name] = {
                "label": str(person.get(":email") or person.get(":name") or name),
                "lms_id": str(person.get(":sid") or ""),
                "when": when if isinstance(when, datetime) else None,
            }
        return people
    except (yaml.YAMLError, AttributeError, TypeError, OSError) as problem:
        reason = str(problem).splitlines()[0]
        raise ValueError(f"{metadata.name} cannot be read: {reason}") from None
