"""What a phone may wrap: sentences that cells print, and commands. Arrays and columns scroll.

A phone has room for about 45 letters of a printed line. Rows that are compared keep their lines and
scroll, but a sentence that scrolls hides its end, which usually is the number, and a command that
scrolls hides its options. So their lines become elements, and the style sheet lets these wrap on a
narrow screen, with what continues set in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

#: Letters that a line on a phone has room for.
ROOM = 44
#: Columns up to which a label may stand before a sentence, as in ``WRONG  dx differs``.
LABEL = 12
OUTPUT = re.compile(
    r'(<div class="output (?:stream|text_plain) highlight-myst-ansi notranslate">'
    r'<div class="highlight"><pre)>(<span></span>)([^<]*)(</pre>)'
)
#: A block of the page that is no cell, with its language.
BLOCK = re.compile(
    r'(<div class="highlight-(default|none|bash|sh|console|shell) notranslate">'
    r'<div class="highlight"><pre)>(<span></span>)(.*?)(</pre>)',
    re.DOTALL,
)
#: Languages in which every line is a command.
SHELL = {"bash", "sh", "console", "shell"}
COMMAND = re.compile(r"[!%$]|python |pip |git |make\b|conda |cd |\.venv/|jupyter |npx |source ")
OPTION = re.compile(r"(?<=[\s>])--?[a-z][\w-]*")
TAG = re.compile(r"<[^>]*>")
#: Spaces and a label, or none, before what belongs to it.
LEAD = re.compile(rf" *(?:\S{{1,{LABEL}}} {{2,}})?(?=\S)")
#: A gap between columns. One gap per line is a name and its sentence; more are a table.
GAP = re.compile(r"\S {2,}(?=\S)")
#: Numbers with nothing but spaces between them.
NUMBERS = re.compile(r"[\d.]+ +-?[\d.]+ +-?\d")
#: Where nothing but a bracket stands before them, the line is an array.
ARRAY = re.compile(rf"[\[( ]*-?{NUMBERS.pattern}")
#: A further row of an array in brackets.
ROW = re.compile(r" +\[")


def flows(lines: Sequence[str]) -> bool:
    """Tell whether a phone may wrap these lines: some are long, and none of these is a row.

    A sentence that ends with a few numbers is no row, unless another one does so as well.

    Args:
        lines: as they were printed.
    """
    numbers = [line for line in lines if NUMBERS.search(line, _lead(line))]
    rows = {line for line in lines if _is_row(line)}.union(numbers[1:] and numbers)
    long = {line for line in lines if len(line) > ROOM}
    return bool(long) and not long & rows


def _is_row(line: str) -> bool:
    """Tell whether a line is a row of a table or of an array."""
    rest = line[_lead(line) :]
    return bool(len(GAP.findall(rest)) > 1 or ARRAY.match(rest) or ROW.match(line))


def are_commands(language: str, lines: Sequence[str]) -> bool:
    """Tell whether all lines of a block are commands.

    Args:
        language: of the block.
        lines: without markup.
    """
    return language in SHELL or all(COMMAND.match(line) for line in lines)


def _lead(line: str) -> int:
    """Letters before the sentence of a line: spaces, and a short label."""
    lead = LEAD.match(line)
    return lead.end() if lead and lead.end() <= LABEL else 0


def _indent(line: str) -> int:
    """Letters by which the rest of a line is set in: as far as the words behind a label."""
    start = _lead(line)
    return start if line[start : start + 1].isalpha() and start else 2


def flowing(page: str) -> str:
    """A page on which the lines of printed sentences and of commands are elements that may wrap.

    Args:
        page: HTML.
    """

    def sentences(found: re.Match[str]) -> str:
        before, mark, text, after = found.groups()
        lines = html.unescape(text).rstrip("\n").split("\n")
        if not flows(lines):
            return found[0]
        pieces = []
        for line in lines:
            indent = _indent(line)
            style = f' style="--rn-indent:{indent}ch"' if indent != 2 else ""
            words = html.escape(line.replace("->", "-\u2060>"), quote=False)  # unbroken arrows
            pieces.append(f'<span class="rn-line"{style}>{words}\n</span>')
        return f'{before} class="rn-wraps">{mark}{"".join(pieces)}{after}'

    def commands(found: re.Match[str]) -> str:
        before, language, mark, code, after = found.groups()
        lines = code.rstrip("\n").split("\n")
        whole = all(line.count("<span") == line.count("</span>") for line in lines)
        if not whole or not are_commands(language, [TAG.sub("", line) for line in lines]):
            return found[0]
        lines = [OPTION.sub(r'<span class="rn-glued">\g<0></span>', line) for line in lines]
        pieces = [f'<span class="rn-line">{line}\n</span>' for line in lines]
        return f'{before} class="rn-wraps">{mark}{"".join(pieces)}{after}'

    return BLOCK.sub(commands, OUTPUT.sub(sentences, page))
