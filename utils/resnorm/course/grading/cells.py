"""What the metadata and the marks in a cell say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def split_tests(source: str) -> tuple[list[str], list[str]]:
    """Split the lines of a test cell.

    Args:
        source: text of the cell.

    Returns:
        The lines that students see, and those of the hidden tests.
    """
    public: list[str] = []
    hidden: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() in (BEGIN_HIDDEN, END_HIDDEN):
            inside = line.strip() == BEGIN_HIDDEN
        else:
            (hidden if inside else public).append(line)
    return public, hidden


def public_text(source: str) -> str:
    """Reduce a test cell to what students see of it.

    Args:
        source: text of the cell.
    """
    return "\n".join(split_tests(source)[0]).strip()
