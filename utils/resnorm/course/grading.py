"""Marks from what a notebook showed, and a report of what it did.

The graded notebook never learns what is right. It runs in the sandbox with the hidden tests in it, and
every comparison tells the grader its value (:func:`resnorm.checking.emit`). The instructor's solution
runs in the same way, once. Here, in a process that no submission can reach, the two are compared.

A graded cell is worth its points times the share of its comparisons that agree, in half points.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import nbformat
import numpy as np
from nbformat import NotebookNode

import resnorm  # whose checking is imported when it is used: torch takes seconds

from .sandbox import Incident, Limits, Trace, run

#: Incidents after which the notebook goes on.
GOES_ON = {"reach", "disk"}
GRADED = {"RESNORM_GRADED": "1", "RESNORM_SCALE": "page", "PYTHONHASHSEED": "0"}


PATCHED = "application/vnd.resnorm.patched+json"
#: Runs after the last cell: what of the libraries is now of the notebook's making. Hearsay, as it runs beside the student's code.
PROBE = f"""
def _probe():
    import sys
    from IPython.display import publish_display_data
    names = ("builtins", "numpy", "torch", "torch.nn", "torch.nn.functional", "resnorm.checking")
    owners = {{name: sys.modules[name] for name in names if name in sys.modules}}
    if "torch" in owners:
        owners |= {{"torch.Tensor": owners["torch"].Tensor, "torch.nn.Module": owners["torch"].nn.Module}}
    found = [
        f"{{owner}}.{{name}}"
        for owner, space in owners.items()
        for name, value in vars(space).items()
        if getattr(value, "__module__", None) == "__main__"
    ]
    publish_display_data({{"{PATCHED}": found[:20]}})
_probe()
"""


class NotGradable(ValueError):
    """A file that cannot be graded as a submission, with the reason."""


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, and make its folder.

    Raises:
        OSError: it cannot be written; what stood there still stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def meta(cell: NotebookNode) -> Mapping:
    """Nbgrader's metadata of a cell, empty for a cell of the student's own."""
    return cell.metadata.get("nbgrader", {})


def read_submission(path: Path, most: int = 20 * 2**20) -> NotebookNode:
    """A notebook from a student's file, in the current format.

    Raises:
        NotGradable: empty, too large, not a notebook, or of a format that cannot be read.
    """
    size = path.stat().st_size
    if size == 0:
        raise NotGradable(f"{path.name} is empty")
    if size > most:
        raise NotGradable(
            f"{path.name} has {size / 2**20:.0f} MB; at most {most / 2**20:.0f} are read: ask for it without outputs"
        )
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as problem:  # whatever a hostile file provokes in the reader
        first = (str(problem) or type(problem).__name__).splitlines()[0][:200]
        raise NotGradable(f"{path.name} is not a notebook that can be read: {first}") from None
    return notebook


def restore(submitted: NotebookNode, source: NotebookNode) -> tuple[NotebookNode, list[Incident]]:
    """The source notebook with the student's answers in it, and what was changed to get there.

    Every cell of the source is there, once, in its order. Answers come from the submission, everything
    else from the source; a cell of the student's own follows the cell that it followed.
    """
    answers: dict[str, NotebookNode] = {}
    own: dict[str, list[NotebookNode]] = {}
    seen: dict[str, int] = {}
    incidents = []
    before = ""
    known = {meta(cell)["grade_id"]: cell for cell in source.cells if meta(cell)}
    unmarked = {cell.source.strip() for cell in source.cells if not meta(cell)}
    for index, cell in enumerate(submitted.cells):
        name = meta(cell).get("grade_id", "")
        if name in known:
            seen[name] = seen.get(name, 0) + 1
            before = name
            if seen[name] == 1:
                answers[name] = cell
            else:
                incidents.append(
                    Incident(
                        index,
                        "edited",
                        f"the cell {name} is there more than once; the first counts",
                    )
                )
        elif cell.source.strip() and cell.source.strip() not in unmarked:
            own.setdefault(before, []).append(cell)
    cells = []
    for original in source.cells:
        cell = copy.deepcopy(original)
        name = meta(cell).get("grade_id", "")
        if name:
            given = answers.get(name)
            if given is None:
                incidents.append(
                    Incident(
                        -1,
                        "missing",
                        f"the cell {name} was missing and has been put back{' empty' if meta(cell).get('solution') else ''}",
                    )
                )
                if meta(cell).get("solution"):
                    cell.source = ""
            elif meta(cell).get("solution"):
                cell.source = given.source if given.cell_type == cell.cell_type else ""
                if given.cell_type != cell.cell_type:
                    incidents.append(
                        Incident(
                            -1, "edited", f"the answer {name} had become a {given.cell_type} cell"
                        )
                    )
            elif _public(cell.source) != given.source.strip():
                incidents.append(
                    Incident(
                        -1, "edited", f"the cell {name} had been changed and has been put back"
                    )
                )
        cells.append(cell)
        if name:
            cells += [_plain(extra) for extra in own.pop(name, [])]
    cells[:0] = [_plain(extra) for extra in own.pop("", [])]
    restored = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    return nbformat.from_dict(restored), incidents


def _plain(cell: NotebookNode) -> NotebookNode:
    """A cell of the student's own, without metadata that could mean something to a grader."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}.get(
        cell.cell_type, nbformat.v4.new_raw_cell
    )
    return make(cell.source)


