"""Notebooks as they come: what editors and websites make of them, and what students do to them.

Each case of ``ODD`` was reported on a public tracker, which its name tells.
"""

import contextlib
import copy
import functools
import io
import json
from pathlib import Path

import harness
import nbformat

from resnorm.course.grading.cells import meta
from resnorm.course.grading.execution import inside_the_box
from resnorm.course.grading.reading import read_submission
from resnorm.course.grading.submission import restore

ASSIGNMENTS = Path(__file__).parents[2] / "notebooks" / "assignments"
WRITTEN = "Both values become $\\pm 1$, so dx is 0. It’s “clear”: größer."


@functools.cache
def source():
    """The instructor's notebook of A1."""
    return nbformat.read(next((ASSIGNMENTS / "source" / "A1").glob("*.ipynb")), as_version=4)


@functools.cache
def released():
    """The students' notebook of A1."""
    return nbformat.read(next((ASSIGNMENTS / "release" / "A1").glob("*.ipynb")), as_version=4)


@functools.cache
def answers():
    code = {task: harness.solution(source(), task) for task in harness.tests_of(source())}
    return code | {"written": WRITTEN}


def handed_in():
    """The released notebook with right answers, as the object that its file holds."""
    notebook = copy.deepcopy(released())
    for cell in notebook.cells:
        cell.source = answers().get(meta(cell).get("grade_id"), cell.source)
    return json.loads(nbformat.writes(notebook))


def named(content, name):
    """The cell of this name."""
    return next(
        cell
        for cell in content["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def code(text, **metadata):
    return {
        "cell_type": "code",
        "source": text,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
    }


def text(content, **metadata):
    return {"cell_type": "markdown", "source": content, "metadata": metadata}


def read(content, tmp_path):
    """What is read of a file with this content."""
    path = tmp_path / "A1-batch-norm.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_submission(path)


def graded(content, tmp_path):
    """The notebook that runs, and what is reported of the one that was handed in."""
    notebook, incidents = restore(read(content, tmp_path), source())
    return notebook, [incident.message for incident in incidents]


def sources(notebook):
    return [(cell.cell_type, meta(cell).get("grade_id"), cell.source) for cell in notebook.cells]


def failing(notebook):
    """Names of the cells that raise an error when all run in order, each test where it counts."""
    space, failed = {"__name__": "__main__"}, []
    inside, places = inside_the_box(notebook)
    for place in (place for cell, place in zip(inside.cells, places, strict=True) if runs(cell)):
        cell = notebook.cells[place]
        if cell.cell_type == "code":
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(cell.source, space)
            except Exception as problem:
                failed.append((meta(cell).get("grade_id"), type(problem).__name__))
    return failed


def runs(cell):
    """Whether a cell that runs is more than the visible part of a test that runs further down."""
    return "runs_at" not in cell.metadata.get("resnorm", {})


def each(content, change, kind=None):
    for cell in content["cells"]:
        if kind in (None, cell["cell_type"]):
            change(cell)
    return content


def without(key, kind=None):
    return lambda content: each(content, lambda cell: cell.pop(key, None), kind)


def with_field(key, value, kind=None):
    return lambda content: each(content, lambda cell: cell.update({key: value}), kind)


def in_metadata(content, **fields):
    return each(content, lambda cell: cell["metadata"].update(fields))


def lines_without_ends(content):
    return each(content, lambda cell: cell.update(source="".join(cell["source"]).split("\n")))


def one_text(content):
    return each(content, lambda cell: cell.update(source="".join(cell["source"])))


def windows(content):
    return each(
        content,
        lambda cell: cell.update(source="".join(cell["source"]).replace("\n", "\r\n") + "  \r\n"),
    )


def pictures(content):
    shown = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 25 * 2**20}}
    content["cells"][2]["outputs"] = [shown]
    return content


def format_3(content):
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"input": cell.pop("source"), "language": "python", "collapsed": False}
            cell["prompt_number"] = cell.pop("execution_count")
    heading = {"cell_type": "heading", "level": 2, "source": "My heading", "metadata": {}}
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [heading, *content["cells"]]}],
    }


def unmarked_metadata(value):
    """In cells that are nothing to nbgrader."""

    def change(content):
        for cell in content["cells"]:
            if "nbgrader" not in cell["metadata"]:
                cell["metadata"] = value
        return content

    return change


def no_metadata(content):
    content.pop("metadata")
    for cell in content["cells"]:
        if "nbgrader" not in cell["metadata"]:
            del cell["metadata"]
    return content


def other_things_among_the_cells(content):
    content["cells"][3:3] = [None, 3, "x", [], {}, {"cell_type": ["code"], "source": 7}]
    return content


