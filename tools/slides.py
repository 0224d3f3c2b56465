"""Make lecture decks from ``book/slides`` and the figures, code and equations of the chapters.

Usage: ``python tools/slides.py [DECK ...]``, with names such as ``2-2``; all decks without one.
They land in ``_build/slides``; open ``index.html`` there. They need a browser and no network.

A deck is a Markdown file that begins with ``chapter: notebooks/PART/N-name``. Each slide begins
with ``## Title (3 min)``. A line that begins with a word in braces takes from the chapter:

    {figure} 93760ee4           what the cell with this id draws; a figure with controls keeps them
    {output} b4c86e14           what the cell prints, tables included
    {code} f14cfc78 3-11        the cell's code, or these lines of it
    {equation} eq-bnb-jacobian  the equation with this label

``. . .`` keeps back what follows until the lecturer goes on, and ``Notes:`` begins what only the
lecturer sees. So the numbers and pictures of a deck are those of the chapter.
"""

from __future__ import annotations

import base64
import html
import re
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import executed
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
DECKS = ROOT / "book" / "slides"
MATHJAX = ROOT / "book" / "static" / "vendor" / "mathjax"
SLIDES = ROOT / "_build" / "slides"
KINDS = ("figure", "output", "code", "equation")
PAUSE = ". . ."
#: Letters of a line of code or output up to which text has room beside it.
NARROW = 50
#: Width of a picture in heights, from which on the text stands above it.
WIDE = 1.75


@dataclass
class Part:
    """A piece of a slide: text, or something of the chapter.

    Args:
        kind: ``"text"`` or one of ``KINDS``.
        value: Markdown, or the name of a cell or an equation.
        lines: of the code, if not all.
        later: whether it is kept back at first.
    """

    kind: str
    value: str
    lines: str = ""
    later: bool = False


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


def parts_of(text: str) -> Iterator[Part]:
    """The pieces of a slide without its notes.

    Args:
        text: Markdown with the lines that bring something from the chapter.
    """
    later, lines = False, []
    for line in [*text.splitlines(), PAUSE]:
        found = re.fullmatch(r"\{(\w+)\} (\S+)(?: (\d+-\d+))?", line)
        if not found and line != PAUSE:
            lines.append(line)
            continue
        if "\n".join(lines).strip():
            yield Part("text", "\n".join(lines).strip(), later=later)
        lines = []
        if found:
            yield Part(found[1], found[2], found[3] or "", later)
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


def code_of(cell: NotebookNode, lines: str) -> str:
    """The code of a cell.

    Args:
        cell: of the chapter.
        lines: ``"3-11"``, counted from 1, or nothing for all of them.
    """
    first, last = map(int, lines.split("-")) if lines else (1, None)
    return "\n".join(cell.source.splitlines()[first - 1 : last]).strip("\n")


# --- from Markdown to HTML ------------------------------------------------------------------------


def markdown() -> MarkdownIt:
    """A renderer for Markdown with tables, and with mathematics as MathJax reads it."""
    renderer = MarkdownIt("commonmark", {"typographer": False}).enable("table")

    def mathematics(text: str, options: dict[str, bool]) -> str:
        left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
        return left + html.escape(text, quote=False) + right

    return renderer.use(dollarmath_plugin, renderer=mathematics, allow_labels=False)


RENDERER = markdown()


@dataclass
class Rendered:
    """A visible piece of a slide.

    Args:
        markup: HTML.
        wide: whether it needs the whole width.
    """

    markup: str
    wide: bool = False


def rendered_code(text: str, plain: bool = False, alone: bool = False) -> Rendered:
    """Code in colors, or printed text, in letters that fit the slide.

    Args:
        text: of the cell.
        plain: whether it is printed text, whose lines may wrap.
        alone: whether the slide holds nothing else.
    """
    rows = text.rstrip().splitlines()
    longest = max(map(len, rows))
    wide = longest > NARROW
    high = sum(-(-len(row) // (100 if plain else 1000)) or 1 for row in rows)
    room = 525 if alone else 420 if wide else 520
    size = min(20, room / high / 1.4)
    across = (1120 if wide else 580) / longest / 0.61
    size = min(size, max(across, 17) if plain else across)
    if plain:
        body = html.escape(text.rstrip())
    else:
        body = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))
    kind = "printed" if plain else "code"
    return Rendered(f'<pre class="{kind}" style="font-size:{size:.1f}px">{body}</pre>', wide)


def rendered_picture(output: NotebookNode, file: Path) -> Rendered:
    """A picture, written into a file of its own, or a figure with controls.

    Args:
        output: of the chapter.
        file: for the picture.
    """
    picture = base64.b64decode(output.data["image/png"])
    width, height = struct.unpack(">II", picture[16:24])
    wide = width / height > WIDE
    controls = output.data.get("text/html", "")
    if 'class="rn-explore"' in controls:
        return Rendered(f'<div class="picture">{controls}</div>', wide)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture)
    alt = html.escape(output.metadata["image/png"]["alt"])
    shape = f'width="{width}" height="{height}"'
    source = f"{file.parent.name}/{file.name}"
    return Rendered(f'<div class="picture"><img src="{source}" alt="{alt}" {shape}></div>', wide)


