"""Cells that have lost nbgrader's metadata are recognized by their content and their place."""

import copy
import json

import harness
import nbformat
import pytest
from odd_notebooks import (
    WRITTEN,
    answers,
    code,
    each,
    failing,
    graded,
    handed_in,
    in_metadata,
    named,
    place_of,
    released,
    source,
    text,
    windows,
)
from test_submission import layout, split_in_two_functions

from resnorm.course.grading.cells import meta
from resnorm.course.grading.inspection import forbidden


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
