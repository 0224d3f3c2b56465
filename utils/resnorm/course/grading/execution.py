"""Run a notebook the way graded notebooks run: its tests outside of the box, all else inside."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from ..sandbox.incidents import Incident, Trace
from ..sandbox.limits import DEFAULT_LIMITS, Limits
from ..sandbox.runner import run
from .cells import graded_cells, public_text
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
    inside = copy.deepcopy(notebook)
    for cell in graded_cells(inside):
        cell.source = public_text(cell.source)
    trace = run(inside, files, limits, environment=GRADED, unsafe=unsafe, before=tests.before)
    for cell, ran in zip(notebook.cells, inside.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = ran.outputs, None
    return trace


def stopping(trace: Trace) -> list[Incident]:
    """List the incidents after which the notebook did not go on.

    Args:
        trace: what happened in a run.
    """
    return [incident for incident in trace.incidents if incident.kind not in CONTINUES]