ODD = {
    "ids in format 4.4, jupytext 1463": lambda content: content | {"nbformat_minor": 4},
    "ids in format 4.0, Cirq 5874": lambda content: content | {"nbformat_minor": 0},
    "no ids in format 4.5, nbformat 335": without("id"),
    "the same id everywhere, colabtools 581": with_field("id", "a"),
    "ids of a wrong type": with_field("id", {"a": 1}),
    "no execution_count, azuredatastudio 4863 and PyCharm": without("execution_count"),
    "no outputs": without("outputs"),
    "outputs that are null": with_field("outputs", None, "code"),
    "outputs without a type, fastcore 872": with_field("outputs", [{"text": 3}, None], "code"),
    "outputs of text, vscode-python 8772": with_field("outputs", [], "markdown"),
    "text that was counted, vscode-python 10855": with_field("execution_count", 1),
    "no metadata, vscode 273697 and jupyter_ydoc 165": no_metadata,
    "metadata that are a list, ipython 7869": unmarked_metadata([]),
    "metadata that are null": unmarked_metadata(None),
    "metadata that are a text": unmarked_metadata("nbgrader"),
    "nbgrader's metadata that are a list": unmarked_metadata({"nbgrader": ["grade_id"]}),
    "nbgrader's name that is a list": unmarked_metadata({"nbgrader": {"grade_id": ["fold"]}}),
    "a kernel without fields, jupytext 792": lambda content: (
        content | {"metadata": {"kernelspec": {"env": None, "metadata": None}, "language_info": 3}}
    ),
    "widgets without state, colabtools 5288": lambda content: (
        content
        | {"metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": {"a": {}}}}}
    ),
    "Colab": lambda content: in_metadata(
        content, id="xY1", colab={"base_uri": "https://localhost"}, outputId="3", cellView="form"
    ),
    "PyCharm and DataSpell": lambda content: in_metadata(
        content, pycharm={"name": "#%%\n", "is_executing": True}
    ),
    "Kaggle": lambda content: in_metadata(
        content, trusted=True, _uuid="8f2839", _cell_guid="b1076dfc", execution={"a": "2020"}
    ),
    "Databricks": lambda content: in_metadata(
        content, **{"application/vnd.databricks.v1+cell": {"title": "", "nuid": "1"}}
    ),
    "one text per cell": one_text,
    "lines without their ends": lines_without_ends,
    "Windows' ends of lines and trailing blanks": windows,
    "25 MB of pictures": pictures,
    "things that are not cells": other_things_among_the_cells,
    "format 3": format_3,
    "no number of the format": lambda content: (
        content.pop("nbformat") and content.pop("nbformat_minor") and content
    ),
    "the number of the format is a text": lambda content: content | {"nbformat": "4"},
}


def as_text(**options):
    return json.dumps(handed_in(), ensure_ascii=False, **options)


ENCODED = {
    "a byte order mark, markitdown 2425": lambda: as_text().encode("utf-8-sig"),
    "UTF-16, nbdime 506": lambda: as_text().encode("utf-16"),
    "UTF-16 without a mark": lambda: as_text().encode("utf-16-be"),
    "UTF-32": lambda: as_text().encode("utf-32"),
    "Windows' code page, notebook 3510": lambda: as_text().encode("cp1252"),
    "carriage returns": lambda: as_text(indent=1).replace("\n", "\r\n").encode(),
    "blank lines around": lambda: f"\n\n{as_text()}\n\n\n".encode(),
    "ends of lines inside of texts": lambda: as_text().replace("\\n", "\n").encode(),
    "numbers of any size": lambda: as_text().replace("null", "1" + "0" * 5000).encode(),
    "numbers that are none": lambda: as_text().replace("null", "NaN").encode(),
    "a key twice": lambda: ('{"cells": [], "metadata": [], ' + as_text()[1:]).encode(),
}


REFUSED = {
    "nothing": (b"", "is empty"),
    "only zeros, as after a full disk": (b"\0" * 4096, "is empty"),
    "only a mark": (b"\xff\xfe", "JSON|Expecting|ends in the middle"),
    "a PDF": (b"%PDF-1.4 this is no notebook", "a PDF"),
    "a zip": (b"PK\x03\x04\x14\x00", "a zip archive"),
    "a page that shows it": (b"\n<!DOCTYPE html><html>", "a web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
    "a script": (b"import torch\n\nx = 1\n", "line 1, column 1"),
    "half of it": (json.dumps({"nbformat": 4, "cells": [code("x" * 100)]}).encode()[:60], "ends"),
    "a merge": (
        b'{\n "cells": [\n<<<<<<< HEAD\n {}\n=======\n []\n>>>>>>> theirs\n ]\n}',
        "conflict marks of a Git merge",
    ),
    "a comma too many": (b'{"cells": [{"cell_type": "code"},], "nbformat": 4}', "line 1, column"),
    "not an object": (b'["cells"]', "no cells"),
    "no cells": (b'{"nbformat": 4, "cells": null, "metadata": {}}', "no list of cells"),
    "a format of the future": (b'{"nbformat": 9, "cells": []}', "format 9"),
    "depth": (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    "too many entries": (b'{"cells": [' + b"[]," * 3_000_000 + b"[]]}", "more than 5,000,000"),
    "too many cells": (json.dumps({"cells": [code("1")] * 2001}).encode(), "2,001 cells"),
    "too much code": (json.dumps({"cells": [code("1\n" * 150_000)]}).encode(), "300,000 char"),
}


def place_of(content, name):
    return content["cells"].index(named(content, name))


def pasted(content, name, text, *, after=0):
    """Paste a copy of a cell, which keeps its metadata, with another text behind it."""
    copied = copy.deepcopy(named(content, name)) | {"source": text}
    content["cells"].insert(place_of(content, name) + 1 + after, copied)
    return content
