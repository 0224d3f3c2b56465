"""Run a notebook the way graded notebooks run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from ..sandbox.incidents import Incident, Trace
from ..sandbox.limits import DEFAULT_LIMITS, Limits
from ..sandbox.runner import run

#: Environment variables of a graded run. The first one makes comparisons emit their values.
GRADED = {"RESNORM_GRADED": "1", "RESNORM_SCALE": "page", "PYTHONHASHSEED": "0"}
#: Kinds of incidents after which the rest of a notebook runs.
CONTINUES = {"reach", "disk", "cut", "unreadable"}


def run_graded(
    notebook: NotebookNode,
    files: Iterable[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    *,
    unsafe: bool = False,
) -> Trace:
    """Run a notebook in the sandbox so that its comparisons emit their values.

    Args:
        notebook: its outputs are replaced.
        files: copied into its working folder.
        limits: what it may use.
        unsafe: run without a sandbox where there is none.

    Returns:
        What happened, besides the outputs.
    """
    return run(notebook, files, limits, environment=GRADED, unsafe=unsafe)


def stopping(trace: Trace) -> list[Incident]:
    """List the incidents after which the notebook did not go on.

    Args:
        trace: what happened in a run.
    """
    return [incident for incident in trace.incidents if incident.kind not in CONTINUES]
