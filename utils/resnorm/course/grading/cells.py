"""What the metadata and the marks in a cell say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


def meta(cell: NotebookNode) -> Mapping[str, Any]:
    """Get nbgrader's metadata of a cell.

    Args:
        cell: any cell.

    Returns:
        The metadata, which are empty for a cell of the student's own.
    """
    return cell.metadata.get("nbgrader", {})


def ours(owner: NotebookNode) -> Mapping[str, Any]:
    """Get the metadata of the course's own tools.

    Args:
        owner: any notebook or cell.
    """
    return owner.metadata.get("resnorm", {})


def is_written_answer(cell: NotebookNode) -> bool:
    """Say whether a person marks this cell.

    Args:
        cell: any cell.
    """
    about = meta(cell)
    return bool(about.get("grade") and about.get("solution") or about.get("task"))


def is_test(cell: NotebookNode) -> bool:
    """Say whether this is a code cell that is graded automatically.

    Args:
        cell: any cell.
    """
    about = meta(cell)
    return cell.cell_type == "code" and bool(about.get("grade")) and not about.get("solution")


def graded_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """List the code cells that are graded automatically.

    Args:
        notebook: any notebook.
    """
    return [cell for cell in notebook.cells if is_test(cell)]


def by_name(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """Find the cells that nbgrader knows, by its names of them.

    Args:
        notebook: any notebook.
    """
    return {meta(cell)["grade_id"]: cell for cell in notebook.cells if meta(cell)}


def hidden_lines(source: str) -> set[int]:
    """List the lines of a test cell that students do not see.

    Args:
        source: text of the cell.

    Returns:
        Numbers of lines, from 1.
    """
    hidden: set[int] = set()
    inside = False
    for number, line in enumerate(source.splitlines(), start=1):
        if line.strip() == BEGIN_HIDDEN:
            inside = True
        if inside:
            hidden.add(number)
        if line.strip() == END_HIDDEN:
            inside = False
    return hidden


def public_text(source: str) -> str:
    """Reduce a test cell to what students see of it.

    Args:
        source: text of the cell.
    """
    hidden = hidden_lines(source)
    lines = enumerate(source.splitlines(), start=1)
    return "\n".join(line for number, line in lines if number not in hidden).strip()


def is_boxed(cell: NotebookNode) -> bool:
    """Say whether a cell's names live beside the student's code while the tests run outside.

    Args:
        cell: a cell of the instructor's notebook.
    """
    return bool(ours(cell).get("boxed"))


def is_shared(cell: NotebookNode) -> bool:
    """Say whether the tests need what this cell defines: it is locked code, such as imports.

    Args:
        cell: a cell of the instructor's notebook.
    """
    about = meta(cell)
    return cell.cell_type == "code" and bool(about.get("locked")) and not about.get("grade")
