"""Report what may explain why a test lost points, besides a wrong answer.

A right answer earns nothing if it stands in an unusual place, if its cell did not run, or if it
needs something that only the student has, such as a GPU. A person should look at such cases, so
they are reported after the run, with the place where the code stands.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cell_code import Code, Test
from .cells import meta, ours
from .definitions import ANYTHING, definitions, is_read
from .placement import listed
from .plain_python import HEADS

#: What a test ends with where something is not there: its line of the verdict.
ABSENT = re.compile(
    r"^.*(?:(?:Name|Key|UnboundLocal|NotImplemented|Attribute)Error|NoneType|is None).*$",
    re.MULTILINE,
)
#: The same where it is there for the student and not for the grader.
ELSEWHERE = re.compile(
    r"^.*(?:NVIDIA|CUDA|Torch not compiled with|(?:ModuleNotFound|Import|FileNotFound|URL|"
    r"Connection\w*)Error|gaierror).*$",
    re.MULTILINE,
)
UNKNOWN = re.compile(r"name '(\w+)' is not defined")
#: What IPython prints, without an error, of a command that it does not know.
USAGE = re.compile(r"^UsageError: .*$", re.MULTILINE)
#: Where in a cell an error came from, in the text of its traceback without colors.
COLORS = re.compile(r"\x1b\[[\d;]*m")
LINE = re.compile(r"Cell In\[\d+\], line (\d+)")
#: The line at which a cell ended in an error, if it is known, and the error; and these by cell.
Error = tuple[int | None, str]
Errors = Mapping[int, Error]
#: The longest traceback that is read, and message that is told, in characters.
MAX_TRACEBACK, MAX_MESSAGE = 20_000, 200


def explained(
    notebook: NotebookNode,
    lost: Mapping[str, str],
    handed_out: Set[str] = frozenset(),
    told: Sequence[Incident] = (),
) -> list[Incident]:
    """Say what may be the reason why tests lost points, besides wrong answers.

    Args:
        notebook: after it ran, with the outputs of its cells.
        lost: name of a graded cell that lost points -> message of its verdict.
        handed_out: shapes of the definitions in which answers are to be written.
        told: what is reported already.

    Returns:
        What a person should look at.
    """
    asked: set[str] = set().union(*(ours(cell).get("asked", []) for cell in notebook.cells))
    code = Code(notebook.cells, asked, handed_out)
    tests = [test for test in code.tests() if test.name in lost]
    for test in tests:
        test.at = ours(test.cell).get("runs_at", test.place)
        test.needed = code.needed(test.names, test.at)
    messages = "\n".join(each.message for each in told)
    errors = {place: error for place, cell in enumerate(code.cells) if (error := _error(cell))}
    return [
        *(_unread(code) if lost else ()),
        *_behind_magics(code, tests),
        *_stopped(code, tests, errors),
        *_elsewhere(lost),
        *_below(code, tests, lost),
        *_gone(code, tests, lost, errors),
        *_between(code, tests, messages),
        *_shadowed(code, tests),
    ]


def _unread(code: Code) -> Iterator[Incident]:
    """Cells that are no code, neither to Python nor to IPython, or too long."""
    places = [
        _place(code, place)
        for place, cell in enumerate(code.cells)
        if cell.cell_type == "code" and code.is_students(place) and not is_read(cell.source)
    ]
    if places:
        yield Incident(
            -1,
            "matched",
            "these cells are no code that can be read, so they define nothing: "
            f"{listed([*dict.fromkeys(places)])}",
        )


def _behind_magics(code: Code, tests: Iterable[Test]) -> Iterator[Incident]:
    """Cells whose first line keeps Python from defining here what a test calls."""
    wanted: set[str] = set().union(*(test.names for test in tests))
    for place, cell in enumerate(code.cells):
        if cell.cell_type == "code" and code.is_students(place) and not definitions(cell.source):
            head = HEADS.match(cell.source)
            text = cell.source[head.end() :] if head else ""
            if names := sorted({each.name for each in definitions(text)} & wanted):
                yield Incident(
                    place,
                    "matched",
                    f"{cell.source.split()[0]} keeps a cell from defining {listed(names)} here "
                    f"({_place(code, place)})",
                )


def _stopped(code: Code, tests: Iterable[Test], errors: Errors) -> Iterator[Incident]:
    """Cells that ended in an error before they defined what a test needs."""
    missing: dict[int, set[str]] = {}
    for name, found in ((name, found) for test in tests for name, found in test.needed.items()):
        for place, each in found:
            error = errors.get(place)
            if error and code.is_students(place) and (error[0] or 0) <= each.lines.stop:
                missing.setdefault(place, set()).add(name)
    for place, names in sorted(missing.items()):
        line, reason = errors[place]
        stopped = f"stopped at line {line}" if line else "stopped"
        yield Incident(
            place,
            "matched",
            f"the cell that defines {listed(sorted(names))} {stopped} with {reason} "
            f"({_place(code, place)})",
        )


def _elsewhere(lost: Mapping[str, str]) -> Iterator[Incident]:
    """Tests that ended at a GPU, a module, a file or a connection that only the student has."""
    found: dict[str, list[str]] = {}
    for name, message in lost.items():
        if line := ELSEWHERE.search(message):
            found.setdefault(line[0][:MAX_MESSAGE], []).append(name)
    for missing, losing in found.items():
        yield Incident(
            -1,
            "matched",
            f"{listed(losing)} lost points at a GPU, a module, a file or a connection that the "
            f"grader does not have: {missing}",
        )


def _error(cell: NotebookNode) -> Error | None:
    """The line at which a cell ended in an error, and the error; None if it did not."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and (usage := USAGE.search(output.text[-MAX_TRACEBACK:])):
            return None, usage[0][:MAX_MESSAGE]
        if output.output_type == "error":
            text = COLORS.sub("", "\n".join(output.traceback)[:MAX_TRACEBACK])
            # A magic at the head of the cell is all that the traceback sees of it.
            line = None if cell.source.lstrip().startswith("%%") else LINE.search(text)
            reason = f"{output.ename}: {output.evalue}".splitlines()[0][:MAX_MESSAGE]
            # IPython does not count empty lines above the code.
            above = cell.source[: -len(cell.source.lstrip())].count("\n")
            return int(line[1][:6]) + above if line else None, reason
    return None


