"""Tables as a reader of numbers wants them: figures flush right, a number, room to scroll."""

from __future__ import annotations

import html
import itertools
import re

from .references import chapter_of
from .weight import with_class

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
FORMULA = re.compile(r'class="[^"]*\bmath\b')
#: Letters of a cell that stays on one line, of such a label, and of one that is a sentence.
SHORT, SHORT_LABEL, SENTENCE = 16, 8, 28
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


def is_prose(head: list[str], rows: list[list[str]], numbers: set[int]) -> bool:
    """Tell whether a table is one of sentences, whose columns are too narrow on a phone.

    Args:
        head: what the cells of the header show.
        rows: what those of the body show.
        numbers: columns of numbers.
    """
    if len(head) < 3 or any(re.search(r"[\\{}^_]", label) for label in head):
        return False  # two columns have room, and labels are plain text
    longest = [
        max((len(row[k]) for row in rows if k < len(row)), default=0)
        for k in range(len(head))
        if k not in numbers
    ]
    sentences = [length for length in longest if length > SENTENCE]
    return len(sentences) >= 2 or (len(head) > 3 and max(longest, default=0) > 2 * SENTENCE)


def in_plain_letters(label: str) -> str:
    """A label of a header without the marks of mathematics.

    Args:
        label: what the cell shows.
    """
    for name, letter in (("alpha", "α"), ("epsilon", "ε"), ("gamma", "γ"), ("beta", "β")):
        label = label.replace(f"\\{name}", letter)
    return label


def aligned(table: str) -> str:
    """A table whose cells say how they want to stand.

    Columns of numbers have the class ``rn-number``, short cells ``rn-short``, sentences
    ``rn-long``, and what lies between them ``rn-medium``: a phone gives it room for two lines. A
    table of sentences has the class ``rn-stacked``: a phone shows each of its rows as a block, in
    which the cells name their column.

    Args:
        table: HTML of one table.
    """
    body = re.search(r"<tbody.*</tbody>", table, re.DOTALL)
    rows = [
        [text_of(cell[3]) for cell in CELL.finditer(row)]
        for row in ROW.findall(body[0] if body else table)
    ]
    head = re.search(r"<thead.*?</thead>", table, re.DOTALL)
    labels = [in_plain_letters(text_of(cell[3])) for cell in CELL.finditer(head[0] if head else "")]
    columns = numeric_columns(rows)
    stacked = is_prose(labels, rows, columns)

    def mark(row: re.Match[str]) -> str:
        position = itertools.count()

        def cell(found: re.Match[str]) -> str:
            k = next(position)
            name, attributes, inner = found.groups()
            shown = text_of(inner)
            if k in columns:
                attributes = with_class(attributes, "rn-number")
            if len(shown) <= (SHORT if name == "td" else SHORT_LABEL):
                if re.search(r"[\s\-–→(/]", shown):  # other cells cannot break
                    attributes = with_class(attributes, "rn-short")
            elif name == "td":
                if len(shown) > SENTENCE:
                    attributes = with_class(attributes, "rn-long")
                elif not FORMULA.search(inner):  # its source is longer than what is shown
                    attributes = with_class(attributes, "rn-medium")
            if stacked:
                attributes += f' role="{"cell" if name == "td" else "columnheader"}"'
                # the first cell is the block's title, and needs its label if it is a bare number
                if name == "td" and (k or shown.isdigit()) and shown and labels[k]:
                    attributes += f' data-label="{html.escape(labels[k])}"'
            return f"<{name}{attributes}>{inner}</{name}>"

        return CELL.sub(cell, row[0])

    table = ROW.sub(mark, table)
    if stacked:  # shown as blocks, it would no longer be a table for those who hear it
        table = re.sub(r"<table\b([^>]*)>", _stacked, table, count=1)
        table = re.sub(r"<(thead|tbody)\b", r'<\1 role="rowgroup"', table)
        table = re.sub(r"<tr\b", '<tr role="row"', table)
    return table


def _stacked(found: re.Match[str]) -> str:
    """The tag of a table that a phone shows as blocks.

    Its rows and cells have roles, for what is shown as a block would lose them. The table itself
    has none: browsers keep its own, and with a role in writing axe allows no caption with a link.
    """
    return f"<table{with_class(found[1], 'rn-stacked')}>"


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
