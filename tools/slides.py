"""Make lecture decks from ``book/slides`` and the figures, code and equations of the chapters.

Usage: ``python tools/slides.py [DECK ...]``, with names such as ``2-2``; all decks without one.
They land in ``_build/slides``; open ``index.html`` there. They need a browser and no network.

A deck is a Markdown file that begins with ``chapter: notebooks/PART/N-name``. Each slide begins
with ``## Title (3 min)``. A line that begins with a word in braces takes from the chapter:

    {figure} 93760ee4           what the cell with this id draws; a figure with controls keeps them
    {output} b4c86e14           what the cell prints, tables included
    {code} f14cfc78 3-11        the cell's code, or these lines of it
    {equation} eq-bnb-jacobian  the equation with this label
    {figure} 2-3/6bc02a24       what a cell of another chapter draws; so with all of these words

``. . .`` keeps back what follows until the lecturer goes on, and ``Notes:`` begins what only the
lecturer sees. So the numbers and pictures of a deck are those of the chapters.
"""

from __future__ import annotations

import base64
import functools
import html
import re
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import executed
from decks import (
    DECKS,
    Chapter,
    Deck,
    Part,
    Slide,
    all_decks,
    code_of,
    faults_of,
    read_deck,
)
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
MATHJAX = ROOT / "book" / "static" / "vendor" / "mathjax"
SLIDES = ROOT / "_build" / "slides"
#: Letters of a line of code or output up to which text has room beside it.
NARROW = 50
#: Width of a picture in heights, from which on the text stands above it.
WIDE = 1.75
#: A figure as the pages draw it; see ``resnorm.figures.drawings``.
DRAWING = re.compile(
    r'<img width="(?P<width>\d+)" height="(?P<height>\d+)" data-smallest[^>]* '
    r'src="data:image/(?P<kind>[a-z+]+);base64,(?P<data>[^"]+)"'
)
#: The frames for phones, of which a slide has no use.
FOR_PHONES = re.compile(
    r'<source [^>]*>|<script type="application/json" class="rn-narrow">.*?</script>'
)


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
    size = min(24 if plain else 20, room / high / 1.4)
    across = (1120 if wide else 555) / longest / 0.61
    size = min(size, max(across, 17) if plain else across)
    if plain:
        body = html.escape(text.rstrip())
    else:
        body = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))
    kind = "printed" if plain else "code"
    return Rendered(f'<pre class="{kind}" style="font-size:{size:.1f}px">{body}</pre>', wide)


def rendered_picture(output: NotebookNode, file: Path) -> Rendered:
    """A picture, written into a file of its own, or a figure with controls.

    The page's drawing of a figure stays sharp on a screen of any size. The notebook's own picture
    has few pixels, so it serves only where there is no drawing.

    Args:
        output: of the chapter.
        file: for the picture, without its ending.
    """
    picture = base64.b64decode(output.data["image/png"])
    width, height = struct.unpack(">II", picture[16:24])
    page = output.data.get("text/html", "")
    if 'class="rn-explore"' in page:
        page = FOR_PHONES.sub("", page)
        return Rendered(f'<div class="picture">{page}</div>', width / height > WIDE)
    ending = "png"
    if drawing := DRAWING.search(page):
        picture = base64.b64decode(drawing["data"])
        width, height = int(drawing["width"]), int(drawing["height"])
        ending = {"svg+xml": "svg"}.get(drawing["kind"], "png")
    wide = width / height > WIDE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(f".{ending}").write_bytes(picture)
    alt = html.escape(output.metadata["image/png"]["alt"])
    shape = f'width="{width}" height="{height}"'
    source = f"{file.parent.name}/{file.name}.{ending}"
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
    return [rendered_picture(o, folder / f"{part.chapter}{part.value}-{k}") for k, o in pictures]


def rendered_slide(slide: Slide, chapters: dict[str, Chapter], folder: Path) -> str:
    """A slide: text and equations beside what is seen, or above it if that is wide.

    Args:
        slide: of the deck.
        chapters: by their names, the deck's own under ``""``.
        folder: for pictures.
    """
    said, shown, wide = [], [], False
    for part in slide.parts:
        chapter, alone = chapters[part.chapter], len(slide.parts) == 1
        for piece in rendered_part(part, chapter, folder, alone):
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


def rendered_deck(deck: Deck, chapters: dict[str, Chapter], folder: Path) -> str:
    """The page of a deck.

    Args:
        deck: what is said.
        chapters: from which it takes the rest, its own under ``""``.
        folder: for pictures.
    """
    opening = RENDERER.render(
        f"{len(deck.slides)} slides, {deck.minutes} minutes. → goes on, S opens these notes with "
        "a clock, F fills the screen, and O shows all slides."
    )
    return PAGE.format(
        title=html.escape(chapters[""].title),
        heading=RENDERER.renderInline(chapters[""].title),
        book="Normalization and residual networks",
        opening=opening,
        slides="".join(rendered_slide(slide, chapters, folder) for slide in deck.slides),
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


def read_chapter(name: str) -> Chapter:
    """A chapter with its outputs; executed now if nobody has done so.

    Args:
        name: its path from the root, without its ending.
    """
    path = ROOT / f"{name}.ipynb"
    notebook = executed.load(path)
    if notebook is None:
        print(f"Executing {name}, which takes a minute or two.", flush=True)
        notebook = executed.execute(path)
    return Chapter(notebook)


def make(paths: list[Path], target: Path) -> None:
    """Write decks and their list.

    Args:
        paths: of the decks.
        target: folder; what is in it is replaced once all decks are there.

    Raises:
        ValueError: a deck names what its chapter does not have. The old decks stay.
    """
    new = target.with_name(f"{target.name}-new")
    shutil.rmtree(new, ignore_errors=True)
    write(paths, new)
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)


def write(paths: list[Path], target: Path) -> None:
    """Write decks and their list into an empty folder; see :func:`make`."""
    shutil.copytree(DECKS / "vendor", target / "vendor")
    shutil.copytree(MATHJAX, target / "vendor" / "mathjax")
    for name in ("deck.css", "deck.js"):
        shutil.copy(DECKS / name, target / name)
    rows = []
    read = functools.cache(read_chapter)  # several decks may take from the same chapter
    for path in paths:
        deck = read_deck(path)
        chapters = {name: read(chapter) for name, chapter in deck.chapters.items()}
        if faults := faults_of(deck, chapters):
            raise ValueError(f"book/slides/{path.name}: " + "; ".join(faults))
        page = rendered_deck(deck, chapters, target / deck.name)
        (target / f"{deck.name}.html").write_text(page, "utf-8")
        rows.append(
            f'<tr><td><a href="{deck.name}.html">{html.escape(chapters[""].title)}</a></td>'
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
