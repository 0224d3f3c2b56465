"""Grade in this process: the values and verdicts are those of the sandbox, without its seconds.

Only for answers that we wrote.
"""

import contextlib
import copy
import io
from unittest import mock

import nbformat
import torch

from resnorm.course.grading.cells import graded_cells, meta
from resnorm.course.grading.execution import GRADED
from resnorm.course.grading.verdicts import emitted, verdict


def run(notebook):
    """Execute the cells in place; an error is an output, as in a kernel."""
    space = {"__name__": "__main__"}
    torch.manual_seed(0)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = []

        def publish(data, outputs=cell.outputs, **_):
            outputs.append(nbformat.v4.new_output("display_data", data=data))

        with (
            mock.patch("IPython.display.publish_display_data", publish),
            mock.patch.dict("os.environ", GRADED),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            try:
                exec(compile(cell.source, "cell", "exec"), space)
            except Exception as error:
                cell.outputs.append(
                    nbformat.v4.new_output(
                        "error", ename=type(error).__name__, evalue=str(error), traceback=[]
                    )
                )
    return notebook


def reference(source):
    """What the solution emits; it must not fail."""
    notebook = run(copy.deepcopy(source))
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert not errors, errors
    return {meta(cell)["grade_id"]: emitted(cell) for cell in graded_cells(notebook)}


def verdicts(source, expected, answers):
    """Graded cell -> verdict, for the source with some answers replaced."""
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        name = meta(cell).get("grade_id")
        if name in answers:
            cell.source = answers[name]
    run(notebook)
    return {
        meta(cell)["grade_id"]: verdict(cell, expected[meta(cell)["grade_id"]])
        for cell in graded_cells(notebook)
        if not _of_predictions(cell)  # which no answer decides
    }


def tests_of(source):
    """Answer -> the graded cells that follow it, up to the next answer."""
    found, current = {}, None
    for cell in source.cells:
        about = meta(cell)
        if about.get("solution") and not about.get("grade"):
            current = found.setdefault(about["grade_id"], [])
        elif about.get("grade") and not about.get("solution") and not _of_predictions(cell):
            current.append(about["grade_id"])
    return found


def _of_predictions(cell):
    return bool(cell.metadata.get("resnorm", {}).get("levels"))


def solution(source, name):
    """The answer cell of the instructor, without its marks."""
    cell = next(cell for cell in source.cells if meta(cell).get("grade_id") == name)
    return "\n".join(line for line in cell.source.splitlines() if "### " not in line)


def edited(text, edit):
    """Whole code, or one edit of the solution."""
    if isinstance(edit, str):
        return edit
    old, new = edit
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the solution"
    return text.replace(old, new)
