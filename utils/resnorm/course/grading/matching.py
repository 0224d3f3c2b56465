"""Which cell of the assignment a cell of a submission is.

nbgrader's metadata say so. Where they were lost, as in a copy of a notebook, the content does.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence

from nbformat import NotebookNode

from .cells import is_shared, is_test, meta, public_text
from .definitions import ANYTHING, definitions
from .names import parse

#: Share of lines in common from which a cell counts as an edited test.
SIMILAR = 0.6
#: What is in place of a solution in the students' notebook, and what marks it in ours.
STUB = re.compile(r"# YOUR CODE HERE\s+raise NotImplementedError(\(\))?")
SOLUTION = re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)
#: No test is longer, in characters, so longer code is compared as text only.
MAX_TEST = 20_000
Cells = Sequence[NotebookNode]
#: For each cell of a submission the index of the one that it is in the assignment, or None.
Found = list[int | None]


def same(one: str, other: str) -> bool:
    """Say whether two texts are equal, except for what editors change by themselves.

    Such are ends of lines, tabs, trailing blanks and, where both are code, its layout.

    Args:
        one: text of a cell.
        other: text of another one.
    """
    if squeezed(one) == squeezed(other):
        return True
    shape = _shape(one)
    return bool(shape) and shape == _shape(other)


def squeezed(text: str) -> str:
    """Take out of a text what editors change by themselves.

    Args:
        text: of a cell.
    """
    lines = text.replace("\u00a0", " ").expandtabs(4).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


def is_unanswered(text: str, original: str) -> bool:
    """Say whether nobody has written an answer into a cell.

    Args:
        text: of the submitted cell.
        original: text of the instructor's cell, with the solution.
    """
    if not text.strip():
        return True
    as_released = STUB.sub("", text).split() == SOLUTION.sub("", original).split()
    return as_released and bool(SOLUTION.search(original))


def asked(original: str) -> set[str]:
    """List the names that an answer is to define.

    Args:
        original: text of the instructor's cell, with the solution.
    """
    return set(defined(SOLUTION.sub("pass", original))) or set(defined(original))


def handed_out(source: NotebookNode) -> set[str]:
    """List the shapes of the definitions in which answers are to be written.

    Args:
        source: the instructor's notebook.
    """
    return {
        each.shape
        for cell in source.cells
        if cell.cell_type == "code" and meta(cell).get("solution")
        for each in definitions(SOLUTION.sub("raise NotImplementedError()", cell.source))
    }


def defined(text: str) -> list[str]:
    """List the names that code binds when it runs.

    Args:
        text: of a cell.
    """
    found = definitions(text)
    return [each.name for each in found if not each.is_part and each.name != ANYTHING]


def match(submitted: Cells, source: Cells) -> tuple[Found, list[str], set[int]]:
    """Find out for each cell of a submission which one of the assignment it is.

    Args:
        submitted: the student's cells.
        source: the instructor's cells.

    Returns:
        One index into ``source`` per submitted cell, None for a cell of the student's own; the
        names of cells that were found by their content because their metadata are lost; and the
        indices of answers that also, or only, stand in another place, where they count as cells of
        the student's own. Several cells of the submission may be the same cell of the assignment.
    """
    by_name = {meta(cell)["grade_id"]: index for index, cell in enumerate(source) if meta(cell)}
    found: Found = [by_name.get(meta(cell).get("grade_id", "")) for cell in submitted]
    missing = {index for index in range(len(source)) if index not in found}
    _by_text(found, submitted, source)
    _by_similarity(found, submitted, source, missing.difference(found))
    _by_definitions(found, submitted, source, missing.difference(found))
    _by_position(found, submitted, source, missing.difference(found))
    names = [
        meta(source[index]).get("grade_id", "") for index in sorted(missing.intersection(found))
    ]
    displaced = _displaced(found, submitted, source)
    moved = {index for place in displaced if (index := found[place]) is not None}
    kept = [None if place in displaced else index for place, index in enumerate(found)]
    return kept, [name for name in names if name], moved


def _by_text(found: Found, submitted: Cells, source: Cells) -> None:
    """Cells that say what students see in a cell of ours."""
    texts: dict[tuple[str, str], int] = {}
    for index, cell in reversed(list(enumerate(source))):
        if not meta(cell).get("solution"):
            shown = public_text(cell.source)
            for key in filter(None, (squeezed(shown), _code_shape(cell, shown))):
                texts[cell.cell_type, key] = index
    for place, cell in enumerate(submitted):
        if found[place] is None:
            keys = (squeezed(cell.source), _code_shape(cell, cell.source))
            found[place] = next(
                (texts[cell.cell_type, key] for key in keys if (cell.cell_type, key) in texts), None
            )


def _by_similarity(found: Found, submitted: Cells, source: Cells, missing: set[int]) -> None:
    """Cells that are mostly what students see in a cell of ours, which is nowhere else."""
    for index in sorted(missing):
        if not meta(source[index]) or meta(source[index]).get("solution"):
            continue
        ours = squeezed(public_text(source[index].source)).splitlines()
        likeness = {
            place: difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
            for place, cell in enumerate(submitted)
            if found[place] is None
            and cell.cell_type == source[index].cell_type
            and len(theirs := squeezed(cell.source).splitlines()) < 3 * len(ours)
        }
        best = max(likeness, key=likeness.__getitem__, default=None)
        if best is not None and likeness[best] >= SIMILAR:
            found[best] = index


def _by_definitions(found: Found, submitted: Cells, source: Cells, missing: set[int]) -> None:
    """Cells that define what an answer defines, which is nowhere else, or is empty."""
    wanted: dict[str, int] = {}
    for index in sorted(missing, reverse=True):
        if source[index].cell_type == "code" and meta(source[index]).get("solution"):
            wanted |= dict.fromkeys(defined(source[index].source), index)
    for place, cell in enumerate(submitted):
        if found[place] is None and cell.cell_type == "code" and wanted:
            answers = [wanted[name] for name in defined(cell.source) if name in wanted]
            found[place] = min(answers, default=None)


def _by_position(found: Found, submitted: Cells, source: Cells, missing: set[int]) -> None:
    """Cells that stand where an answer stands, between cells of ours."""
    for index in sorted(missing):
        if not meta(source[index]).get("solution"):
            continue
        is_code = source[index].cell_type == "code"
        before = max((known for known in found if known is not None and known < index), default=-1)
        start = max((place for place, known in enumerate(found) if known == before), default=-1)
        later = range(start + 1, len(submitted))
        end = next((place for place in later if (found[place] or 0) > index), len(submitted))
        candidates = [
            place
            for place in later
            if found[place] is None
            and (submitted[place].cell_type == "code") == is_code
            and submitted[place].source.strip()
        ]
        here = [place for place in candidates if place < end]
        # Text that stands further down is still the best guess at a written answer.
        for place in here or ([] if is_code else candidates):
            found[place] = index


def originals(found: Found, submitted: Cells) -> set[int]:
    """Say which cells of a submission are those of the assignment, and not copies of them.

    Of several, the first one that has kept nbgrader's metadata is, or else the first one.

    Args:
        found: for each cell of the submission the index of the one that it is, or None.
        submitted: the student's cells.

    Returns:
        Their indices in the submission.
    """
    chosen: dict[int, int] = {}
    for place in sorted(range(len(found)), key=lambda place: (not meta(submitted[place]), place)):
        if (index := found[place]) is not None:
            chosen.setdefault(index, place)
    return set(chosen.values())


def _displaced(found: Found, submitted: Cells, source: Cells) -> set[int]:
    """The places of answers in code that do not stand between the same cells of ours as there."""
    fixed = [
        (place, index)
        for place in sorted(originals(found, submitted))
        if (index := found[place]) is not None
        and (is_test(source[index]) or is_shared(source[index]))
    ]
    displaced = set()
    for place, index in enumerate(found):
        if (
            index is None
            or source[index].cell_type != "code"
            or not meta(source[index]).get("solution")
        ):
            continue
        above = [known for other, known in fixed if other < place]
        below = [known for other, known in fixed if other > place]
        if not (above or [-1])[-1] < index < (below or [len(source)])[0]:
            displaced.add(place)
    return displaced


def _shape(text: str) -> str:
    """The syntax of code, without its layout; empty for what is not code."""
    tree = parse(squeezed(text)) if len(text) < MAX_TEST else None
    try:
        return ast.dump(tree) if tree and tree.body else ""
    except (RecursionError, MemoryError):
        return ""


def _code_shape(cell: NotebookNode, text: str) -> str:
    return _shape(text) if cell.cell_type == "code" else ""
