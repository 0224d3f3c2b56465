"""Run one submission and mark it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from ..sandbox.limits import DEFAULT_LIMITS, Limits
from .cells import graded_cells, is_test, is_written_answer, meta, ours
from .execution import run_graded, stopping
from .inspection import PROBE, forbidden, noticed, patched, used
from .losses import explained
from .matching import handed_out
from .reports import Report
from .submission import restore
from .trusted import JudgeProcess, Reference
from .verdicts import Verdict, not_run
from .weights import Examined, by_weights, doubts, examine, rules, weights_file

#: Number of characters that a graded notebook keeps of one printed output.
MAX_TEXT = 20_000


def grade(
    submitted: NotebookNode,
    source: NotebookNode,
    reference: Reference,
    *,
    student: str = "",
    assignment: str = "",
    files: Iterable[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    hidden: Path | None = None,
    unsafe: bool = False,
) -> tuple[NotebookNode, Report]:
    """Run one submission and mark it.

    Args:
        submitted: the student's notebook.
        source: the instructor's notebook.
        reference: what the tests expect, from the run of the instructor's solution.
        student: id of the student, for the report.
        assignment: name of the assignment, for the report.
        files: copied into the working folder of the notebook.
        limits: what the notebook may use.
        hidden: file with hidden images, for an assignment that is graded by weights.
        unsafe: run without a sandbox where there is none.

    Returns:
        The notebook, with verdicts in place of the outputs of graded cells, and the report.
    """
    files = list(files)
    notebook, edits = restore(submitted, source)
    notebook.metadata["resnorm"] = dict(ours(source))
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    examined = Examined()
    if weights_file(source):
        examined = examine(source, files, hidden, limits)
        edits += doubts(source, examined)
    tests = JudgeProcess(source, reference, limits)
    try:
        trace = run_graded(notebook, tests, files, limits, unsafe=unsafe)
    finally:
        tests.close()
    edits += patched(notebook.cells.pop())
    stopped = next(iter(stopping(trace)), None)
    earning = [name for name, result in tests.verdicts.items() if result.agree]
    uses = noticed(tests.used, trace.used, earning)
    report = Report(
        student,
        assignment,
        status="unfinished" if stopped else "graded",
        to_mark=[meta(cell)["grade_id"] for cell in notebook.cells if is_written_answer(cell)],
        incidents=edits + forbidden(notebook) + used(uses, source) + trace.incidents,
        seconds=round(trace.seconds, 1),
        memory=trace.memory,
        processes=trace.processes,
    )
    for cell in graded_cells(notebook):
        name = meta(cell)["grade_id"]
        if rules(cell):
            result = by_weights(cell, examined)
        else:
            result = tests.verdicts.get(name) or not_run(cell, len(reference[name]))
            if stopped:
                result = _unfinished(result, stopped)
        report.add(result)
        cell.outputs = _outputs(result, "hidden images" if rules(cell) else "comparisons")
    lost = {each.name: each.message for each in report.verdicts if each.points < each.possible}
    report.incidents += _of_types(tests.dtypes, "with which more of these tests agreed")
    report.incidents += _of_types(tests.others, "and these tests lost points")
    report.incidents += explained(notebook, lost, handed_out(source), edits)
    _trim(notebook)
    return notebook, report


def _of_types(dtypes: Mapping[str, str], what: str) -> list[Incident]:
    """Say which tests are concerned by the notebook's own default type, and how."""
    return [
        Incident(
            -1,
            "matched",
            f"the notebook sets the default type {dtype}, {what}: "
            + ", ".join(name for name, kept in dtypes.items() if kept == dtype),
        )
        for dtype in dict.fromkeys(dtypes.values())
    ]


def _unfinished(result: Verdict, stopped: Incident) -> Verdict:
    """Say in a verdict that is not complete why the notebook was stopped."""
    if result.agree == result.total or result.message.startswith(stopped.message):
        return result
    message = f"not finished: {stopped.message}\n{result.message}".strip()
    return replace(result, message=message)


def _outputs(result: Verdict, what: str = "comparisons") -> list[NotebookNode]:
    """The verdict as outputs that nbgrader reads.

    No points are an error, a part of the points is a number, and all of them need nothing.
    """
    points = f"{result.points:g} of {result.possible:g} points"
    text = f"{points}: {result.agree} of {result.total} {what} agree.\n{result.message}"
    text = text.strip()
    new_output = nbformat.v4.new_output
    outputs = [new_output("stream", name="stdout", text=text + "\n")]
    if result.bonus:
        return outputs
    if result.points == 0:
        first = text.splitlines()[0]
        outputs.append(new_output("error", ename="NotPassed", evalue=first, traceback=[text]))
    elif result.points < result.possible:
        data = {"text/plain": f"{result.points:g}"}
        outputs.append(new_output("execute_result", data=data, execution_count=1))
    return outputs


def _trim(notebook: NotebookNode) -> None:
    """Shorten what the student's own cells print."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or is_test(cell):
            continue
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = _shortened(output.text)
            elif output.output_type == "error":
                output.traceback = [_shortened("\n".join(output.traceback))]
            elif "text/plain" in output.get("data", {}):
                output.data["text/plain"] = _shortened(str(output.data["text/plain"]))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "\n… (shortened)"
