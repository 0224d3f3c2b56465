"""A chapter of the book cut into the cells of its edition for Colab; see ``colab.py``.

Each section, each exercise and each heading of a solution becomes a cell of its own, because links
in Colab lead to cells, and a section that is closed begins with a cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import nbformat

from plain_markdown import UNCHANGED, Block, blocks, displayed, folded, inline, options

ROOT = Path(__file__).resolve().parent.parent


class Resolver(Protocol):
    """What knows all chapters."""

    def role(self, name: str, content: str, chapter: Chapter) -> str:
        """A role as Markdown."""

    def link(self, label: str, chapter: Chapter) -> str | None:
        """Where a link to a label leads."""


@dataclass
class Piece:
    """A cell of the edition.

    Args:
        id: of the cell.
        text: blocks of Markdown, in order.
        code: the chapter's cell, if this is one.
        closed: whether it is a heading whose section is closed at first.
        named: whether its id is a label.
    """

    id: str
    text: list[str] = field(default_factory=list)
    code: nbformat.NotebookNode | None = None
    closed: bool = False
    named: bool = False


class Chapter:
    """A chapter as pieces, and what its labels mean.

    Args:
        path: of the notebook.
        book: to which it belongs.
    """

    def __init__(self, path: Path, book: Resolver) -> None:
        self.path, self.book = path, book
        self.name = path.relative_to(ROOT / "notebooks").as_posix()
        self.cells = nbformat.read(path, as_version=4).cells
        title = re.search(r"^# (\d\.\d .*)$", self.cells[0].source, re.MULTILINE)
        if not title:
            raise ValueError(f"{self.name}: the first cell has no heading such as '# 2.1 Title'")
        self.title = title[1]
        self.number = self.title.split()[0]
        self.places: dict[str, str] = {}
        self.equations: dict[str, str] = {}
        self.exercises: dict[str, str] = {}

    def collect(self) -> None:
        """Find the places and numbers of all labels."""
        self.pieces(resolved=False)

    def pieces(self, resolved: bool = True) -> list[Piece]:
        """The cells of the edition.

        Args:
            resolved: whether to resolve citations and links, for which all chapters must have been
                collected.
        """
        writer = Writer(self, resolved)
        for cell in self.cells:
            writer.add(cell)
        return writer.finished()


class Writer:
    """Turns the cells of a chapter into pieces.

    Args:
        chapter: whose labels are noted on the way.
        resolved: whether to resolve citations and links.
    """

    def __init__(self, chapter: Chapter, resolved: bool) -> None:
        self.chapter, self.resolved = chapter, resolved
        self.done: list[Piece] = []
        self.level = 1
        self.equations = self.exercises = 0
        self.after = ""
        self.inside = False  # of a solution

    def add(self, cell: nbformat.NotebookNode) -> None:
        """Append a cell of the chapter.

        Args:
            cell: of the notebook.
        """
        if cell.cell_type == "code":
            if self.after == "solution":
                place = f"{self.chapter.path.name}, cell {cell.id}"
                raise ValueError(f"{place}: code after a solution would be folded with it")
            self.done.append(Piece(cell.id, code=cell))
            return
        self.cell, self.parts = cell.id, 1
        self.done.append(Piece(cell.id))
        try:
            for block in blocks(cell.source):
                self.place(block)
        except ValueError as wrong:
            raise ValueError(f"{self.chapter.path.name}, cell {cell.id}: {wrong}") from wrong

    def finished(self) -> list[Piece]:
        """All pieces that hold something."""
        return [piece for piece in self.done if piece.code or piece.text]

    @property
    def current(self) -> Piece:
        """The piece that grows."""
        return self.done[-1]

    def begin(self, name: str = "") -> None:
        """Begin a piece, unless the present one is still empty.

        Args:
            name: its id, instead of that of the cell with a number. The first name stays.
        """
        if self.current.text:
            self.parts += 1
            self.done.append(Piece(name or f"{self.cell}-{self.parts}", named=bool(name)))
        elif name and not self.current.named:
            self.current.id, self.current.named = name, True

    def note(self, label: str) -> None:
        """Remember that a label stands in the present piece.

        Args:
            label: of a section, an equation or an exercise.
        """
        self.chapter.places[label] = self.current.id

    def place(self, block: Block) -> None:
        """Put a block of the chapter's text into the present piece or a new one.

        Args:
            block: of a Markdown cell.
        """
        directive = block.directive
        last = self.after
        if block.kind != "myst_target":  # a label says nothing of what follows it
            self.after = ""
        if block.kind not in ("heading_open", "myst_target") and not (
            directive and directive[0] in ("exercise", "solution-start")
        ):
            if last == "solution":
                raise ValueError("text after a solution would be folded with it")
            if last == "exercise":
                self.current.text.append("---")  # the exercise ends here
        if block.kind == "myst_target":
            label = block.tokens[0].content
            self.begin(label)
            self.note(label)
        elif block.kind == "heading_open":
            level = int(block.tokens[0].tag[1:])
            if self.inside and level <= self.level + 1:
                raise ValueError(
                    f"a heading in a solution would end it; give it {self.level + 2} or more #"
                )
            self.begin()
            if not self.inside:
                self.level = level
            self.current.text.append(self.resolved_text(block))
        elif directive and directive[0] == "exercise":
            self.exercise(block, directive[1])
        elif directive and directive[0] == "solution-start":
            self.solution(directive[1])
        elif directive and directive[0] == "solution-end":
            self.after, self.inside = "solution", False
        else:
            self.current.text.extend(self.converted(block))

    def exercise(self, block: Block, title: str) -> None:
        """An exercise has a cell of its own, behind which a reader can add others.

        Args:
            block: the directive.
            title: with its stars.
        """
        named, body = options(block.tokens[0].content)
        if "label" not in named:
            raise ValueError(f"the exercise {title!r} has no :label:")
        label = named["label"]
        self.exercises += 1
        number = f"{self.chapter.number}.{self.exercises}"
        self.begin(label)
        self.note(label)
        self.chapter.exercises[label] = f"{number} ({title})"
        self.current.text.append(f"{'#' * (self.level + 1)} Exercise {number} ({title})")
        for each in blocks(body):
            self.current.text.extend(self.converted(each))
        self.current.text.append(f"[Solution](#scrollTo=solution-{label})")
        self.begin()
        self.after = "exercise"

    def solution(self, label: str) -> None:
        """The heading of a solution, whose section is closed.

        Args:
            label: of the exercise.
        """
        if label not in self.chapter.exercises:
            raise ValueError(f"the solution of {label} comes before the exercise")
        self.begin(f"solution-{label}")
        self.current.closed = self.inside = True
        self.current.text.append(
            f"{'#' * (self.level + 1)} Solution to exercise {self.chapter.exercises[label]}"
        )
        self.begin()

    def converted(self, block: Block) -> list[str]:
        """A block that begins no new piece, as blocks of plain Markdown.

        Args:
            block: of a cell, an exercise or a dropdown.
        """
        first = block.tokens[0]
        if block.kind == "math_block":
            return [displayed(first.content)]
        if block.kind == "math_block_label":
            self.equations += 1
            number = f"{self.chapter.number}.{self.equations}"
            self.chapter.equations[first.info] = number
            self.note(first.info)
            return [displayed(first.content, number)]
        if block.directive and block.directive[0] == "dropdown":
            _, body = options(first.content)
            inner = [line for each in blocks(body) for line in self.converted(each)]
            return [folded(block.directive[1], "\n\n".join(inner))]
        if block.kind in UNCHANGED and not block.directive:
            return [block.source]
        if not re.fullmatch(
            "(paragraph|bullet_list|ordered_list|table|blockquote)_open", block.kind
        ):
            raise ValueError(f"no form for {block.directive or block.kind}: {block.source[:60]!r}")
        return [self.resolved_text(block)]

    def resolved_text(self, block: Block) -> str:
        """A block with its roles and links resolved.

        Args:
            block: of text.
        """
        book = self.chapter.book
        if not self.resolved:
            return block.source
        return inline(
            block,
            lambda name, content: book.role(name, content, self.chapter),
            lambda label: book.link(label, self.chapter),
        )