def _split(source: str) -> tuple[list[str], list[str]]:
    """Lines of a test cell: those that students see, and the hidden ones."""
    public, hidden, inside = [], [], False
    for line in source.splitlines():
        if line.strip() in ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"):
            inside = "BEGIN" in line
        else:
            (hidden if inside else public).append(line)
    return public, hidden


def _public(source: str) -> str:
    """A test cell as students see it."""
    return "\n".join(_split(source)[0]).strip()


def withhold(notebook: NotebookNode, least: int = 20) -> list[Incident]:
    """Take hidden tests out of outputs, and say where they stood.

    Tests run beside the student's code, which can read them and print them. This finds copies; it does not
    find what has been encoded or drawn.

    Args:
        notebook: after it ran; outputs are changed in place.
        least: characters of a line that nobody writes by chance.
    """
    tests = {id(cell) for cell in graded_cells(notebook)}
    secret = [
        line.strip()
        for cell in notebook.cells
        if id(cell) in tests
        for line in _split(cell.source)[1]
        if len(line.strip()) >= least
    ]
    escaped = [json.dumps(line)[1:-1] for line in secret]
    found = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            # of a test cell the error's text is used alone: its traceback shows the test as a matter of course
            shown = output.get("evalue") if id(cell) in tests else output
            if not any(line in json.dumps(shown) for line in escaped):
                continue
            found.append(
                Incident(index, "leak", "an output held hidden tests and has been removed")
            )
            if id(cell) in tests:
                output.evalue = "(removed by the grader)"
            else:
                cell.outputs = [
                    nbformat.v4.new_output(
                        "stream", name="stderr", text="(removed by the grader)\n"
                    )
                ]
                break
    return found


def records(cell: NotebookNode) -> list[Mapping]:
    """What a cell told, in order."""
    return [
        output["data"][resnorm.checking.MIME]
        for output in cell.outputs
        if resnorm.checking.MIME in output.get("data", {})
    ]


@dataclass(frozen=True)
class Verdict:
    """A graded cell: points given, points possible, comparisons that agree and that there are, what to tell the student.

    A bonus counts on top: nbgrader's own points of such a cell are 0, and its ``resnorm`` metadata have ``bonus``.
    """

    name: str
    points: float
    possible: float
    agree: int
    total: int
    message: str
    bonus: bool = False


def _worth(cell: NotebookNode) -> tuple[str, float, bool]:
    """Name and points of a graded cell, and whether they are a bonus."""
    bonus = float(cell.metadata.get("resnorm", {}).get("bonus", 0))
    return meta(cell)["grade_id"], bonus or float(meta(cell)["points"]), bool(bonus)


def by_accuracy(
    cell: NotebookNode, labels: np.ndarray, levels: Iterable[tuple[float, float]]
) -> Verdict:
    """Points for predictions: ``levels`` are (percent, points), rising; labels of -1 are not in the hidden part."""
    name, possible, bonus = _worth(cell)
    told = [record for record in records(cell) if record.get("name") == "predictions"]
    hidden = labels >= 0
    total = int(hidden.sum())
    try:
        given = resnorm.checking.decode(told[0]).numpy()
        if given.shape != labels.shape or not np.issubdtype(given.dtype, np.integer):
            raise ValueError
    except (IndexError, ValueError):
        return Verdict(
            name,
            0.0,
            possible,
            0,
            total,
            f"no predictions of {len(labels):,} images as integers were told",
            bonus,
        )
    right = int((given[hidden] == labels[hidden]).sum())
    percent = 100 * right / total
    points = max((points for least, points in levels if percent >= least), default=0.0)
    message = (
        ""
        if points >= possible
        else f"{percent:.1f} of 100 are right; the next points are at {min(least for least, more in levels if more > points):g}"
    )
    return Verdict(name, points, possible, right, total, message, bonus)


