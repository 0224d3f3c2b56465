"""What makes a page light: fewer elements, one short style sheet, and sections that wait.

A chapter has thousands of elements, and a phone takes seconds to lay them all out. Most of them
color code, and half of these have the color of plain text. The theme brings about 400 kB of style
for widgets that no page has. And what is measured while a page opens lays out all of it, unless the
sections below the window are set aside (``content-visibility`` in resnorm.css).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sphinx.errors import ExtensionError

# --- code -------------------------------------------------------------------------------------

#: Names, punctuation and spaces, which have the color of the text around them in both themes.
COLORLESS = re.compile(r'<span class="(?:n|nn|p|w)">([^<]*)</span>')
#: Neighbors of one color, such as operators without a space between them.
TWINS = re.compile(r'<span class="(\w{1,3})">([^<]*)</span><span class="\1">')
CODE = re.compile(r"<pre\b[^>]*>.*?</pre>", re.DOTALL)


def plain_code(page: str) -> str:
    """A page whose code has no elements without a color of their own.

    Args:
        page: HTML.
    """

    def plain(found: re.Match[str]) -> str:
        code, count = COLORLESS.sub(r"\1", found[0]), 1
        while count:
            code, count = TWINS.subn(r'<span class="\1">\2', code)
        return code

    return CODE.sub(plain, page)


# --- sections ---------------------------------------------------------------------------------

SECTION = re.compile(r"<section\b([^>]*)>|</section>")
#: What takes no room in the beginning: folded or hidden, or not shown at all.
FOLDED = re.compile(
    r"<details\b.*?</details>|<script\b.*?</script>|<style\b.*?</style>|<noscript\b.*?</noscript>",
    re.DOTALL,
)
SOLUTION = re.compile(r'<div class="solution .*?(?=<div class="solution |\Z)', re.DOTALL)
TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
BLOCK = re.compile(
    r"<(?:p|li|dd|dt|h2|h3)\b[^>]*>(.*?)(?=<(?:p|li|dd|dt|h2|h3|div)\b|\Z)", re.DOTALL
)
HEIGHT = re.compile(r'<img\b[^>]*\bheight="(\d+)"')
GALLERY = re.compile(r'<ul class="rn-gallery">.*?</ul>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")


def room(section: str, columns: int) -> int:
    """About how high a section is, in pixels.

    Rather more than less: where a section is higher than its place, what follows is measured as if
    it lay below it.

    Args:
        section: HTML.
        columns: letters on a line of prose.
    """
    narrow = columns < 60
    solutions = len(SOLUTION.findall(section))
    shown = SOLUTION.sub("", section)
    folds = shown.count("<details")
    shown = FOLDED.sub("", shown)
    pictures = "".join(GALLERY.findall(shown)).count("<li")  # four of a row, two on a phone
    shown = GALLERY.sub("", shown)
    tables = TABLE.findall(shown)
    # on a phone the cells of a table keep their line, unless it is shown as blocks
    wrapped = [table for table in tables if not narrow or "rn-stacked" in table]
    shown = TABLE.sub("", shown)
    code = CODE.findall(shown)
    prose = CODE.sub("", shown)
    texts = [len(" ".join(TAG.sub("", text).split())) for text in BLOCK.findall(prose)]
    parts = (
        80,
        sum(27 * -(-length // columns) + 19 for length in texts if length),
        sum(19 * text.count("\n") + 22 for text in code),
        sum(int(height) + 20 for height in HEIGHT.findall(prose)),
        40 * "".join(tables).count("<tr") + 40 * len(TAG.sub("", "".join(wrapped))) // columns,
        75 * prose.count('<div class="math'),
        (560 if narrow else 420) * prose.count('class="rnc"'),
        150 * prose.count('class="rn-explore"'),
        (100 if narrow else 50) * pictures,
        100 * prose.count('class="exercise '),
        62 * folds,
        (110 if narrow else 60) * solutions,
    )
    return round(sum(parts) * (1.2 if narrow else 1.05))


def set_aside(page: str) -> str:
    """A page whose sections are laid out when they come near; until then they keep their place.

    Args:
        page: HTML, whose first section is the chapter.
    """
    opened: list[re.Match[str]] = []
    changes: list[tuple[re.Match[str], str]] = []
    for found in SECTION.finditer(page):
        if found[0] != "</section>":
            opened.append(found)
            continue
        tag = opened.pop()
        if len(opened) in (1, 2) and ' id="' in tag[1]:  # headings of the second and third level
            text = page[tag.end() : found.start()]
            sizes = f"--rn-narrow:{room(text, 44)}px;--rn-wide:{room(text, 88)}px"
            changes.append((tag, f'<section{with_class(tag[1], "rn-later")} style="{sizes}">'))
    pieces, last = [], 0
    for tag, new in sorted(changes, key=lambda change: change[0].start()):
        pieces += [page[last : tag.start()], new]
        last = tag.end()
    return "".join([*pieces, page[last:]])


def with_class(attributes: str, name: str) -> str:
    """Attributes of an element with one more class.

    Args:
        attributes: as they stand in its tag.
        name: of the class.
    """
    if ' class="' in attributes:
        return attributes.replace(' class="', f' class="{name} ', 1)
    return f'{attributes} class="{name}"'


# --- style ------------------------------------------------------------------------------------

#: The one style sheet of all pages, in ``_static``.
SHEET = "book.css"
LINK = re.compile(
    r'<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"?]*_static/)([^"?]+\.css)(?:\?[^"]*)?"[^>]*>'
)
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')]+)[\"']?\)?\s*;")
ADDRESS = re.compile(r"url\(\s*([\"']?)(?!data:|#|[a-z]+:)([^\"')]+)\1\s*\)")
COMMENT = re.compile(r"(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|/\*.*?\*/", re.DOTALL)
TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]", re.DOTALL)
NAME = re.compile(r"[.#]((?:\\.|[\w-])+)")
#: Classes that scripts put together from parts.
COMPOSED = ("bs-tooltip", "bs-popover", "tippy", "mjx")


def rules(css: str) -> Iterator[tuple[str, str | None]]:
    """What stands before each brace and what in it; statements without braces have None.

    Args:
        css: a style sheet, or the inside of an ``@media`` rule, without comments.
    """
    depth, start, opened = 0, 0, 0
    for token in TOKEN.finditer(css):
        if token[0] == "{":
            if depth == 0:
                opened = token.start()
            depth += 1
        elif token[0] == "}":
            depth -= 1
            if depth == 0:
                yield css[start:opened].strip(), css[opened + 1 : token.start()]
                start = token.end()
        elif token[0] == ";" and depth == 0:
            yield css[start : token.start()].strip(), None
            start = token.end()


def _outside_parentheses(selectors: str) -> str:
    """Selectors without what stands in parentheses and brackets."""
    while True:
        shorter = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", selectors)
        if shorter == selectors:
            return shorter
        selectors = shorter


def _split(selectors: str) -> list[str]:
    """The selectors of a list; commas in parentheses and brackets do not count."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(selectors):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            found.append(selectors[start:place])
            start = place + 1
    return [*found, selectors[start:]]


