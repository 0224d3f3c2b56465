"""Notebooks as they come: what editors and websites make of them, and what students do to them.

Each case of ``ODD`` was reported on a public tracker, which its comment names.
"""

import contextlib
import copy
import functools
import io
import json
import os

import harness
import nbformat
import pytest
from test_grading import released, source

from resnorm.course.grading.cells import meta
from resnorm.course.grading.fingerprints import of_folder
from resnorm.course.grading.inspection import forbidden
from resnorm.course.grading.reading import NotGradableError, read_submission
from resnorm.course.grading.submission import restore

WRITTEN = "Both values become $\\pm 1$, so dx is 0. It’s “clear”: größer."


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
    """Names of the cells that raise an error when all run in order."""
    space, failed = {"__name__": "__main__"}, []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(cell.source, space)
            except Exception as problem:
                failed.append((meta(cell).get("grade_id"), type(problem).__name__))
    return failed


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
        "worksheets": [{"cells": [*content["cells"], heading]}],
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


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_a_notebook_that_is_odd_runs_like_any_other(change, tmp_path):
    usual, _ = graded(handed_in(), tmp_path)
    notebook, messages = graded(change(handed_in()), tmp_path)
    assert messages == []
    heading = [("markdown", None, "## My heading")] if change is format_3 else []
    stripped = [(*about, content.rstrip()) for *about, content in sources(notebook)]
    assert stripped == [(*about, content.rstrip()) for *about, content in sources(usual) + heading]


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


@pytest.mark.parametrize("make", ENCODED.values(), ids=ENCODED)
def test_a_file_in_another_encoding_is_read(make, tmp_path):
    usual, _ = graded(handed_in(), tmp_path)
    notebook, messages = graded(make(), tmp_path)
    assert messages == [] and sources(notebook) == sources(usual)


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
    "too much code": (json.dumps({"cells": [code("1\n" * 1_500_000)]}).encode(), "3,000,000 char"),
}