def verdict(
    cell: NotebookNode, reference: list[Mapping], labels: np.ndarray | None = None
) -> Verdict:
    """Compare what a cell told with what the solution told, or its predictions with the hidden labels."""
    levels = cell.metadata.get("resnorm", {}).get("levels")
    if levels and labels is not None:
        return by_accuracy(cell, labels, levels)
    name, possible, bonus = _worth(cell)
    told, problems, agree = records(cell), [], 0
    for index, expected in enumerate(reference):
        if index >= len(told):
            break
        try:
            if told[index].get("name") != expected["name"]:
                raise AssertionError(
                    f"comparison {index + 1} should be of {expected['name']}; what was compared has been changed"
                )
            resnorm.checking.close(
                resnorm.checking.decode(told[index]),
                resnorm.checking.decode(expected),
                name=expected["name"],
                rtol=expected["rtol"],
                atol=expected["atol"],
            )
            agree += 1
        except (AssertionError, ValueError, AttributeError) as difference:
            problems.append(str(difference))
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    if error is not None:
        problems.insert(0, f"{error.ename}: {error.evalue}"[:500])
    elif len(told) < len(reference):
        problems.append(f"{len(reference) - len(told)} of {len(reference)} comparisons did not run")
    if len(told) > len(reference):
        problems.append("more was told than the test tells: full marks are not possible")
    share = agree / len(reference)
    points = (
        possible
        if share == 1 and not problems
        else math.floor(2 * possible * min(share, 0.999)) / 2
    )
    return Verdict(
        name, points, possible, agree, len(reference), "\n".join(dict.fromkeys(problems)), bonus
    )


@dataclass
class Report:
    """What an instructor needs to trust a mark, or not to.

    Attributes:
        student, assignment: names.
        status: ``"graded"``; ``"unfinished"`` if it was stopped; ``"refused"`` if it is nothing that can be run;
            ``"failed"`` if this machine could not grade it.
        points, possible: of what is graded automatically, the bonus aside.
        bonus: points on top.
        to_mark: written answers that wait for a person.
        incidents: edits, crashes, caps met, attempts to reach outside.
        verdicts: of the graded cells.
        seconds, memory, processes: what it took.
        key: a hash of all that decided this result.
    """

    student: str
    assignment: str
    status: str
    key: str = ""
    points: float = 0.0
    possible: float = 0.0
    bonus: float = 0.0
    to_mark: list[str] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    processes: int = 0

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        write_whole(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Report:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["incidents"] = [Incident(**entry) for entry in fields["incidents"]]
        fields["verdicts"] = [Verdict(**entry) for entry in fields["verdicts"]]
        return cls(**fields)


def graded_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Code cells that are graded automatically."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and meta(cell).get("grade") and not meta(cell).get("solution")
    ]


def reference(
    source: NotebookNode,
    cache: Path,
    files: Iterable[Path] = (),
    limits: Limits = Limits(),
    *,
    unsafe: bool = False,
) -> dict[str, list]:
    """What the instructor's solution tells: graded cell -> records. Run once, then read from ``cache``.

    Raises:
        NotGradable: the solution fails, or a graded cell compares nothing.
    """
    key = fingerprint(source, files)
    path = cache / f"{key}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    notebook = copy.deepcopy(source)
    trace = run(notebook, files, limits, environment=GRADED, unsafe=unsafe)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise NotGradable(
                    f"the instructor's own solution fails in {meta(cell).get('grade_id', 'a cell')}: {output.ename}: {output.evalue}"
                )
    if trouble := [incident for incident in trace.incidents if incident.kind not in GOES_ON]:
        raise NotGradable(f"the instructor's own solution was stopped: {trouble[0].message}")
    told = {meta(cell)["grade_id"]: records(cell) for cell in graded_cells(notebook)}
    if silent := [name for name, values in told.items() if not values]:
        raise NotGradable(
            f"these graded cells compare nothing: {', '.join(silent)}; use checking.close or checking.emit"
        )
    write_whole(path, json.dumps(told))
    return told