def rendered_part(part: Part, chapter: Chapter, folder: Path, alone: bool) -> list[Rendered]:
    """A part of a slide, which may be several figures.

    Args:
        part: text, or what the chapter has.
        chapter: of the deck.
        folder: for pictures.
        alone: whether it is the only part of its slide.
    """
    if part.kind == "text":
        return [Rendered(RENDERER.render(part.value))]
    if part.kind == "equation":
        body = html.escape(chapter.equations[part.value], quote=False)
        return [Rendered(f'<div class="equation">\\[{body}\\]</div>')]
    if part.kind == "code":
        return [rendered_code(code_of(chapter.cells[part.value], part.lines), alone=alone)]
    if part.kind == "output":
        return [
            Rendered(RENDERER.render(text), wide=True)
            if text.startswith("|")
            else rendered_code(text, plain=True, alone=alone)
            for text in chapter.texts(part.value)
        ]
    pictures = enumerate(chapter.pictures(part.value), 1)
    return [rendered_picture(o, folder / f"{part.value}-{k}.png") for k, o in pictures]


def rendered_slide(slide: Slide, chapter: Chapter, folder: Path) -> str:
    """A slide: text and equations beside what is seen, or above it if that is wide.

    Args:
        slide: of the deck.
        chapter: of the deck.
        folder: for pictures.
    """
    said, shown, wide = [], [], False
    for part in slide.parts:
        for piece in rendered_part(part, chapter, folder, len(slide.parts) == 1):
            kind = "fragment piece" if part.later else "piece"
            beside = part.kind not in ("text", "equation")
            (shown if beside else said).append(
                f'<div class="{kind} {part.kind}">{piece.markup}</div>'
            )
            wide = wide or piece.wide
    layout = "stacked" if wide else "beside"
    if not (said and shown):
        layout = "alone"
    columns = [
        f'<div class="{name}">{"".join(pieces)}</div>'
        for name, pieces in (("said", said), ("shown", shown))
        if pieces
    ]
    return (
        f'<section data-timing="{60 * slide.minutes}">\n'
        f"<h2>{RENDERER.renderInline(slide.title)}</h2>\n"
        f'<div class="body {layout}">{"".join(columns)}</div>\n'
        f'<aside class="notes">{RENDERER.render(slide.notes)}</aside></section>\n'
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="vendor/reveal/reveal.css"><link rel="stylesheet" href="deck.css">
</head><body><div class="reveal"><div class="slides">
<section class="title" data-timing="60"><h1>{heading}</h1><p>{book}</p>
<aside class="notes">{opening}</aside></section>
{slides}</div></div>
<script src="vendor/reveal/reveal.js"></script><script src="vendor/reveal/notes.js"></script>
<script src="deck.js"></script>
<script id="MathJax-script" src="vendor/mathjax/tex-chtml.js"></script>
</body></html>
"""


def rendered_deck(deck: Deck, chapter: Chapter, folder: Path) -> str:
    """The page of a deck.

    Args:
        deck: what is said.
        chapter: from which it takes the rest.
        folder: for pictures.
    """
    opening = RENDERER.render(
        f"{len(deck.slides)} slides, {deck.minutes} minutes. → goes on, S opens these notes with "
        "a clock, F fills the screen, and O shows all slides."
    )
    return PAGE.format(
        title=html.escape(chapter.title),
        heading=RENDERER.renderInline(chapter.title),
        book="Normalization and residual networks",
        opening=opening,
        slides="".join(rendered_slide(slide, chapter, folder) for slide in deck.slides),
    )


INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lecture decks</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 18px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; }}
td, th {{ text-align: left; padding: .2rem 1.2rem .2rem 0; }}</style></head><body>
<h1>Lecture decks</h1>
<p>→ goes on, S opens the speaker notes with a clock, F fills the screen, O shows all slides.
To print a deck, add <code>?print-pdf</code> to its address and print the page.</p>
<table><tr><th>Deck</th><th>Slides</th><th>Minutes</th></tr>
{rows}</table></body></html>
"""


def read_chapter(deck: Deck) -> Chapter:
    """The chapter of a deck with its outputs; executed now if nobody has done so."""
    path = ROOT / f"{deck.chapter}.ipynb"
    notebook = executed.load(path)
    if notebook is None:
        print(f"Executing {deck.chapter}, which takes a minute or two.", flush=True)
        notebook = executed.execute(path)
    return Chapter(notebook)


def make(paths: list[Path], target: Path) -> None:
    """Write decks and their list.

    Args:
        paths: of the decks.
        target: folder; what is in it is replaced.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DECKS / "vendor", target / "vendor")
    shutil.copytree(MATHJAX, target / "vendor" / "mathjax")
    for name in ("deck.css", "deck.js"):
        shutil.copy(DECKS / name, target / name)
    rows = []
    for path in paths:
        deck = read_deck(path)
        chapter = read_chapter(deck)
        faults = [f for slide in deck.slides for p in slide.parts if (f := chapter.fault(p))]
        if faults:
            raise ValueError(f"book/slides/{path.name}: " + "; ".join(faults))
        page = rendered_deck(deck, chapter, target / deck.name)
        (target / f"{deck.name}.html").write_text(page, "utf-8")
        rows.append(
            f'<tr><td><a href="{deck.name}.html">{html.escape(chapter.title)}</a></td>'
            f"<td>{len(deck.slides)}</td><td>{deck.minutes}</td></tr>\n"
        )
    (target / "index.html").write_text(INDEX.format(rows="".join(rows)), "utf-8")


def main(arguments: list[str]) -> None:
    """Make the decks, or say what is wrong."""
    parser = command_line(__doc__)
    parser.add_argument("decks", nargs="*", metavar="DECK")
    names = parser.parse_args(arguments).decks
    there = {path.stem: path for path in all_decks()}
    if unknown := [name for name in names if name not in there]:
        parser.error(f"no deck {', '.join(unknown)}; there are {', '.join(there)}")
    try:
        make([there[name] for name in names or there], SLIDES)
    except ValueError as error:
        sys.exit(str(error))
    print("Open _build/slides/index.html in a browser.")


if __name__ == "__main__":
    main(sys.argv[1:])
