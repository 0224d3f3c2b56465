"""A student's notebook, from the file that was handed in to the notebook that runs."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cells import meta, public_text

#: Size of the largest file that is read, in bytes.
MAX_BYTES = 20 * 2**20


class NotGradableError(ValueError):
    """A file cannot be graded. The message says why."""


def read_submission(path: Path, max_bytes: int = MAX_BYTES) -> NotebookNode:
    """Read a notebook from a student's file, in the current format.

    Args:
        path: the file.
        max_bytes: size of the largest file that is read.

    Raises:
        NotGradableError: the file is empty, too large, not a notebook, or in a format that cannot
            be read.
    """
    size = path.stat().st_size
    if size == 0:
        raise NotGradableError(f"{path.name} is empty")
    if size > max_bytes:
        raise NotGradableError(
            f"{path.name} has {size / 2**20:.0f} MB; at most {max_bytes / 2**20:.0f} are read: "
            "ask for it without outputs"
        )
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as problem:  # whatever a hostile file provokes in the reader
        first = (str(problem) or type(problem).__name__).splitlines()[0][:200]
        raise NotGradableError(f"{path.name} is not a notebook that can be read: {first}") from None
    return notebook


def restore(submitted: NotebookNode, source: NotebookNode) -> tuple[NotebookNode, list[Incident]]:
    """Put the student's answers into the instructor's notebook.

    Every cell of the source is there, once, in its order. The answers come from the submission,
    everything else from the source. A cell of the student's own follows the cell that it followed.

    Args:
        submitted: the student's notebook.
        source: the instructor's notebook, with hidden tests.

    Returns:
        The notebook to run, and what the student had changed.
    """
    answers, own, incidents = _sorted_cells(submitted, source)
    cells = [_without_metadata(extra) for extra in own.get("", [])]
    for original in source.cells:
        name = meta(original).get("grade_id", "")
        if not name:
            cells.append(copy.deepcopy(original))
            continue
        cell, incident = _restored(original, answers.get(name))
        cells.append(cell)
        if incident:
            incidents.append(incident)
        cells += [_without_metadata(extra) for extra in own.get(name, [])]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    restored = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return nbformat.from_dict(restored), incidents


def _sorted_cells(
    submitted: NotebookNode, source: NotebookNode
) -> tuple[dict[str, NotebookNode], dict[str, list[NotebookNode]], list[Incident]]:
    """Tell the cells of a submission apart.

    Returns:
        The cells of the source by name, the student's own by the name of the cell that they follow
        (empty before the first one), and incidents for cells that are there twice.
    """
    answers: dict[str, NotebookNode] = {}
    own: dict[str, list[NotebookNode]] = {}
    incidents = []
    before = ""
    known = {meta(cell)["grade_id"] for cell in source.cells if meta(cell)}
    unmarked = {cell.source.strip() for cell in source.cells if not meta(cell)}
    for index, cell in enumerate(submitted.cells):
        name = meta(cell).get("grade_id", "")
        if name in known:
            before = name
            if name in answers:
                message = f"the cell {name} is there more than once; the first counts"
                incidents.append(Incident(index, "edited", message))
            else:
                answers[name] = cell
        elif cell.source.strip() and cell.source.strip() not in unmarked:
            own.setdefault(before, []).append(cell)
    return answers, own, incidents


def _restored(
    original: NotebookNode, given: NotebookNode | None
) -> tuple[NotebookNode, Incident | None]:
    """A named cell of the source with the answer in it, and what had been done to it."""
    cell = copy.deepcopy(original)
    name, is_answer = meta(cell)["grade_id"], meta(cell).get("solution")
    if given is None:
        if is_answer:
            cell.source = ""
        empty = " empty" if is_answer else ""
        message = f"the cell {name} was missing and has been put back{empty}"
        return cell, Incident(-1, "missing", message)
    if is_answer:
        if given.cell_type == cell.cell_type:
            cell.source = given.source
            return cell, None
        cell.source = ""
        return cell, Incident(
            -1, "edited", f"the answer {name} had become a {given.cell_type} cell"
        )
    if public_text(cell.source) != given.source.strip():
        message = f"the cell {name} had been changed and has been put back"
        return cell, Incident(-1, "edited", message)
    return cell, None


def _without_metadata(cell: NotebookNode) -> NotebookNode:
    """A cell of the student's own, without metadata that could mean something to a grader."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    return make.get(cell.cell_type, nbformat.v4.new_raw_cell)(cell.source)
