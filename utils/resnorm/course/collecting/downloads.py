"""Who handed in what, in the bulk download of a learning management system.

Downloads differ in how they pack a submission. Canvas names files
``doejane_LATE_1234_5678_a1.ipynb``. Moodle makes folders ``Jane Doe_12_assignsubmission_file``, or
files ``Jane Doe_12_assignsubmission_file_a1.ipynb``. Gradescope makes folders ``submission_1234``
beside a file ``submission_metadata.yml``. Folders and files with other names are named after
students.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .archives import MAX_DEPTH, is_hidden, printable
from .gradescope import METADATA, read_metadata
from .people import File, Person, Submission
from .times import NOTED, HandedIn
from .worksheet import Worksheet

CANVAS = re.compile(
    r"^(?P<name>.*?)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?P<submission>\d+)_(?P<file>.+)$", re.DOTALL
)
CANVAS_ANONYMOUS = re.compile(r"^(?:LATE_)?anon_[0-9A-Za-z]+_\d+_.+$", re.DOTALL)
CANVAS_TEXT = re.compile(r"^(?P<name>.*?)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?:text|link)\.html$")
MOODLE = re.compile(
    r"^(?P<name>.+?)(?:_(?P<id>\d+))?_assignsubmission_(?:file|onlinetext)(?:_(?P<file>.*))?$",
    re.DOTALL,
)
GRADESCOPE = re.compile(r"^submission_\d+$")
WORK = (".ipynb", ".zip")
#: How many folders may lie around those of the students.
DEPTH = 5


def submissions(
    folder: Path, is_known: Callable[[str], bool], worksheet: Worksheet | None = None
) -> Iterator[Submission]:
    """Find out who handed in what.

    Args:
        folder: an unpacked download of any of the systems above.
        is_known: whether a file or folder with this name is of somebody in the class.
        worksheet: Moodle's grading worksheet, which says who and when.

    Yields:
        One submission per person or group, and one for everything that is not taken.

    Raises:
        ValueError: Gradescope's description cannot be read.
    """
    download = _Download(is_known, worksheet or Worksheet())
    yield from download.read(folder, DEPTH)
    yield from download.found.values()


def files_below(folder: Path) -> Iterator[File]:
    """List the regular files in a folder and its folders; no link is followed.

    Args:
        folder: where to look.
    """
    for place, folders, names in os.walk(folder):  # which does not follow links
        folders.sort()
        if len(Path(place).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        for path in (Path(place, name) for name in sorted(names)):
            if not path.is_symlink() and path.is_file() and not is_hidden(path.relative_to(folder)):
                yield File(path, path.name)


@dataclass
class _Download:
    """Reads a download; the attributes are those of ``submissions``."""

    is_known: Callable[[str], bool]
    worksheet: Worksheet
    found: dict[tuple[str, str, str], Submission] = field(default_factory=dict)

    def read(self, folder: Path, depth: int) -> Iterator[Submission]:
        """The submissions in a folder, and in folders that only hold those of others.

        Canvas and Moodle may give a student several files; those are gathered in ``found``.
        """
        entries = _visible(folder)
        metadata = folder / METADATA
        described = read_metadata(metadata) if metadata in entries else {}
        folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
        around = [one for one in folders if depth and self._holds_others(one, len(entries) == 1)]
        # A student chooses what lies in their folder, and must not choose whose it is.
        are_all = not any(_holds_work(one) for one in folders if one not in around)
        for entry in entries:
            if entry.is_symlink():
                yield _not_taken(entry, "is a link")
            elif not _is_readable(entry):
                yield _not_taken(entry, "cannot be read with the rights of your account")
            elif entry.is_dir():
                if entry in around and are_all:
                    yield from self.read(entry, depth - 1)
                elif entry in around:
                    yield _not_taken(
                        entry,
                        "is not named after anybody in the class list, and what lies in it is, but "
                        "may be made up by a student: if it is not, collect this folder alone",
                    )
                else:
                    yield from self._folder(entry, described)
            elif entry == metadata:
                continue
            elif entry.is_file():
                yield from self._file(entry)
            else:
                yield _not_taken(entry, "is not a regular file")

    def _holds_others(self, folder: Path, is_alone: bool, depth: int = DEPTH) -> bool:
        """Whether this folder holds the folders of several people, and is not one person's."""
        if MOODLE.match(folder.name) or GRADESCOPE.match(folder.name):
            return False
        if self.is_known(folder.name) or not _is_readable(folder):
            return False
        inside = [path for path in _visible(folder) if not path.is_symlink()]
        # A download may have a folder around everything.
        wraps = is_alone and not any(path.suffix.lower() == ".ipynb" for path in inside)
        return wraps or any(
            path.name == METADATA
            or any(form.match(path.name) for form in (MOODLE, GRADESCOPE, CANVAS, CANVAS_ANONYMOUS))
            or self.is_known(path.name if path.is_dir() else path.stem)
            or (depth and path.is_dir() and self._holds_others(path, False, depth - 1))
            for path in inside
        )

    def _folder(self, folder: Path, described: dict[str, Submission]) -> Iterator[Submission]:
        """The submission in a folder of Moodle, of Gradescope, or with any other name."""
        files = list(files_below(folder))
        if match := MOODLE.match(folder.name):
            self._moodle(match).files.extend(files)
        elif folder.name in described:
            described[folder.name].files.extend(files)
            yield described[folder.name]
        elif GRADESCOPE.match(folder.name):
            yield _not_taken(folder, f"{METADATA} does not say whose it is: it must lie beside it")
        else:
            yield Submission([Person(handle=folder.name)], files, HandedIn.read(folder / NOTED))

    def _file(self, path: Path) -> Iterator[Submission]:
        """The submission that a file of Canvas or Moodle belongs to, or that is in this file."""
        if match := MOODLE.match(path.name):
            self._moodle(match).files.append(File(path, match["file"] or path.name))
        elif CANVAS_ANONYMOUS.match(path.name):
            yield _not_taken(
                path,
                "Canvas wrote no names, because the assignment is anonymous: show the names there "
                "and download again",
            )
        elif match := CANVAS.match(path.name) or CANVAS_TEXT.match(path.name):
            key = "Canvas", match["name"], match["id"]
            person = Person(name=match["name"], number=match["id"])
            submission = self.found.setdefault(key, Submission([person], from_lms=True))
            late = bool(match["late"]) or bool(submission.handed_in and submission.handed_in.late)
            submission.handed_in = HandedIn("Canvas", late=late)
            about = {"submission": "0", "file": path.name} | match.groupdict()
            submission.files.append(File(path, about["file"], int(about["submission"])))
        elif path.suffix.lower() in WORK:
            yield Submission([Person(handle=path.stem)], [File(path, path.name)])
        else:
            yield _not_taken(path, "is neither a notebook nor a zip")

    def _moodle(self, match: re.Match[str]) -> Submission:
        """The submission of a person or group of Moodle, whose number is of this assignment."""
        number = match["id"] or ""
        listed = self.worksheet.people.get(number)
        if listed:
            person, handed_in = listed
        else:
            reason = ""
            if match["name"] == "Participant":
                reason = "Moodle wrote no names, because the assignment is anonymous"
                reason += ": reveal them there and download again, or give --worksheet"
            person = Person(name=match["name"], loose_number=number, reason=reason)
            handed_in = None
        key = "Moodle", match["name"], number
        return self.found.setdefault(key, Submission([person], [], handed_in, from_lms=True))


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(Path(path.name)))


def _is_readable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


def _holds_work(folder: Path) -> bool:
    return any(file.path.suffix.lower() in WORK for file in files_below(folder))


def _not_taken(path: Path, problem: str) -> Submission:
    return Submission([Person(handle=printable(path.name))], problem=problem)