def used(css: str, words: set[str]) -> str:
    """A style sheet without the rules that concern no page.

    Args:
        css: without comments.
        words: every class and id that pages have and scripts name.
    """

    def alive(selector: str) -> bool:
        names = [name.replace("\\", "") for name in NAME.findall(_outside_parentheses(selector))]
        return all(name in words or name.startswith(COMPOSED) for name in names)

    kept = []
    for before, inside in rules(css):
        if inside is None:
            kept.append(f"{before};")
        elif before.startswith(("@media", "@supports", "@layer", "@container")):
            inner = used(inside, words)
            if inner:
                kept.append(f"{before}{{{inner}}}")
        elif before.startswith("@font-face"):
            if "fontawesome" not in inside:  # see ``icons``
                kept.append(f"{before}{{{inside}}}")
        elif before.startswith("@"):
            kept.append(f"{before}{{{inside}}}")
        else:
            selectors = ",".join(each.strip() for each in _split(before) if alive(each))
            if selectors and inside.strip():
                kept.append(f"{selectors}{{{inside.strip()}}}")
    return "".join(kept)


def whole(file: Path, static: Path) -> str:
    """A style sheet with those that it imports, without comments; addresses count from ``static``.

    Args:
        file: to be read.
        static: folder of the sheet that takes its rules.
    """
    css = COMMENT.sub(lambda found: found[1] or "", file.read_text("utf-8"))
    css = re.sub(r"@charset[^;]*;", "", css)

    def moved(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(file.parent / found[2].strip()))
        return f'url("{Path(os.path.relpath(target, static)).as_posix()}")'

    css = ADDRESS.sub(moved, css)
    return IMPORT.sub(lambda found: whole(file.parent / found[1].strip(), static), css)


