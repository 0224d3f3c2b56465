"""A student's notebook, from the file that was handed in to the notebook that runs."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cells import is_test, is_written_answer, meta, ours, public_text
from .matching import asked, handed_out, is_unanswered, match, originals, same
from .names import parse
from .placement import place_tests


def restore(submitted: NotebookNode, source: NotebookNode) -> tuple[NotebookNode, list[Incident]]:
    """Put the student's answers into the instructor's notebook.

    Every cell of the source is there, once, in its order. The answers come from the submission,
    everything else from the source. A cell of the student's own follows the cell that it followed,
    copies of cells aside, and so does an answer that stands in another place than in the source.
    Where an answer is there more than once, all of it runs.

    Args:
        submitted: the student's notebook.
        source: the instructor's notebook, with hidden tests.

    Returns:
        The notebook to run, and what the student had changed.
    """
    found, by_content, displaced = match(submitted.cells, source.cells)
    incidents: list[Incident] = []
    if by_content:
        message = (
            f"{len(by_content)} cells had lost nbgrader's metadata and were recognized by their "
            f"content or their place: {', '.join(by_content)}"
        )
        incidents.append(Incident(-1, "matched", message))
    parts: dict[int, list[_Part]] = defaultdict(list)
    before, in_place = -1, originals(found, submitted.cells)
    for place, (index, cell) in enumerate(zip(found, submitted.cells, strict=True)):
        if index is None:
            parts[before].append(_Part(cell, is_copy=False))
        elif meta(source.cells[index]):
            parts[index].append(_Part(cell, is_copy=True))
            # What follows a copy of a test at the end is not meant to stand where the test does.
            before = index if place in in_place else before
    cells = [_own(part.cell) for part in parts[-1] if not part.is_blank]
    for index, original in enumerate(source.cells):
        cell = copy.deepcopy(original)
        if not meta(cell):
            cells.append(cell)
        elif is_written_answer(cell):
            cells += _written(cell, parts[index], incidents)
        elif meta(cell).get("solution"):
            cells += _answered(cell, parts[index], incidents, index in displaced)
        else:
            cells += _put_back(cell, parts[index], incidents)
    asked_by = {
        meta(cell)["grade_id"]: asked(cell.source)
        for cell in source.cells
        if cell.cell_type == "code" and meta(cell).get("solution")
    }
    incidents += place_tests(cells, asked_by, handed_out(source))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    restored = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return nbformat.from_dict(restored), incidents


@dataclass(frozen=True)
class _Part:
    """A cell of a submission, with the cell of the source that it is or that it follows.

    Attributes:
        cell: the student's cell.
        is_copy: whether it is that cell of the source, not one of the student's own.
    """

    cell: NotebookNode
    is_copy: bool

    @property
    def is_blank(self) -> bool:
        return not self.cell.source.strip()

    @property
    def is_code(self) -> bool:
        return self.cell.cell_type == "code" and not self.is_blank


def _answered(
    cell: NotebookNode, parts: list[_Part], incidents: list[Incident], is_displaced: bool
) -> list[NotebookNode]:
    """The cells that stand for an answer in code: earlier parts of it, the answer, and the rest."""
    name, kind, original = meta(cell)["grade_id"], cell.cell_type, cell.source
    copies = [part for part in parts if part.is_copy]
    full = [part for part in copies if not part.is_blank and part.cell.cell_type == kind]
    filled = [part for part in full if not is_unanswered(part.cell.source, original)] or full
    other = [part.cell.cell_type for part in copies if part.cell.cell_type != kind]
    cell.source = filled[-1].cell.source if filled else ""
    # Where a definition of it is used from another cell, its names are still those of an answer.
    cell.metadata["resnorm"] = {**ours(cell), "asked": sorted(asked(original))}
    if not copies and not is_displaced:
        message = f"the cell {name} was missing and has been put back empty"
        incidents.append(Incident(-1, "missing", message))
    elif other and not filled:
        message = f"the answer {name} had become a {other[0]} cell"
        incidents.append(Incident(-1, "edited", message))
    elif whole := _joined([part.cell.source for part in parts if part.is_code]):
        message = f"the cell {name} had been split inside of a statement and has been joined"
        incidents.append(Incident(-1, "edited", message))
        cell.source = whole
        return [cell]
    elif len(copies) + is_displaced > 1:
        message = (
            f"the cell {name} is there more than once; all of them run, and the last one above its "
            "tests counts"
        )
        incidents.append(Incident(-1, "edited", message))
    place = parts.index(filled[-1]) if filled else -1
    own = [
        [_own(part.cell) for part in some if not part.is_blank]
        for some in (parts[: max(place, 0)], parts[place + 1 :])
    ]
    return [*own[0], cell, *own[1]]


def _joined(texts: list[str]) -> str:
    """The code of which these are parts that are no code alone; empty if they are not."""
    whole = "\n".join(texts)
    # Of a part whose first line is indented, IPython would make code of its own.
    alone = [bool(parse(text)) and not text.strip("\n")[:1].isspace() for text in texts]
    split = len(texts) > 1 and not all(alone)
    return whole if split and parse(whole) else ""


def _written(
    cell: NotebookNode, parts: list[_Part], incidents: list[Incident]
) -> list[NotebookNode]:
    """A written answer, put together from all cells that hold a part of it, and what follows."""
    name = meta(cell)["grade_id"]
    copies = [part.cell for part in parts if part.is_copy]
    # Many leave the cell for the answer as it is, and write into a new one below it.
    texts = [part.cell for part in parts if part.is_copy or part.cell.cell_type != "code"]
    cell.source = "\n\n".join(dict.fromkeys(text.source for text in texts if text.source.strip()))
    attachments = {
        key: value for text in texts for key, value in text.get("attachments", {}).items()
    }
    if attachments:
        cell["attachments"] = attachments
    if not copies:
        message = f"the cell {name} was missing and has been put back empty"
        incidents.append(Incident(-1, "missing", message))
    for kind in sorted({part.cell_type for part in copies} - {cell.cell_type}):
        message = f"the answer {name} had become a {kind} cell; its text has been kept"
        incidents.append(Incident(-1, "edited", message))
    rest = [part for part in parts if not part.is_copy and part.cell.cell_type == "code"]
    return [cell, *(_own(part.cell) for part in rest if not part.is_blank)]


def _put_back(
    cell: NotebookNode, parts: list[_Part], incidents: list[Incident]
) -> list[NotebookNode]:
    """A cell that students do not change, as it was, and what the student added.

    An edited test does not run, unless the test is there as well. Of other cells, such as the
    imports, both run: the edit may be an import that the answers need.
    """
    name = meta(cell)["grade_id"]
    copies = [part for part in parts if part.is_copy]
    edited = [part for part in copies if not same(part.cell.source, public_text(cell.source))]
    if not copies:
        message = f"the cell {name} was missing and has been put back"
        incidents.append(Incident(-1, "missing", message))
    elif edited:
        message = f"the cell {name} had been changed and has been put back"
        incidents.append(Incident(-1, "edited", message))
    both_run = not is_test(cell) or len(edited) < len(copies)
    later = [
        part.cell
        for part in parts
        if not part.is_blank and (not part.is_copy or (part in edited and both_run))
    ]
    return [cell, *map(_own, later)]


def _own(cell: NotebookNode) -> NotebookNode:
    """A cell of the student's own, without metadata that could mean something to a grader."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    own = make.get(cell.cell_type, nbformat.v4.new_raw_cell)(cell.source)
    if own.cell_type == "markdown" and "attachments" in cell:
        own["attachments"] = cell.attachments
    return own
