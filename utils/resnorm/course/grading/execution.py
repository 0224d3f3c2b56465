"""Run a notebook the way graded notebooks run: its tests outside of the box, all else inside."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..sandbox.incidents import Incident, Trace
from ..sandbox.limits import DEFAULT_LIMITS, Limits
from ..sandbox.runner import run
from .cells import is_test, ours, public_text
from .trusted import JudgeProcess

#: Environment variables of a graded run. What torch.compile decorates runs as it is written: to
#: compile takes a minute or more on a busy machine, and a compiler that it may not have.
GRADED = {"RESNORM_SCALE": "page", "PYTHONHASHSEED": "0", "TORCH_COMPILE_DISABLE": "1"}
#: Kinds of incidents after which the rest of a notebook runs.
CONTINUES = {"reach", "disk", "cut", "unreadable"}


def run_graded(
    notebook: NotebookNode,
    tests: JudgeProcess,
    files: Iterable[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    *,
    unsafe: bool = False,
) -> Trace:
    """Run a notebook in the sandbox and its tests outside.

    Where the notebook comes to a graded cell, its test runs outside and reaches into the box. Then
    what students see of the cell runs in the box, too, because their own cells may use its names.

    Args:
        notebook: its outputs are replaced.
        tests: those of the assignment.
        files: copied into its working folder.
        limits: what it may use.
        unsafe: run without a sandbox where there is none.

    Returns:
        What happened, besides the outputs.
    """
    inside, places = inside_the_box(notebook)
    trace = run(inside, files, limits, environment=GRADED, unsafe=unsafe, before=tests.before)
    for cell, place in zip(inside.cells, places, strict=True):
        if cell.cell_type == "code" and not ours(cell).get("stand_in"):
            notebook.cells[place].outputs = cell.outputs
            notebook.cells[place].execution_count = None
    trace.incidents = [
        replace(each, cell=places[each.cell]) if each.cell >= 0 else each
        for each in trace.incidents
    ]
    return trace


def inside_the_box(notebook: NotebookNode) -> tuple[NotebookNode, list[int]]:
    """Make the notebook whose cells run in the box.

    Of a test, what students see runs where it stands. Where its hidden part runs further down,
    which :func:`.placement.place_tests` decides, an empty cell there has its name.

    Args:
        notebook: the one that is graded.

    Returns:
        The other notebook, and for each of its cells the index of the same cell in the given one.
    """
    inside = copy.deepcopy(notebook)
    later: dict[int, list[int]] = {}
    for place, cell in enumerate(inside.cells):
        if is_test(cell):
            cell.source = public_text(cell.source)
            if (at := ours(cell).get("runs_at")) is not None:
                later.setdefault(at, []).append(place)
    cells: list[NotebookNode] = []
    places: list[int] = []
    for place, cell in enumerate([*inside.cells, None]):
        for test in later.get(place, []):
            about = inside.cells[test].metadata.pop("nbgrader")
            metadata = {"nbgrader": about, "resnorm": {"stand_in": True}}
            cells.append(nbformat.v4.new_code_cell(metadata=metadata))
            places.append(test)
        if cell is not None:
            cells.append(cell)
            places.append(place)
    inside.cells = cells
    return inside, places


def stopping(trace: Trace) -> list[Incident]:
    """List the incidents after which the notebook did not go on.

    Args:
        trace: what happened in a run.
    """
    return [incident for incident in trace.incidents if incident.kind not in CONTINUES]
