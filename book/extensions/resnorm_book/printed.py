"""What cells print, so that a phone can show it: sentences continue on the next line.

A phone has room for about 45 letters of a printed line. A table of numbers keeps its lines and
scrolls, but a sentence that scrolls hides its end, which usually is the number. So the lines of
sentences become elements, and the style sheet lets them wrap on a narrow screen, with what
continues set in.
"""

from __future__ import annotations

import html
import re

#: Letters that a line on a phone has room for.
ROOM = 44
#: Columns up to which a label may stand before a sentence, as in ``WRONG  dx differs``.
LABEL = 12
OUTPUT = re.compile(
    r'(<div class="output (?:stream|text_plain) highlight-myst-ansi notranslate">'
    r'<div class="highlight"><pre)>(<span></span>)([^<]*)(</pre>)'
)
#: Spaces and a label, or none, before what belongs to it.
LEAD = re.compile(rf" *(?:\S{{1,{LABEL}}} {{2,}})?(?=\S)")
#: A gap between columns. One gap per line is a name and its sentence; more are a table.
GAP = re.compile(r"\S {2,}(?=\S)")
NUMBERS = re.compile(r"\d\.? +-?[\d.]+ +-?\d")


def flows(lines: list[str]) -> bool:
    """Tell whether a phone may wrap these lines: some are long, and none has columns.

    Args:
        lines: as they were printed.
    """
    return any(len(line) > ROOM for line in lines) and not any(map(_has_columns, lines))


def _has_columns(line: str) -> bool:
    """Tell whether a line belongs to a table or to an array."""
    start = _lead(line)
    return len(GAP.findall(line[start:])) > 1 or bool(NUMBERS.search(line, start))


def _lead(line: str) -> int:
    """Letters before the sentence of a line: spaces, and a short label."""
    lead = LEAD.match(line)
    return lead.end() if lead and lead.end() <= LABEL else 0


def _indent(line: str) -> int:
    """Letters by which the rest of a line is set in: as far as the words behind a label."""
    start = _lead(line)
    return start if line[start : start + 1].isalpha() and start else 2


def flowing(page: str) -> str:
    """A page on which printed sentences are lines of their own that may wrap.

    Args:
        page: HTML.
    """

    def flow(found: re.Match[str]) -> str:
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

    return OUTPUT.sub(flow, page)
