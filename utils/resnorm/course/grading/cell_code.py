"""The code of a notebook as a whole: what its cells define, and what each test needs of that."""

from __future__ import annotations

import builtins
import functools
import importlib
from collections.abc import Iterable, Sequence, Set

from nbformat import NotebookNode

from .cells import is_test, meta, public_text
from .definitions import ANYTHING, Definition, definitions, names_in, stars, without

Cells = Sequence[NotebookNode]
#: Modules of which it is known what a star import gives. They are imported to find that out, so
#: none is here whose import changes anything.
STARRED = {"math", "numpy", "torch", "torch.nn", "torch.nn.functional", "torch.nn.init"}


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
        self.stars: list[tuple[int, str]] = []
        for place, cell in enumerate(cells):
            if cell.cell_type == "code":
                text = public_text(cell.source) if is_test(cell) else cell.source
                for each in definitions(text):
                    self.found.setdefault(each.name, []).append((place, each))
                self.stars += [(place, module) for module in stars(text) if module in STARRED]

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

        If there is none above, these are the first ones below that are the student's. A variable
        below that is called like what Python or a library gives above is something else.

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
        return [] if self.is_given(name, at) else self.students(name)[:1]

    def is_given(self, name: str, at: int) -> bool:
        """Whether a name has a meaning before a cell without any definition.

        Args:
            name: the name; what the assignment asks for has none before its answer.
            at: number of the cell.
        """
        if name in self.asked:
            return False
        return hasattr(builtins, name) or any(
            place < at and name in _exported(module) for place, module in self.stars
        )

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
            whole = self._whole(name)
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

    def _whole(self, name: str) -> list[tuple[int, Definition]]:
        """The student's own definitions of a name: finished ones, or else those that are begun."""
        whole = [entry for entry in self.students(name) if not entry[1].is_part]
        return whole or [
            (place, each)
            for place, each in self.found.get(name, [])
            if self.is_students(place) and not (each.is_part or self.is_stub(each))
        ]

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


@functools.cache
def _exported(module: str) -> frozenset[str]:
    """The names that a star import of a library gives."""
    space = vars(importlib.import_module(module))
    return frozenset(space.get("__all__", (name for name in space if not name.startswith("_"))))
