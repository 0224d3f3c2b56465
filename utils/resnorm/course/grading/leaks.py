"""Hidden tests that a submission has printed, and that nobody should get back."""

from __future__ import annotations

import json

import nbformat
from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cells import graded_cells, split_tests

REMOVED = "(removed by the grader)"


def withhold(notebook: NotebookNode, min_length: int = 20) -> list[Incident]:
    """Remove hidden tests from the outputs.

    Tests run beside the student's code, which can read and print them. This finds copies of them.
    It does not find what has been encoded or drawn.

    Args:
        notebook: after it ran; its outputs are changed in place.
        min_length: number of characters in a line that nobody writes by chance.

    Returns:
        Where hidden tests were found.
    """
    tests = {id(cell): cell for cell in graded_cells(notebook)}
    secrets = [
        json.dumps(line.strip())[1:-1]
        for cell in tests.values()
        for line in split_tests(cell.source)[1]
        if len(line.strip()) >= min_length
    ]
    found = []
    for index, cell in enumerate(notebook.cells):
        is_test = id(cell) in tests
        for output in cell.get("outputs", []):
            # Only the text of a test cell's error is shown to students. Its traceback contains the
            # test in any case, and is not used.
            shown = output.get("evalue") if is_test else output
            if not any(secret in json.dumps(shown) for secret in secrets):
                continue
            message = "an output held hidden tests and has been removed"
            found.append(Incident(index, "leak", message))
            if is_test:
                output.evalue = REMOVED
            else:
                text = REMOVED + "\n"
                cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text=text)]
                break
    return found