@pytest.mark.parametrize("content, reason", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_with_a_reason(content, reason, tmp_path):
    with pytest.raises(NotGradableError, match=rf"A1-batch-norm\.ipynb.*({reason})"):
        read(content, tmp_path)


def test_what_is_not_a_file_is_not_opened(tmp_path):
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    (tmp_path / "nowhere.ipynb").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name, reason in (
        ("link", "is a link"),
        ("nowhere", "is a link"),
        ("folder", "is a folder"),
        ("pipe", "is a folder, a pipe or a device"),
    ):
        with pytest.raises(NotGradableError, match=f"{name}.ipynb {reason}"):
            read_submission(tmp_path / f"{name}.ipynb")


def test_a_fingerprint_of_a_folder_waits_for_nothing_and_sees_every_change(tmp_path):
    seen = set()
    outside = tmp_path / "outside"
    outside.write_text("1")
    folder = tmp_path / "handed-in"
    folder.mkdir()
    for change in (
        lambda: (folder / "A1.ipynb").write_text("{}"),
        lambda: (folder / "A1.ipynb").write_text("[]"),
        lambda: os.close(os.open(os.fsencode(folder) + b"/\xff\xfe", os.O_CREAT)),
        lambda: (folder / "link").symlink_to(outside),
        lambda: os.mkfifo(folder / "pipe"),
        lambda: (folder / "deeper").mkdir(),
    ):
        change()
        seen.add(of_folder(folder))
    assert len(seen) == 6
    outside.write_text("2")
    assert of_folder(folder) in seen


def test_half_a_character_does_not_stop_anything(tmp_path):
    content = handed_in()
    content["cells"].append(code("print('\ud83d')"))
    notebook, _ = graded(content, tmp_path)
    nbformat.write(notebook, tmp_path / "written.ipynb")
    assert notebook.cells[-1].source == "print('\ufffd')"


def test_pictures_of_a_written_answer_reach_the_marker(tmp_path):
    content = handed_in()
    named(content, "written")["attachments"] = {
        "page.png": {"image/png": "iVBORw0KGgo="},
        "script.svg": {"image/svg+xml": "<svg onload='alert(1)'/>"},
        "wrong": 3,
    }
    notebook, _ = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert written.attachments == {"page.png": {"image/png": "iVBORw0KGgo="}}
    nbformat.validate(notebook)


def place_of(content, name):
    return content["cells"].index(named(content, name))


def pasted(content, name, text, *, after=0):
    """Paste a copy of a cell, which keeps its metadata, with another text behind it."""
    copied = copy.deepcopy(named(content, name)) | {"source": text}
    content["cells"].insert(place_of(content, name) + 1 + after, copied)
    return content


HALVES = answers()["forward"].split("    mean, var")


def split_in_two_functions(content):
    named(content, "forward")["source"] = "def my_shape(v):\n    return v.view(1, -1, 1, 1)"
    answer = answers()["forward"].replace("mean.view(1, -1, 1, 1)", "my_shape(mean)")
    return pasted(content, "forward", answer)


def first_try_and_better_one(content):
    wrong = answers()["forward"].replace("return y,", "return 2 * y,")
    named(content, "forward")["source"] = wrong
    return pasted(content, "forward", answers()["forward"])


def later_copy_at_the_end(content):
    named(content, "forward")["source"] = "helper = 3"
    copied = copy.deepcopy(named(content, "forward")) | {"source": answers()["forward"]}
    content["cells"].append(copied)
    return content


def helper_between(content):
    named(content, "forward")["source"] = "import math"
    content["cells"].insert(place_of(content, "forward") + 1, code("unit = math.exp(0)"))
    answer = answers()["forward"].replace("return y,", "return unit * y,")
    return pasted(content, "forward", answer, after=1)


def empty_second_half(content):
    return pasted(content, "forward", "\n")


def three_times(content):
    return pasted(pasted(content, "forward", answers()["forward"]), "forward", "unused = 1")


@pytest.mark.parametrize(
    "change",
    [
        split_in_two_functions,
        first_try_and_better_one,
        later_copy_at_the_end,
        helper_between,
        empty_second_half,
        three_times,
    ],
)
def test_an_answer_in_several_cells_runs_and_the_last_one_counts(change, tmp_path):
    """Splitting and pasting keep the metadata, nbgrader 1083 and colabtools 581."""
    notebook, messages = graded(change(handed_in()), tmp_path)
    assert failing(notebook) == []
    assert messages == [
        "the cell forward is there more than once; all of them run, the last one counts"
    ]
    names = [meta(cell)["grade_id"] for cell in notebook.cells if meta(cell)]
    assert names == [meta(cell)["grade_id"] for cell in source().cells if meta(cell)]


def test_of_a_written_answer_in_several_cells_nothing_is_lost(tmp_path):
    content = handed_in()
    pasted(content, "written", "And a second half.")
    pasted(content, "written", WRITTEN, after=1)  # the same once more
    notebook, messages = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert written.source == f"{WRITTEN}\n\nAnd a second half." and messages == []


@pytest.mark.parametrize("kind", ["code", "raw"])
def test_a_written_answer_keeps_its_text_whatever_the_cell_has_become(kind, tmp_path):
    """Cells change their type by one key, nbgrader 1941."""
    content = handed_in()
    named(content, "written")["cell_type"] = kind
    notebook, messages = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert (written.cell_type, written.source) == ("markdown", WRITTEN)
    assert messages == [f"the answer written had become a {kind} cell; its text has been kept"]


def test_what_was_added_to_the_imports_is_there_for_the_answers(tmp_path):
    content = handed_in()
    named(content, "imports")["source"] += ["\nimport math as m"]
    answer = answers()["forward"].replace("return y,", "return m.exp(0) * y,")
    named(content, "forward")["source"] = answer
    pasted(content, "test_forward", "more = 1", after=0)  # a copied test that became a notepad
    named(content, "evaluation")["source"] += "\nassert more == 1"
    notebook, messages = graded(content, tmp_path)
    assert failing(notebook) == []
    assert messages == [
        "the cell imports had been changed and has been put back",
        "the cell test_forward had been changed and has been put back",
    ]


def test_an_edited_test_does_not_run(tmp_path):
    content = handed_in()
    named(content, "test_fold")["source"] = "raise SystemExit('passed')"
    notebook, messages = graded(content, tmp_path)
    assert messages == ["the cell test_fold had been changed and has been put back"]
    assert "SystemExit" not in "".join(cell.source for cell in notebook.cells[2:])


def layout(content):
    """Another formatter, nbsp and tabs from a website, comments."""
    for cell in content["cells"]:
        if meta(nbformat.from_dict(cell)).get("locked"):
            text = "".join(cell["source"]).replace("    ", "\t").replace(", ", ",\u00a0")
            text = text if "'" in text else text.replace('"', "'")
            cell["source"] = f"# look\n{text}"
    return content


def more_blanks(content):
    return each(
        content,
        lambda cell: cell.update(
            source="\n\n" + "".join(cell["source"]).replace("\n", " \t\n") + "\n\n \n"
        ),
    )


@pytest.mark.parametrize("change", [windows, more_blanks, layout])
def test_layout_is_no_edit(change, tmp_path):
    _, messages = graded(change(handed_in()), tmp_path)
    assert messages == []


def unnamed(content):
    """A copy of the notebook without nbgrader's metadata, nbgrader 424 and 1398."""
    return each(content, lambda cell: cell.update(metadata={}))


def only_code(content):
    content["cells"] = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    content["cells"].append(text(WRITTEN))
    return unnamed(content)


def marimo(content):
    """Marimo's export, pull request 7878: other ids and metadata, no trailing line ends."""
    content["metadata"] = {"marimo": {"marimo_version": "0.10.0"}, "language_info": {"name": "py"}}
    for number, cell in enumerate(content["cells"]):
        cell["metadata"] = {"marimo": {"name": "_", "config": {"hide_code": False}}}
        cell["id"] = f"c{number}"
        cell["source"] = "".join(cell["source"]).strip()
    return content


def colab_with_notes(content):
    content = in_metadata(unnamed(content), id="a", colab={})
    for place in (30, 20, 10, 5):
        content["cells"].insert(place, code(f"print('note {place}')"))
    content["cells"].insert(3, text("*My own notes.*"))
    return content


def an_edited_test(content):
    named(content, "test_fold")["source"] = named(content, "test_fold")["source"][:-1]
    return unnamed(content)


def some_unnamed(content):
    for name in ("forward", "written", "test_fold"):
        named(content, name)["metadata"] = {}
    return content


def answer_in_two_cells(content):
    split_in_two_functions(content)
    first = content["cells"].index(named(content, "forward"))
    content["cells"][first]["source"] = "batch_norm_forward = None"
    content["cells"][first + 1]["source"] = answers()["forward"]
    return unnamed(content)


def prose_rewritten(content):
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown" and "nbgrader" not in cell["metadata"]:
            cell["source"] = "".join(cell["source"]).upper()
    named(content, "written")["source"] = WRITTEN
    place = place_of(content, "written")
    del content["cells"][place - 1]  # so that the answer stands behind a test
    return unnamed(content)


@pytest.mark.parametrize(
    "change",
    [
        unnamed,
        only_code,
        marimo,
        colab_with_notes,
        an_edited_test,
        some_unnamed,
        answer_in_two_cells,
        prose_rewritten,
        lambda content: windows(unnamed(content)),
        lambda content: layout(unnamed(content)),
    ],
)
def test_cells_without_metadata_are_recognized(change, tmp_path):
    notebook, messages = graded(change(handed_in()), tmp_path)
    assert failing(notebook) == []
    assert "cells had lost nbgrader's metadata" in messages[0]
    assert not any("missing" in message for message in messages)
    filled = {meta(cell).get("grade_id"): cell.source for cell in notebook.cells if meta(cell)}
    for name, answer in answers().items():
        assert answer.strip() in filled[name].replace("\t", "    ")
    tests = [cell.source for cell in notebook.cells if "checking.close" in cell.source]
    assert len(tests) == sum(map(len, harness.tests_of(source()).values()))  # each of ours, once


def test_everything_in_one_cell_runs_before_the_tests(tmp_path):
    content = handed_in()
    whole = "\n\n".join(answers()[task] for task in harness.tests_of(source()))
    content["cells"] = [code(whole), text(WRITTEN)]
    notebook, messages = graded(content, tmp_path)
    assert failing(notebook) == []
    assert any("forward was missing" in message for message in messages)


def test_copies_of_our_tests_are_not_forbidden(tmp_path):
    content = unnamed(handed_in())
    tests = [cell for cell in content["cells"] if "F.batch_norm" in "".join(cell["source"])]
    assert tests
    content["cells"] += copy.deepcopy(tests)
    content["cells"].append(
        code("print(F.batch_norm(torch.ones(2, 1, 2, 2), None, None, None, None, True))")
    )
    notebook, _ = graded(content, tmp_path)
    notebook.metadata["resnorm"] = dict(source().metadata["resnorm"])
    assert forbidden(notebook) == []


def test_an_unanswered_copy_earns_nothing_and_stops_nothing(tmp_path):
    content = unnamed(json.loads(nbformat.writes(released())))
    notebook, messages = graded(content, tmp_path)
    assert len(messages) == 1 and "recognized" in messages[0]
    tests = {name for names in harness.tests_of(source()).values() for name in names}
    assert {name for name, _ in failing(notebook)} == tests