def words_of(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """Every class and id of pages, and every word of scripts, which may become a class.

    Args:
        pages: HTML.
        scripts: JavaScript.
    """
    words: set[str] = set()
    for page in pages:
        for value in re.findall(r'\b(?:class|id|for)="([^"]*)"', page):
            words.update(value.split())
        for script in re.findall(r"<script\b[^>]*>(.*?)</script>", page, re.DOTALL):
            words.update(re.findall(r"[\w-]+", script))
    for script in scripts:
        words.update(re.findall(r"[\w-]+", script))
    return words


def one_sheet(pages: dict[Path, str], static: Path) -> dict[Path, str]:
    """Write the style that the pages use into one sheet, and return the pages that link to it.

    Args:
        pages: HTML by file; some may link to the sheet already.
        static: folder of the sheets.
    """
    names: dict[str, None] = {}
    for page in pages.values():
        names |= dict.fromkeys(found[2] for found in LINK.finditer(page) if found[2] != SHEET)
    if names:
        skipped = {"sections.js", "previews-data.js"}
        scripts = [
            file.read_text("utf-8")
            for file in sorted(static.rglob("*.js"))
            if file.name not in skipped and "mathjax" not in file.parts
        ]
        words = words_of(pages.values(), scripts)
        css = "\n".join(used(whole(static / name, static), words) for name in names)
        (static / SHEET).write_text(re.sub(r"\s+", " ", css), "utf-8")
    version = hashlib.sha256((static / SHEET).read_bytes()).hexdigest()[:8]

    def linked(page: str) -> str:
        seen = False

        def one(found: re.Match[str]) -> str:
            nonlocal seen
            if seen:
                return ""
            seen = True
            return f'<link rel="stylesheet" href="{found[1]}{SHEET}?v={version}" />'

        return LINK.sub(one, page)

    return {file: linked(page) for file, page in pages.items()}


# --- the theme's script -----------------------------------------------------------------------

#: It measures all code of the page when the page opens and whenever anything changes, and so has
#: all of it laid out. resnorm.js does the same for what is near.
MEASURED = re.compile(r'document\.querySelectorAll\(\["pre",[^\]]*\]\.join\(", "\)\)\.forEach\(')


def without_measuring(script: str) -> str:
    """The theme's script without what measures every piece of code.

    Args:
        script: of the theme, as it is or as this function returned it.

    Raises:
        ExtensionError: the script has changed, and the place is not found.
    """
    if "[].forEach(" in script:
        return script
    changed, count = MEASURED.subn("[].forEach(", script)
    if count != 1:
        raise ExtensionError(
            "the theme's script has no place, or several, where it measures code; "
            "adapt MEASURED in book/extensions/resnorm_book/weight.py"
        )
    return changed
