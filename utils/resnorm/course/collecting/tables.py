"""Tables that a learning management system or a spreadsheet wrote."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Table:
    """A table as it is on disk.

    Attributes:
        columns: names of the columns, without blanks around them.
        rows: the other rows; each has as many fields as there are columns.
        delimiter: what separates the fields.
        marked: whether the file begins with a byte order mark.
    """

    columns: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    marked: bool = False

    def field(self, row: list[str], column: str) -> str:
        """One field of a row, without blanks around it; empty if there is no such column.

        Args:
            row: the row.
            column: name of the column.
        """
        return row[self.columns.index(column)].strip() if column in self.columns else ""

    def text(self) -> str:
        """The table as it was written, with the fields as they are now."""
        file = io.StringIO(newline="")
        csv.writer(file, delimiter=self.delimiter).writerows([self.columns, *self.rows])
        return ("\ufeff" if self.marked else "") + file.getvalue()


def read_table(path: Path) -> Table:
    """Read a table of fields that commas, semicolons or tabs separate.

    Args:
        path: a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        ValueError: it is a spreadsheet's own format, or in another encoding. The message says how
            to save it.
    """
    raw = path.read_bytes()
    how = "save it as “CSV UTF-8”"
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"{path.name} is a spreadsheet, not a CSV: open it and {how}")
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise ValueError(
            f"{path.name} is not in UTF-8 (line {line}): open it in the program that wrote it "
            f"and {how}, or names would be garbled"
        ) from None
    if "\0" in text:
        raise ValueError(f"{path.name} is not a text in UTF-8: open it and {how}")
    head = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as problem:
        raise ValueError(f"{path.name} cannot be read as a CSV: {problem}") from None
    columns = [column.strip() for column in rows[0]] if rows else []
    width = len(columns)
    fields = [[*row, *[""] * (width - len(row))][:width] for row in rows[1:]]
    return Table(columns, fields, delimiter, raw.startswith(codecs.BOM_UTF8))
