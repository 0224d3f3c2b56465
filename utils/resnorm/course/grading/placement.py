"""Where the tests of a notebook run, whichever way the answers are spread over its cells.

Students write answers into the cells for them, but also all of them into one cell, at the top or at
the end, with helpers and constants in further cells. Such cells stay where they are, because they
may need one another in this order. Where a test needs something that is defined only below it, the
test runs further down instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence, Set

from ..sandbox.incidents import Incident
from .cell_code import Cells, Code, Test
from .cells import meta
from .definitions import ANYTHING


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
                for used in sorted(names - {name}):
                    places = [p for p, _ in code.found.get(used, [])]
                    late = places and min(places) > place and (name, used) not in told
                    late = late and not code.is_given(used, place)
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
