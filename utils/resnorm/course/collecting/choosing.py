"""Choose, among several notebooks, the one that answers an assignment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..grading.matching import squeezed
from ..grading.reading import NotGradableError, read_submission
from .archives import writable
from .people import File

#: An answer cell in which nothing is answered, as nbgrader releases it.
STUB = re.compile(r"# YOUR CODE HERE\s+raise NotImplementedError(\(\))?|\*Your answer here\.\*")

#: What a browser or a system appends to the name of a copy.
COPIED = re.compile(r"( ?\(\d+\)| - Copy| copy( \d+)?)+(?=\.[^.]+$)", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A notebook that may be the work of somebody.

    Attributes:
        file: the file.
        handed_in: larger for one that was handed in later; zeros where that is not known.
        ours: number of its cells that are handed out in the assignment.
        answers: number of its cells that are not.
    """

    file: File
    handed_in: tuple[float, ...]
    ours: int = 0
    answers: int = 0

    @property
    def is_blank(self) -> bool:
        """Whether it is of the assignment, and nothing is answered in it."""
        return bool(self.ours) and not self.answers

    @property
    def is_filled_in(self) -> bool:
        """Whether it is of the assignment, and something is answered in it."""
        return bool(self.ours and self.answers)

    @property
    def describes(self) -> str:
        """What somebody needs to know of a notebook that was not taken."""
        if not self.ours:
            return "of another assignment, or unreadable"
        return "filled in" if self.answers else "blank"


def handed_out(path: Path) -> frozenset[str]:
    """The cells of the notebook that students get.

    Args:
        path: the notebook, released or with solutions.
    """
    return frozenset(_cells(path))


def candidate(file: File, handed_in: tuple[float, ...], ours: frozenset[str]) -> Candidate:
    """Look into a notebook, however damaged it is.

    Args:
        file: the file.
        handed_in: larger for one that was handed in later; zeros where that is not known.
        ours: the cells that students get.
    """
    cells = _cells(file.path)
    known = [cell for cell in cells if cell in ours]
    own = [cell for cell in cells if cell not in ours and not STUB.fullmatch(cell)]
    return Candidate(file, handed_in, len(known), len(own))


def choose(candidates: Iterable[Candidate], expected: str) -> Candidate | None:
    """Choose the work: of this assignment, filled in, the newest, in this order.

    Args:
        candidates: the notebooks of one person.
        expected: name of the notebook that was handed out.

    Returns:
        The notebook; None if there is none, or if it is not clear which one it is.
    """
    left = list(candidates)
    left = [one for one in left if one.ours] or left
    left = [one for one in left if one.is_filled_in] or left
    if not any(one.ours for one in left):
        left = [one for one in left if _is_named(one, expected)] or left
    newest = max((one.handed_in for one in left), default=())
    left = [one for one in left if one.handed_in == newest]
    if any(one.ours for one in left):  # the time of a file is weak, and better than nothing
        newest_file = max(one.file.path.stat().st_mtime for one in left)
        left = [one for one in left if one.file.path.stat().st_mtime == newest_file]
        left = [one for one in left if _is_named(one, expected)] or left
    clear = len({one.file.path.read_bytes() for one in left}) == 1
    return left[0] if clear else None


def beside(files: list[File], chosen: File) -> dict[str, Path]:
    """Choose the files that are copied beside the notebook.

    Of several with the same name, the one that lies nearest to the notebook counts. The newest of
    those that Canvas renamed, because they were handed in again, gets the name back. So does the
    only copy that a browser renamed, such as ``network (1).safetensors``, if nothing has that name.

    Args:
        files: all files of the submission.
        chosen: the notebook.

    Returns:
        Name -> file.
    """
    found: dict[str, Path] = {}
    others = [file for file in files if not file.is_notebook]
    others.sort(key=lambda file: (file.path.parent != chosen.path.parent, -file.order))
    for file in others:
        name = file.name if file.first_name in found else file.first_name
        found.setdefault(writable(name), file.path)
    plain = [COPIED.sub("", name) for name in found]
    for name, first in zip(list(found), plain, strict=True):
        if name != first and plain.count(first) == 1:
            found[first] = found.pop(name)
    return found


def _is_named(one: Candidate, expected: str) -> bool:
    """Whether a notebook has the expected name, or Canvas's form of it."""
    return expected in (one.file.name, one.file.first_name)


def _cells(path: Path) -> list[str]:
    """The texts of the cells that hold something, as grading reads them; none if it cannot."""
    try:
        cells = read_submission(path).cells
    except (NotGradableError, OSError):
        return []
    return [text for cell in cells if (text := squeezed(cell.source))]
