"""What the tests find with the instructor's solution, with which submissions are compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path

from nbformat import NotebookNode

from ..atomic import write_whole
from ..sandbox.limits import DEFAULT_LIMITS, Limits
from . import fingerprints
from .cells import meta
from .execution import run_graded, stopping
from .reading import NotGradableError
from .trusted import JudgeProcess, Reference


def reference(
    source: NotebookNode,
    cache: Path,
    files: Sequence[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    *,
    unsafe: bool = False,
) -> Reference:
    """Run the instructor's solution, or read what its tests found when it ran before.

    Args:
        source: the instructor's notebook.
        cache: folder in which the values are kept.
        files: copied into the working folder of the notebook.
        limits: what the notebook may use.
        unsafe: run without a sandbox where there is none.

    Returns:
        What is expected, by the name of the graded cell.

    Raises:
        NotGradableError: the solution fails, or a test fails with it, compares nothing or is
            unjust.
    """
    path = cache / f"{fingerprints.of_assignment(source, files)}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    notebook = copy.deepcopy(source)
    tests = JudgeProcess(source, None, limits)
    try:
        trace = run_graded(notebook, tests, files, limits, unsafe=unsafe)
    finally:
        tests.close()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                name = meta(cell).get("grade_id", "a cell")
                raise NotGradableError(
                    f"the instructor's own solution fails in {name}: "
                    f"{output.ename}: {output.evalue}"
                )
    if trouble := stopping(trace):
        raise NotGradableError(f"the instructor's own solution was stopped: {trouble[0].message}")
    if silent := [name for name, found in tests.expected.items() if not found]:
        raise NotGradableError(
            f"these graded cells compare nothing: {', '.join(silent)}; "
            "use checking.close or checking.emit"
        )
    write_whole(path, json.dumps(tests.expected))
    return tests.expected
