"""Tables as a reader of numbers wants them: figures flush right, a number, room to scroll."""

from __future__ import annotations

import html
import itertools
import re

from .references import chapter_of

TABLE = re.compile(
    r'<div class="pst-scrollable-table-container">\s*(<table\b.*?</table>)\s*</div>', re.DOTALL
)
ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[hd])\b([^>]*)>(.*?)</\1>", re.DOTALL)
#: 0.3, −1.5 ± 0.2, 1 234, 2×, 8 %, 3 of 5, 10⁻³, 1.2e-05, +0.4, a dash for "none"
NUMBER = re.compile(
    r"[≈≤≥<>~]?\s*[+\-−–]?\s*[\d¼½¾][\d.,\s¼½¾]*(?:e[+\-]?\d+)?(?:[·×x]\s*10[⁻\d^−-]+)?[⁰¹²³⁴-⁹⁻]*"
    r"(?:\s*(?:±|to|–|of|/|×|x)\s*[\d.,]+(?:e[+\-]?\d+)?)*"
    r"\s*(?:%|×|x|°|k|M|G|[kMG]?B|[kMG]iB|[mµn]?s|min|h|points?)?(?:\s*±\s*[\d.,]+)?"
)
#: The widest first column of a table on a phone, in letters.
FIRST = 13
NOTHING = {"", "–", "—", "-", "n/a", "nan", "∞"}


def text_of(cell: str) -> str:
    """What a cell shows.

    Args:
        cell: HTML.
    """
    cell = re.sub(r"\\\(|\\\)", "", re.sub(r"<[^>]+>", "", cell))
    return html.unescape(cell).strip()


def numeric_columns(rows: list[list[str]]) -> set[int]:
    """Columns in which every cell that is not empty holds a number.

    Args:
        rows: what the cells of the body show.
    """
    found = set()
    for index in range(1, max(map(len, rows), default=0)):
        cells = [row[index] for row in rows if index < len(row) and row[index] not in NOTHING]
        if cells and all(NUMBER.fullmatch(cell) for cell in cells):
            found.add(index)
    return found


def aligned(table: str) -> str:
    """A table whose columns of numbers have the class ``rn-number``.

    Args:
        table: HTML of one table.
    """
    body = re.search(r"<tbody.*</tbody>", table, re.DOTALL)
    rows = [
        [text_of(cell[3]) for cell in CELL.finditer(row)]
        for row in ROW.findall(body[0] if body else table)
    ]
    columns = numeric_columns(rows)

    def mark(row: re.Match[str]) -> str:
        position = itertools.count()

        def cell(found: re.Match[str]) -> str:
            if next(position) not in columns:
                return found[0]
            name, attributes, inner = found.groups()
            if 'class="' in attributes:
                attributes = attributes.replace('class="', 'class="rn-number ', 1)
            else:
                attributes += ' class="rn-number"'
            return f"<{name}{attributes}>{inner}</{name}>"

        return CELL.sub(cell, row[0])

    return ROW.sub(mark, table)


def without_empty_head(table: str) -> str:
    """A table without a head in which nothing stands.

    Args:
        table: HTML of one table.
    """
    head = re.search(r"<thead.*?</thead>\s*", table, re.DOTALL)
    if head and not any(text_of(cell[3]) for cell in CELL.finditer(head[0])):
        return table.replace(head[0], "", 1)
    return table


def first_column(table: str) -> int:
    """How many letters of its first column a table shows on a line, at least.

    Args:
        table: HTML of one table.
    """
    body = re.search(r"<tbody.*</tbody>", table, re.DOTALL)
    cells = (CELL.search(row) for row in ROW.findall(body[0] if body else table))
    return min(FIRST, max((len(text_of(cell[3])) for cell in cells if cell), default=0))


def finished(page: str) -> str:
    """A page whose tables are aligned, numbered and scroll in a frame of their own.

    Args:
        page: HTML.
    """
    chapter, count = chapter_of(page), itertools.count(1)

    def finish(found: re.Match[str]) -> str:
        k = next(count)
        caption = (
            f'<caption><a class="rn-self" href="#table-{k}" title="Link to this table">'
            f"Table {chapter}{k}</a></caption>"
        )
        table = without_empty_head(aligned(found[1]))
        width = first_column(table)
        table = re.sub(r"(<table\b[^>]*>)", rf"\1{caption}", table, count=1)
        return f'<div class="rn-table" id="table-{k}" style="--rn-first:{width}ch">{table}</div>'

    return TABLE.sub(finish, page)
