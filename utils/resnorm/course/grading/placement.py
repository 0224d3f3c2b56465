"""Where the tests of a notebook run, whichever way the answers are spread over its cells.

Students write answers into the cells for them, but also all of them into one cell, at the top or at
the end, with helpers and constants in further cells. Such cells stay where they are, because they
may need one another in this order. Where a test needs something that is defined only below it, the
test runs further down instead.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Mapping, Sequence, Set

from nbformat import NotebookNode

from ..sandbox.incidents import Incident
from .cells import is_test, meta, public_text
from .definitions import ANYTHING, Definition, definitions, names_in, without

Cells = Sequence[NotebookNode]


def place_tests(
    cells: Cells, asked: Mapping[str, Set[str]], handed_out: Set[str] = frozenset()
) -> list[Incident]:
    """Decide where each test runs, and take out what would hide an answer from it.

    A test runs where it stands if all that it needs is defined above it: the names that the
    assignment asks for, and what their definitions look up. Otherwise it runs after the cell that
    defines the last of it, and after the student's other cells there. This is noted in the metadata
    of its cell: as ``runs_at``, the index of the cell before which it runs.

    What was handed out defines again, without an answer, what an answer further up has defined.
    So this is taken out of its cell.

    Args:
        cells: of the notebook that runs; some are changed in place.
        asked: nbgrader's name of an answer -> names that it is to define.
        handed_out: shapes of the definitions in which an answer is to be written.

    Returns:
        What a person should look at.
    """
    names = frozenset().union(*asked.values())
    code = Code(cells, names, handed_out)
    unfinished = code.take_out_stubs()
    tests = code.tests()
    for test in tests:
        test.find_place(code)
    return [
        Incident(-1, "matched", message)
        for message in (
            *_elsewhere(code, tests, asked),
            *_moved(tests),
            *_ambiguous(code, tests, names),
            *_left_out(unfinished),
            *_out_of_order(code, tests),
            *_unreadable(code, names),
        )
    ]


class Code:
    """The definitions of a notebook.

    Args:
        cells: of the notebook.
        asked: names that the assignment asks for, which may be left open.
        handed_out: shapes of the definitions in which an answer is to be written.
    """

    def __init__(self, cells: Cells, asked: Set[str], handed_out: Set[str]):
        self.cells, self.asked, self.handed_out = cells, asked, handed_out
        self.found: dict[str, list[tuple[int, Definition]]] = {}
        for place, cell in enumerate(cells):
            if cell.cell_type == "code":
                text = public_text(cell.source) if is_test(cell) else cell.source
                for each in definitions(text):
                    self.found.setdefault(each.name, []).append((place, each))

    def is_students(self, place: int) -> bool:
        """Whether a cell is an answer or the student's own.

        Args:
            place: number of the cell.
        """
        about = meta(self.cells[place])
        return not about or bool(about.get("solution"))

    def written(self, name: str) -> list[tuple[int, Definition]]:
        """The definitions of a name in their order, without those that are left open.

        What is nowhere in the code may be in what cannot be read of it.

        Args:
            name: the name.
        """
        found = self.found.get(name, [])
        if name not in self.asked:
            return found
        closed = [entry for entry in found if not entry[1].is_open]
        begun = [entry for entry in found if not self.is_stub(entry[1])]
        return closed or self.found.get(ANYTHING, []) or begun

    def is_stub(self, each: Definition) -> bool:
        """Whether nothing has been written into what is left open.

        Args:
            each: a definition that is left open.
        """
        return each.is_open and (each.is_empty or each.shape in self.handed_out)

    def students(self, name: str) -> list[tuple[int, Definition]]:
        """The student's own among the definitions of a name.

        Args:
            name: the name.
        """
        return [entry for entry in self.written(name) if self.is_students(entry[0])]

    def counting(self, name: str, at: int) -> list[tuple[int, Definition]]:
        """What a name stands for before a cell: its last definition, and changes of its parts.

        If there is none above, these are the first ones below that are the student's.

        Args:
            name: the name.
            at: number of the cell.
        """
        above = [entry for entry in self.written(name) if entry[0] < at]
        whole = [index for index, entry in enumerate(above) if not entry[1].is_part]
        while len(whole) > 1 and name in above[whole[-1]][1].at_once:
            whole.pop()  # f = cached(f) needs the definition before it
        if above:
            return above[whole[-1] if whole else 0 :]
        return self.students(name)[:1]

    def others(
        self, name: str, counting: Sequence[tuple[int, Definition]]
    ) -> list[tuple[int, Definition]]:
        """The student's own definitions of a name that differ from those that count.

        Args:
            name: the name.
            counting: the definitions that count, each with the number of its cell.
        """
        shapes = {each.shape for _, each in counting}
        return [
            (place, each)
            for place, each in self.students(name)
            if not (each.is_import or each.is_part or each.shape in shapes)
        ]

    def needed(self, names: Iterable[str], at: int) -> dict[str, list[tuple[int, Definition]]]:
        """What some names stand for before a cell, and all names that these look up.

        Args:
            names: the names.
            at: number of the cell.
        """
        needed: dict[str, list[tuple[int, Definition]]] = {}
        waiting, seen = list(names), set()  # one statement may define thirty thousand names
        while waiting:
            name = waiting.pop()
            if name not in needed and (name in self.found or name in self.asked):
                needed[name] = self.counting(name, at)
                for _, each in needed[name]:
                    waiting += () if each.node in seen else each.uses
                    seen.add(each.node)
        return {name: found for name, found in needed.items() if found}

    def take_out_stubs(self) -> list[str]:
        """Remove what is left open below its answer.

        Returns:
            The names of what was begun there.
        """
        lines: dict[int, set[int]] = {}
        begun = []
        for name in sorted(self.asked):
            whole = [(p, each) for p, each in self.students(name) if not each.is_part]
            for place, each in self.found.get(name, []):
                if not (each.is_open and self.is_students(place) and whole and whole[0][0] < place):
                    continue
                if not self.is_stub(each):
                    if whole[0][1].is_open or whole[0][1].name == ANYTHING:
                        continue
                    begun.append(name)
                lines.setdefault(place, set()).update(each.lines)
        for place, some in lines.items():
            self.cells[place].source = without(self.cells[place].source, some)
        return begun

    def tests(self) -> list[Test]:
        """The tests of the notebook, each where it stands."""
        return [
            Test(place, cell, names_in(cell.source) & self.asked)
            for place, cell in enumerate(self.cells)
            if is_test(cell)
        ]


class Test:
    """A test, and where it runs.

    Args:
        place: index of its cell.
        cell: its cell.
        names: what it calls of what the assignment asks for.
    """

    def __init__(self, place: int, cell: NotebookNode, names: Set[str]):
        self.place, self.at, self.cell, self.names = place, place, cell, names
        self.name: str = meta(cell)["grade_id"]
        self.waits_for: set[str] = set()
        self.needed: dict[str, list[tuple[int, Definition]]] = {}

    def find_place(self, code: Code) -> None:
        """Move the test down until all that it needs is defined above it.

        Args:
            code: the definitions of the notebook.
        """
        while True:
            self.needed = code.needed(self.names, self.at)
            below = {name: f[0][0] for name, f in self.needed.items() if f[0][0] >= self.at}
            if not below:
                break
            self.waits_for |= below.keys()
            start = max(below.values()) + 1
            later = range(start, len(code.cells))
            self.at = next((p for p in later if meta(code.cells[p])), len(code.cells))
        if self.at != self.place:
            self.cell.metadata["resnorm"] = {**self.cell.metadata.get("resnorm", {})}
            self.cell.metadata["resnorm"]["runs_at"] = self.at


def _sections(cells: Cells) -> list[str]:
    """For each cell, the name of the last cell of the assignment that is not below it."""
    found, current = [], ""
    for cell in cells:
        current = meta(cell).get("grade_id", current)
        found.append(current)
    return found


def _elsewhere(code: Code, tests: Iterable[Test], asked: Mapping[str, Set[str]]) -> Iterable[str]:
    """Say which answers stand neither in the cells for them nor right below these."""
    needed = {name: found for test in tests for name, found in test.needed.items()}
    below = _sections(code.cells)
    found = [
        answer
        for answer, names in asked.items()
        for name in sorted(names)
        if any(below[place] != answer for place, _ in needed.get(name, []))
    ]
    if found:
        yield (
            "another cell of the submission defines what belongs into these, and counts: "
            f"{', '.join(dict.fromkeys(found))}"
        )


def _moved(tests: Iterable[Test]) -> Iterable[str]:
    moved = [test for test in tests if test.at != test.place]
    if moved:
        names = sorted(set().union(*(test.waits_for for test in moved)))
        yield (
            f"these tests ran further down than they stand: {', '.join(t.name for t in moved)}; "
            f"what they need is defined only below them: {listed(names)}"
        )


def _ambiguous(code: Code, tests: Iterable[Test], asked: Set[str]) -> Iterable[str]:
    """Say which definition counted, where the student has written several different ones.

    Tries that stand together above a test are what everybody writes: the last one counts, as
    whoever runs the notebook sees.
    """
    section = _sections(code.cells)
    told: set[str] = set()
    for test in tests:
        for name in sorted(test.needed.keys() - told):
            place = test.needed[name][0][0]
            if not code.is_students(place):
                hidden = any(p < place for p, _ in code.students(name))
                where = f", and {test.name} that of the cell {meta(code.cells[place])['grade_id']}"
            else:
                others = [p for p, _ in code.others(name, test.needed[name])]
                above = [p for p in others if p < test.at and section[p] != section[place]]
                below = [p for p in others if p >= test.at]
                hidden = bool(below or above and name in asked)
                where = ""
            if hidden:
                told.add(name)
                yield (
                    f"{name} is defined more than once, in different ways; each test used the last "
                    f"one above it{where}"
                )


def _left_out(names: Sequence[str]) -> Iterable[str]:
    if names:
        yield (
            "an unfinished definition further down was left out, where a finished one stands "
            f"further up: {listed(names)}"
        )


def _out_of_order(code: Code, tests: Iterable[Test]) -> Iterable[str]:
    """Say which cells cannot have run in the order in which they stand."""
    told: set[tuple[str, str]] = set()
    seen: set[ast.stmt] = set()
    for test in tests:
        for name, found in sorted(test.needed.items()):
            for place, each in found:
                names = frozenset() if each.node in seen else each.at_once
                seen.add(each.node)
                for used in sorted(names - {name} - set(dir(builtins))):
                    places = [p for p, _ in code.found.get(used, [])]
                    late = places and min(places) > place and (name, used) not in told
                    if late and any(code.is_students(p) for p in places):
                        told.add((name, used))
                        yield (
                            f"{name} needs {used}, which is defined further down: the cells had "
                            "been run in another order than that in which they stand"
                        )


def _unreadable(code: Code, asked: Set[str]) -> Iterable[str]:
    hidden = [
        name
        for name in sorted(asked)
        if any(each.name == ANYTHING for _, each in code.written(name))
    ]
    if hidden:
        yield (
            "no cell shows a definition of these, but a cell imports or runs code that may define "
            f"them: {listed(hidden)}"
        )


def listed(names: Sequence[str], most: int = 12) -> str:
    """Write names one after another, and not too many of them.

    Args:
        names: in their order.
        most: how many are written.
    """
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
