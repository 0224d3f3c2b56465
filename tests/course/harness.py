"""Grade in this process: the same records and verdicts as in the sandbox, without its seconds. For answers that we wrote."""

import contextlib
import copy
import io
from unittest import mock

import nbformat
import torch
from resnorm.course import grading


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
            mock.patch.dict("os.environ", grading.GRADED),
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
    """What the solution tells, which must not fail."""
    notebook = run(copy.deepcopy(source))
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert not errors, errors
    return {
        grading.meta(cell)["grade_id"]: grading.records(cell)
        for cell in grading.graded_cells(notebook)
    }


def verdicts(source, told, answers):
    """Graded cell -> verdict, for the source with some answers replaced."""
    notebook = copy.deepcopy(source)
    for cell in notebook.cells:
        name = grading.meta(cell).get("grade_id")
        if name in answers:
            cell.source = answers[name]
    run(notebook)
    # what is graded by predictions is no answer's doing
    cells = [
        cell
        for cell in grading.graded_cells(notebook)
        if not cell.metadata.get("resnorm", {}).get("levels")
    ]
    return {
        grading.meta(cell)["grade_id"]: grading.verdict(cell, told[grading.meta(cell)["grade_id"]])
        for cell in cells
    }


def tests_of(source):
    """Answer -> the graded cells that follow it, up to the next answer."""
    found, current = {}, None
    for cell in source.cells:
        about = grading.meta(cell)
        if about.get("solution") and not about.get("grade"):
            current = found.setdefault(about["grade_id"], [])
        elif (
            about.get("grade")
            and not about.get("solution")
            and not cell.metadata.get("resnorm", {}).get("levels")
        ):
            current.append(about["grade_id"])
    return found


def solution(source, name):
    """The answer cell of the instructor, without its marks."""
    cell = next(cell for cell in source.cells if grading.meta(cell).get("grade_id") == name)
    return "\n".join(line for line in cell.source.splitlines() if "### " not in line)


def edited(text, edit):
    """Whole code, or one edit of the solution."""
    if isinstance(edit, str):
        return edit
    old, new = edit
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the solution"
    return text.replace(old, new)
