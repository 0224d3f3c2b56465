"""Read a student's file, of which only the text of its cells matters.

Editors and websites write notebooks that are not valid: without execution counts, metadata or
outputs, in other encodings, with fields of another format. All of them can be graded, so nothing is
checked here that grading does not need. What cannot be read is refused with a reason.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..sandbox.limits import MAX_FILE_BYTES, MiB

#: Largest number of lists, objects and their entries, which take much more memory than bytes.
MAX_ENTRIES = 5_000_000
MAX_CELLS = 2_000
#: Length of all code together, in characters.
MAX_CODE = 200_000
#: The first bytes of files that are sometimes given the name of a notebook.
OTHERS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"<": "a web page: download the notebook itself, not the page that shows it",
    b"version https://git-lfs": "a pointer of Git LFS, not the file that it points to",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
ATTACHED = ("image/png", "image/jpeg", "image/gif", "image/webp")


class NotGradableError(ValueError):
    """A file cannot be graded. The message says why."""


def read_submission(path: Path, max_bytes: int = MAX_FILE_BYTES) -> NotebookNode:
    """Read the cells of a notebook from a student's file.

    Args:
        path: the file.
        max_bytes: size of the largest file that is read.

    Returns:
        A notebook in the current format with the text of the cells, nbgrader's names of them, and
        the pictures that belong to text. It has no outputs.

    Raises:
        NotGradableError: the file is empty, too large, not a file, not a notebook, or in a format
            that cannot be read.
    """
    data = _bytes(path, max_bytes)
    try:
        content = _json(data)
        cells = _cells(content)
        code = sum(len(cell.source) for cell in cells if cell.cell_type == "code")
        if code > MAX_CODE:
            raise ValueError(
                f"its cells hold {code:,} characters of code; at most {MAX_CODE:,} are run. "
                "Hand in data as a file beside the notebook"
            )
    except ValueError as problem:
        raise NotGradableError(
            f"{path.name} is not a notebook that can be read: {problem}"
        ) from None
    except (RecursionError, MemoryError):
        reason = "it is nested too deeply or too large"
        raise NotGradableError(
            f"{path.name} is not a notebook that can be read: {reason}"
        ) from None
    return nbformat.from_dict(nbformat.v4.new_notebook(cells=cells))


def _bytes(path: Path, max_bytes: int) -> bytes:
    """Read a file, and nothing that is not one."""
    try:
        # A pipe would wait for a writer, and a link could lead to a file of somebody else.
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if path.is_symlink():
            raise NotGradableError(f"{path.name} is a link, not a file") from None
        raise
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_size > max_bytes:
        os.close(file)
        if not stat.S_ISREG(about.st_mode):
            raise NotGradableError(f"{path.name} is a folder, a pipe or a device, not a file")
        raise NotGradableError(
            f"{path.name} has {about.st_size / MiB:.0f} MB; at most "
            f"{max_bytes / MiB:.0f} are read: ask for it without outputs"
        )
    with os.fdopen(file, "rb") as opened:
        data = opened.read(max_bytes)
    if not data.strip(b"\0 \t\r\n"):
        raise NotGradableError(f"{path.name} is empty")
    return data


def _json(data: bytes) -> Any:
    """Parse JSON. Control characters in texts and numbers of any length are let through.

    Raises:
        ValueError: it is not JSON. The message says where, or what it is instead.
    """
    text = _text(data)
    start = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if found := next((what for mark, what in OTHERS.items() if start.startswith(mark)), ""):
        raise ValueError(f"it is {found}")
    if re.search(r"^(<{7} |>{7} |={7}$)", text, re.MULTILINE):
        raise ValueError("it holds the conflict marks of a Git merge (<<<<<<<)")
    if sum(map(text.count, "[{,")) > MAX_ENTRIES:
        raise ValueError(f"it has more than {MAX_ENTRIES:,} entries: clear its outputs")
    try:
        return json.loads(text, strict=False, parse_int=_number, parse_float=_number)
    except json.JSONDecodeError as problem:
        if problem.pos >= len(text.rstrip()) - 1 or problem.msg.startswith("Unterminated string"):
            raise ValueError(
                f"it ends in the middle, after {len(data):,} bytes: it was not saved or not "
                "uploaded completely"
            ) from None
        raise ValueError(f"line {problem.lineno}, column {problem.colno}: {problem.msg}") from None


def _text(data: bytes) -> str:
    """Decode a file: UTF-8, UTF-16 or UTF-32 as JSON may be, or else an old code page."""
    try:
        return data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _number(digits: str) -> float:
    """No number in a notebook is of use here but the small ones, so precision does not matter."""
    return float(digits)


def _cells(content: Any) -> list[NotebookNode]:
    """The cells of a notebook, of whichever format.

    Raises:
        ValueError: there are none, or the format is not known.
    """
    if not isinstance(content, dict):
        raise ValueError("it is JSON, but holds no cells")
    version = content.get("nbformat")
    if isinstance(version, float) and version > 4:
        raise ValueError(
            f"it is of format {version:g}; formats up to 4 can be read, which Jupyter, Colab and "
            "VS Code write"
        )
    sheets = content.get("worksheets")
    owners = sheets if isinstance(sheets, list) and "cells" not in content else [content]
    lists = [owner.get("cells") for owner in owners if isinstance(owner, dict)]
    if not any(isinstance(cells, list) for cells in lists):
        raise ValueError("it holds no list of cells")
    cells = [cell for cells in lists if isinstance(cells, list) for cell in cells]
    if len(cells) > MAX_CELLS:
        raise ValueError(f"it has {len(cells):,} cells; at most {MAX_CELLS:,} are read")
    return [_cell(cell) for cell in cells if isinstance(cell, dict)]


def _cell(given: Mapping[str, Any]) -> NotebookNode:
    """A valid cell with the text of another one, and with nbgrader's name of it."""
    kind, text = given.get("cell_type"), _source(given)
    if kind == "code":
        cell = nbformat.v4.new_code_cell(text)
    elif kind in ("markdown", "heading", "html"):
        level = given.get("level")
        hashes = "#" * int(level) + " " if isinstance(level, float) and 1 <= level <= 6 else ""
        cell = nbformat.v4.new_markdown_cell((hashes if kind == "heading" else "") + text)
        if attachments := _attachments(given):
            cell["attachments"] = attachments
    else:
        cell = nbformat.v4.new_raw_cell(text)
    metadata = given.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = about.get("grade_id") if isinstance(about, dict) else None
    if isinstance(name, str):
        cell.metadata["nbgrader"] = {"grade_id": name}
    return cell


def _source(given: Mapping[str, Any]) -> str:
    """The text of a cell; formats before 4 call that of code its input."""
    source = given.get("source", given.get("input"))
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        # Lines carry their ends, but not everything that writes notebooks knows that.
        source = ("" if any(line.endswith("\n") for line in lines) else "\n").join(lines)
    if not isinstance(source, str):
        return ""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\ud800-\udfff]", "\ufffd", source)  # halves of characters cannot be written


def _attachments(given: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The pictures that were dropped into a cell of text."""
    attachments = given.get("attachments")
    if not isinstance(attachments, dict):
        return {}
    kept = {
        name: {
            kind: data
            for kind, data in bundle.items()
            if kind in ATTACHED and isinstance(data, str) and data.isascii()
        }
        for name, bundle in attachments.items()
        if isinstance(bundle, dict) and name.isprintable()
    }
    return {name: bundle for name, bundle in kept.items() if bundle}
