"""What a student wrote, so that no script of it runs in the browser of whoever marks it.

nbgrader's Formgrader and its feedback put Markdown, outputs and some metadata of a notebook into
their pages as they are, and Formgrader's page may do what the instructor may: change marks, read
the class list, start kernels. So nbgrader gets a sanitized copy, in the folder ``restored``. What
was handed in stays in ``submitted`` as it is.

A Content-Security-Policy could not do this: Formgrader's own pages need scripts inside the page.

The copy is built anew from what is known to be harmless: Markdown by :mod:`.markup`, of outputs
text and PNG or JPEG pictures, and all metadata from the instructor's notebook.
"""

from __future__ import annotations

import base64
import copy
import io
import re
import warnings
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode
from PIL import Image

from .grading.cells import by_name, meta
from .markup import ATTACHMENT, MAX_MARKDOWN, plain, safe_markdown, text

#: Number of characters of Markdown that are rendered in one notebook; the rest is shown as typed.
MAX_RENDERED = 10 * MAX_MARKDOWN
#: Number of pixels that the pictures of one notebook may have in total.
MAX_PIXELS = 100_000_000
_PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG"}
#: A picture inside the text, as Colab stores it.
_INSIDE = re.compile(r"data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/]+={0,2})")


def sanitized(notebook: NotebookNode, source: NotebookNode) -> NotebookNode:
    """Copy a graded notebook so that Formgrader, the feedback and JupyterLab can show it.

    Args:
        notebook: with a student's answers and outputs.
        source: the instructor's notebook; its cells stay as they are.
    """
    return _Sanitizer(source).copy(notebook)


class _Sanitizer:
    """Copies the cells of one notebook, within limits that hold for all of them together."""

    def __init__(self, source: NotebookNode):
        self.metadata = {name: cell.metadata for name, cell in by_name(source).items()}
        self.ours = {(cell.cell_type, cell.source): cell for cell in source.cells}
        kept = ("kernelspec", "language_info", "resnorm")
        self.about = {key: source.metadata[key] for key in kept if key in source.metadata}
        self.characters, self.pixels = MAX_RENDERED, MAX_PIXELS

    def copy(self, notebook: NotebookNode) -> NotebookNode:
        """Copy the notebook."""
        cells = [self._cell(cell) for cell in notebook.cells]
        return nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(self.about))

    def _cell(self, cell: NotebookNode) -> NotebookNode:
        """A copy of a cell. A raw cell, whose text nbconvert takes for HTML, becomes Markdown."""
        name = meta(cell).get("grade_id")
        metadata = copy.deepcopy(self.metadata.get(name, {})) if isinstance(name, str) else {}
        if cell.cell_type == "code":
            made = nbformat.v4.new_code_cell(
                text(cell.source), execution_count=_number(cell.get("execution_count"))
            )
            outputs = (self._output(output) for output in cell.get("outputs", []))
            made.outputs = [output for output in outputs if output is not None]
        elif ours := self.ours.get((cell.cell_type, cell.source)):
            made = copy.deepcopy(ours)
        elif cell.cell_type == "markdown":
            made = nbformat.v4.new_markdown_cell(self._markdown(cell))
        else:
            made = nbformat.v4.new_markdown_cell(plain(text(cell.source)))
        made.metadata = metadata
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(cell.get("id", ""))):
            made.id = cell.id
        return made

    def _markdown(self, cell: NotebookNode) -> str:
        """The text of a Markdown cell with its pictures inside."""
        pictures = {}
        attachments = cell.get("attachments", {})
        for name, kinds in attachments.items() if isinstance(attachments, Mapping) else ():
            for kind, data in kinds.items() if isinstance(kinds, Mapping) else ():
                if address := self._picture(kind, data):
                    pictures[name] = address

        def take(match: re.Match[str]) -> str:
            name = f"picture-{len(pictures) + 1}"
            pictures[name] = self._picture(match[1], match[2])
            return ATTACHMENT + name

        source = _INSIDE.sub(take, text(cell.source))
        self.characters -= len(source)
        return safe_markdown(source, pictures) if self.characters >= 0 else plain(source)

    def _picture(self, kind: Any, data: Any) -> str:
        """Address of a picture that holds it, or an empty text if it is not a picture."""
        encoded = "".join(text(data).split())
        try:
            raw = base64.b64decode(encoded, validate=True)
            with (
                warnings.catch_warnings(action="ignore"),
                Image.open(io.BytesIO(raw), formats=[_PICTURES[kind]]) as picture,
            ):
                self.pixels -= picture.width * picture.height
        except Exception:  # whatever a hostile file provokes in its reader
            return ""
        return f"data:{kind};base64,{encoded}" if self.pixels >= 0 else ""

    def _output(self, output: NotebookNode) -> NotebookNode | None:
        """A copy of an output, or None if nothing of it can be shown."""
        kind, new_output = output.get("output_type"), nbformat.v4.new_output
        if kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return new_output(kind, name=name, text=text(output.get("text")))
        if kind == "error":
            lines = output.get("traceback")
            traceback = [text(line) for line in lines] if isinstance(lines, list) else []
            ename, evalue = text(output.get("ename")), text(output.get("evalue"))
            return new_output(kind, ename=ename, evalue=evalue, traceback=traceback)
        if kind not in ("display_data", "execute_result"):
            return None
        given = output.get("data")
        given = given if isinstance(given, Mapping) else {}
        data = {}
        for picture in _PICTURES:
            if address := self._picture(picture, given.get(picture)):
                data[picture] = address.partition(",")[2]
        if plain_text := text(given.get("text/plain")):
            data["text/plain"] = plain_text
        if not data:
            return None
        more = {"execution_count": _number(output.get("execution_count"))}
        return new_output(kind, data=data, **(more if kind == "execute_result" else {}))


def _number(value: Any) -> int | None:
    """A number of an execution, which Formgrader puts into its page as it is."""
    return value if type(value) is int else None
