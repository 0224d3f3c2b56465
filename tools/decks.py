"""Read lecture decks, and what they take from their chapters; ``slides`` describes their form."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
DECKS = ROOT / "book" / "slides"
KINDS = ("figure", "output", "code", "equation")
PAUSE = ". . ."


@dataclass
class Part:
    """A piece of a slide: text, or something of the chapter.

    Args:
        kind: ``"text"`` or one of ``KINDS``.
        value: Markdown, or the name of a cell or an equation.
        lines: of the code, if not all.
        later: whether it is kept back at first.
        chapter: another one that has it, such as ``2-3``; nothing for the deck's own.
    """

    kind: str
    value: str
    lines: str = ""
    later: bool = False
    chapter: str = ""


@dataclass
class Slide:
    """A slide of a deck.

    Args:
        title: Markdown.
        minutes: that it takes.
        parts: from top to bottom.
        notes: Markdown, for the lecturer.
    """

    title: str
    minutes: int
    parts: list[Part] = field(default_factory=list)
    notes: str = ""


@dataclass
class Deck:
    """A lecture.

    Args:
        name: of its file, such as ``2-2``.
        chapter: path of the notebook from the root, without its ending.
        slides: in their order.
    """

    name: str
    chapter: str
    slides: list[Slide]

    @property
    def minutes(self) -> int:
        """How long the lecture takes."""
        return sum(slide.minutes for slide in self.slides)

    @property
    def chapters(self) -> dict[str, str]:
        """Paths of all chapters from which the deck takes something, its own under ``""``."""
        named = {part.chapter for slide in self.slides for part in slide.parts} - {""}
        return {"": self.chapter} | {name: path_of(name) for name in sorted(named)}


def path_of(name: str) -> str:
    """The path of a chapter from the root, without its ending.

    Args:
        name: such as ``2-3``.

    Raises:
        ValueError: there is no such chapter.
    """
    part, _, number = name.partition("-")
    found = sorted(ROOT.glob(f"notebooks/{part}-*/{number}-*.ipynb"))
    if not found:
        raise ValueError(f"there is no chapter {name}")
    return found[0].relative_to(ROOT).with_suffix("").as_posix()


def parts_of(text: str) -> Iterator[Part]:
    """The pieces of a slide without its notes.

    Args:
        text: Markdown with the lines that bring something from the chapter.
    """
    later, lines = False, []
    for line in [*text.splitlines(), PAUSE]:
        found = re.fullmatch(r"\{(\w+)\} (?:(\d-\d)/)?(\S+)(?: (\d+-\d+))?", line)
        if not found and line != PAUSE:
            lines.append(line)
            continue
        if "\n".join(lines).strip():
            yield Part("text", "\n".join(lines).strip(), later=later)
        lines = []
        if found:
            yield Part(found[1], found[3], found[4] or "", later, found[2] or "")
        later = later or line == PAUSE


def read_deck(path: Path) -> Deck:
    """Read a deck.

    Args:
        path: of its file.

    Raises:
        ValueError: the file names no chapter, or a slide has no minutes.
    """
    head, *pieces = re.split(r"^## ", path.read_text("utf-8"), flags=re.MULTILINE)
    chapter = re.search(r"^chapter: (\S+)$", head, re.MULTILINE)
    if not chapter:
        raise ValueError(f"{path.name} must begin with a line 'chapter: notebooks/PART/N-name'")
    slides = []
    for piece in pieces:
        first, _, rest = piece.partition("\n")
        named = re.fullmatch(r"(.+) \((\d+) min\)", first.strip())
        if not named:
            raise ValueError(f"{path.name}: the title '## {first}' must end in '(3 min)'")
        body, _, notes = rest.partition("\nNotes:")
        slides.append(Slide(named[1], int(named[2]), list(parts_of(body)), notes.strip()))
    return Deck(path.stem, chapter[1], slides)


def all_decks() -> list[Path]:
    """The files of the decks, in the order of the chapters."""
    return sorted(DECKS.glob("[0-9]*.md"))


class Chapter:
    """What a deck takes from a chapter.

    Args:
        notebook: with its outputs.
    """

    def __init__(self, notebook: NotebookNode) -> None:
        self.cells = {cell.id: cell for cell in notebook.cells}
        self.title = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]
        prose = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        pattern = r"^\$\$\n((?:(?!\$\$).)*)\n\$\$ \(([\w-]+)\)"
        found = re.findall(pattern, prose, re.MULTILINE | re.DOTALL)
        self.equations = {label: body for body, label in found}

    def outputs(self, name: str) -> list[NotebookNode]:
        """What a code cell puts out, or nothing."""
        return list(self.cells[name].get("outputs", [])) if name in self.cells else []

    def pictures(self, name: str) -> list[NotebookNode]:
        """Those outputs of a cell that are pictures."""
        return [o for o in self.outputs(name) if "image/png" in o.get("data", {})]

    def texts(self, name: str) -> list[str]:
        """What a cell prints: plain text, and tables in Markdown; captions are left out."""
        found = []
        for output in self.outputs(name):
            data = output.get("data", {})
            if output.output_type == "stream":
                found.append(output.text)
            elif data.get("text/markdown", "").startswith("|"):
                found.append(data["text/markdown"])
            elif "text/plain" in data and not {"image/png", "text/markdown"} & set(data):
                found.append(data["text/plain"])
        return found

    def fault(self, part: Part) -> str:
        """What is wrong with a part of a slide; nothing if the chapter has what it names."""
        if part.kind == "text":
            stray = re.search(r"^\{\w+\}.*$", part.value, re.MULTILINE)
            return f"{stray[0]!r} must be {{word}} NAME, or {{code}} NAME 3-11" if stray else ""
        if part.kind not in KINDS:
            return f"{{{part.kind}}} is none of {', '.join(KINDS)}"
        if part.kind == "equation":
            there = part.value in self.equations
        elif part.kind == "code":
            cell = self.cells.get(part.value)
            there = cell is not None and bool(code_of(cell, part.lines))
            if there and part.lines:
                first, last = map(int, part.lines.split("-"))
                there = first >= 1 and last <= len(cell.source.splitlines())
        elif part.kind == "figure":
            there = bool(self.pictures(part.value))
        else:
            there = bool(self.texts(part.value))
        return "" if there else f"the chapter has no {part.kind} {part.value} {part.lines}".strip()


def faults_of(deck: Deck, chapters: dict[str, Chapter]) -> list[str]:
    """What is wrong with the slides of a deck.

    Args:
        deck: whose parts are looked for.
        chapters: in which they are, the deck's own under ``""``.
    """
    found = []
    for part in (part for slide in deck.slides for part in slide.parts):
        if fault := chapters[part.chapter].fault(part):
            found.append(f"{part.chapter}: {fault}" if part.chapter else fault)
    return found


def code_of(cell: NotebookNode, lines: str) -> str:
    """The code of a cell, moved to the left.

    Args:
        cell: of the chapter.
        lines: ``"3-11"``, counted from 1, or nothing for all of them.
    """
    first, last = map(int, lines.split("-")) if lines else (1, None)
    return textwrap.dedent("\n".join(cell.source.splitlines()[first - 1 : last])).strip("\n")