def _below(code: Code, tests: Iterable[Test], lost: Mapping[str, str]) -> Iterator[Incident]:
    """Definitions and changes further down of what a test did not find, or found otherwise."""
    found: dict[int, tuple[set[str], list[str], str]] = {}
    for test in tests:
        absent = ABSENT.search(lost[test.name])
        names = {*test.names, *test.needed, *UNKNOWN.findall(lost[test.name]), ANYTHING}
        for name in sorted(names):
            shapes = {each.shape for _, each in test.needed.get(name, [])}
            for place, each in code.found.get(name, []):
                if place < test.at or not code.is_students(place):
                    continue
                if each.shape in shapes or code.is_stub(each):
                    continue
                if not absent and not (each.is_part and code.students(name)):
                    continue
                reason = f" with {absent[0][:MAX_MESSAGE]}" if absent else ""
                changed, losing, _ = found.setdefault(place, (set(), [], reason))
                changed.add("what cannot be read" if name == ANYTHING else name)
                losing += [] if test.name in losing else [test.name]
    for place, (changed, losing, reason) in sorted(found.items()):
        yield Incident(
            place,
            "matched",
            f"{listed(losing)} lost points{reason}; a cell further down "
            f"defines or changes {listed(sorted(changed))} ({_place(code, place)})",
        )


def _gone(
    code: Code, tests: Iterable[Test], lost: Mapping[str, str], errors: Errors
) -> Iterator[Incident]:
    """Definitions further up of what a test did not find, as after ``del`` or ``%reset``."""
    found: dict[tuple[str, int], list[str]] = {}
    for test in tests:
        for name in set(UNKNOWN.findall(lost[test.name])):
            for place, _ in code.students(name):
                if place < test.at and place not in errors:
                    found.setdefault((name, place), []).append(test.name)
    for (name, place), losing in sorted(found.items()):
        yield Incident(
            place,
            "matched",
            f"{listed(losing)} did not find {name}, although a cell further up defines it "
            f"({_place(code, place)})",
        )


def _between(code: Code, tests: Iterable[Test], messages: str) -> Iterator[Incident]:
    """Definitions further up that a different one hides from a test."""
    found: dict[tuple[str, int], list[str]] = {}
    for test in tests:
        for name, counting in sorted(test.needed.items()):
            first = counting[0][0]
            hidden = [place for place, _ in code.others(name, counting) if place <= first]
            if hidden and f"{name} is defined more than once" not in messages:
                found.setdefault((name, hidden[-1]), []).append(test.name)
    for (name, place), losing in found.items():
        yield Incident(
            place,
            "matched",
            f"{listed(losing)} lost points with the last definition of {name} above; there is "
            f"another one further up ({_place(code, place)})",
        )


def _shadowed(code: Code, tests: Iterable[Test]) -> Iterator[Incident]:
    """Names of a library or of Python itself that the student's code uses for something else."""
    found: dict[tuple[str, int], list[str]] = {}
    for test in tests:
        for name, counting in sorted(test.needed.items()):
            place, last = counting[0]
            imported = any(each.is_import for _, each in code.found.get(name, []))
            is_other = code.is_students(place) and not (last.is_import or last.is_part)
            if is_other and (imported or name in dir(builtins)):
                found.setdefault((name, place), []).append(test.name)
    for (name, place), losing in found.items():
        yield Incident(
            place,
            "matched",
            f"{listed(losing)} lost points with {name} as a cell of the student's defines it, in "
            f"place of what has this name otherwise ({_place(code, place)})",
        )


def _place(code: Code, place: int) -> str:
    """Where a cell stands, for a person who looks for it."""
    if name := meta(code.cells[place]).get("grade_id"):
        return f"cell {name}"
    above = (meta(cell).get("grade_id") for cell in reversed(code.cells[:place]))
    name = next(filter(None, above), None)
    return f"own cell below {name}" if name else "own cell at the top"