def fingerprint(notebook: NotebookNode, files: Iterable[Path] = ()) -> str:
    """Of the cells, of the files beside them, and of the package that runs them."""
    digest = hashlib.sha256()
    for cell in notebook.cells:
        digest.update(
            json.dumps([cell.cell_type, cell.source, dict(meta(cell))], sort_keys=True).encode()
        )
    package = Path(__file__).resolve().parents[1]
    for path in [*sorted(files), *sorted(package.rglob("*.py"))]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def forbidden(notebook: NotebookNode) -> list[Incident]:
    """Answers that use what the notebook's metadata forbid, as attribute names such as ``batch_norm``."""
    names = set(notebook.metadata.get("resnorm", {}).get("forbidden", []))
    found = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or (meta(cell) and not meta(cell).get("solution")):
            continue
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
        }
        found += [
            Incident(index, "forbidden", f"uses {name}, which the assignment asks to write by hand")
            for name in sorted(used & names)
        ]
    return found


def grade(
    submitted: NotebookNode,
    source: NotebookNode,
    told: Mapping[str, list],
    *,
    student: str = "",
    assignment: str = "",
    files: Iterable[Path] = (),
    limits: Limits = Limits(),
    labels: np.ndarray | None = None,
    unsafe: bool = False,
) -> tuple[NotebookNode, Report]:
    """Run one submission and mark it: the notebook with verdicts in place of outputs, and the report."""
    notebook, incidents = restore(submitted, source)
    notebook.metadata["resnorm"] = dict(source.metadata.get("resnorm", {}))
    report = Report(student, assignment, "graded")
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    trace: Trace = run(notebook, files, limits, environment=GRADED, unsafe=unsafe)
    incidents += patched(notebook.cells.pop())
    report.incidents = incidents + forbidden(notebook) + trace.incidents + withhold(notebook)
    report.seconds, report.memory, report.processes = (
        round(trace.seconds, 1),
        trace.memory,
        trace.processes,
    )
    stopped = [incident for incident in trace.incidents if incident.kind not in GOES_ON]
    if stopped:
        report.status = "unfinished"
    for cell in graded_cells(notebook):
        result = verdict(cell, told[meta(cell)["grade_id"]], labels)
        if (
            stopped
            and result.total > result.agree
            and not result.message.startswith(stopped[0].message)
        ):
            result = replace(
                result, message=f"not finished: {stopped[0].message}\n{result.message}".strip()
            )
        report.verdicts.append(result)
        cell.outputs = _shown(result)
        if result.bonus:
            report.bonus += result.points
        else:
            report.points, report.possible = (
                report.points + result.points,
                report.possible + result.possible,
            )
    report.to_mark = [
        meta(cell)["grade_id"]
        for cell in notebook.cells
        if meta(cell).get("grade") and meta(cell).get("solution") or meta(cell).get("task")
    ]
    _trim(notebook)
    return notebook, report


def patched(probe: NotebookNode) -> list[Incident]:
    """What the last cell told."""
    told = [name for output in probe.outputs for name in output.get("data", {}).get(PATCHED, [])]
    return [
        Incident(-1, "patched", f"{str(name)[:80]} was replaced by the submission's own")
        for name in told[:20]
    ]


def _shown(result: Verdict) -> list[NotebookNode]:
    """The verdict as outputs that nbgrader reads: an error for nothing, a number for a part, else none."""
    text = f"{result.points:g} of {result.possible:g} points: {result.agree} of {result.total} comparisons agree.\n{result.message}".strip()
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text + "\n")]
    if result.bonus:
        return outputs
    if result.points == 0:
        outputs.append(
            nbformat.v4.new_output(
                "error", ename="NotPassed", evalue=text.splitlines()[0], traceback=[text]
            )
        )
    elif result.points < result.possible:
        outputs.append(
            nbformat.v4.new_output(
                "execute_result", data={"text/plain": f"{result.points:g}"}, execution_count=1
            )
        )
    return outputs


def _trim(notebook: NotebookNode, most: int = 20_000) -> None:
    """Shorten what the student's own cells print, and drop what only a live page can show."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or meta(cell).get("grade") and not meta(cell).get("solution"):
            continue
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = output.text[:most] + (
                    "\n… (shortened)" if len(output.text) > most else ""
                )
            elif "data" in output:
                output.data = {
                    kind: value
                    for kind, value in output.data.items()
                    if kind in ("text/plain", "image/png")
                }
                if not output.data:
                    continue
            kept.append(output)
        cell.outputs = kept
