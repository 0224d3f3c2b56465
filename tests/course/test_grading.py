"""Points, restored notebooks, and what is reported."""

import copy
import functools
import json
from pathlib import Path

import harness
import nbformat
import pytest

from resnorm.course.grading.cells import meta
from resnorm.course.grading.inspection import PROBE, forbidden, patched
from resnorm.course.grading.reading import NotGradableError, read_submission
from resnorm.course.grading.submission import restore
from resnorm.course.grading.verdicts import not_run, verdict

SOURCE = next(
    (Path(__file__).parents[2] / "notebooks" / "assignments" / "source" / "A1").glob("*.ipynb")
)


@functools.cache
def source():
    return nbformat.read(SOURCE, as_version=4)


@functools.cache
def released():
    return nbformat.read(next((SOURCE.parents[2] / "release" / "A1").glob("*.ipynb")), as_version=4)


def graded(points=2.0, **metadata):
    about = {
        "nbgrader": {"grade_id": "test", "points": points, "grade": True, "solution": False},
        **metadata,
    }
    return nbformat.v4.new_code_cell("pass", metadata=about)


def test_points_are_the_share_of_comparisons_that_agree():
    assert verdict(graded(), 4, 4, []).points == 2
    found = verdict(graded(), 3, 4, ["value 3 differs"])
    assert (found.points, found.agree, found.total) == (1.5, 3, 4)
    assert found.message == "value 3 differs"
    assert verdict(graded(), 4, 4, ["boom"]).points == 1.5  # an error, and all agree
    half_points_downwards = verdict(graded(points=1.0), 3, 4, ["one"])
    assert half_points_downwards.points == 0.5
    silent = not_run(graded(), 4)
    assert silent.points == 0 and "4 of 4 comparisons did not run" in silent.message


def test_a_restored_notebook_is_the_source_with_the_answers():
    answers = {task: harness.solution(source(), task) for task in harness.tests_of(source())}
    submitted = copy.deepcopy(released())
    for c in submitted.cells:
        if meta(c).get("grade_id") in answers:
            c.source = answers[meta(c)["grade_id"]]
    whole, incidents = restore(submitted, source())
    assert incidents == []
    ids = [meta(c)["grade_id"] for c in source().cells if meta(c)]
    assert [meta(c)["grade_id"] for c in whole.cells if meta(c)] == ids
    hidden = next(c for c in whole.cells if meta(c).get("grade_id") == "test_forward_small_values")
    assert "BEGIN HIDDEN TESTS" in hidden.source

    tampered = copy.deepcopy(submitted)
    cells = {meta(c).get("grade_id"): c for c in tampered.cells}
    cells["test_fold"].source = "print('passed')"
    cells["test_fold"].metadata.nbgrader.points = 300
    tampered.cells.remove(cells["backward"])
    tampered.cells.append(copy.deepcopy(cells["forward"]))
    cells["merge"].cell_type = "markdown"
    helper = nbformat.v4.new_code_cell(
        "def helper(): pass",
        metadata={
            "nbgrader": {"grade_id": "made-up", "grade": True, "points": 50, "solution": False}
        },
    )
    tampered.cells.insert(tampered.cells.index(cells["forward"]) + 1, helper)
    whole, incidents = restore(tampered, source())
    text = "\n".join(incident.message for incident in incidents)
    for wanted in (
        "test_fold had been changed",
        "backward was missing",
        "forward is there more than once",
        "merge had become a markdown cell",
    ):
        assert wanted in text
    assert sum(float(meta(c).get("points", 0)) for c in whole.cells) == 30
    sources = [c.source for c in whole.cells]
    assert sources.index("def helper(): pass") == sources.index(answers["forward"]) + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"nbformat": 9, "nbformat_minor": 0, "cells": [], "metadata": {}}',
        b'{"nbformat": 4, "cells": "x"}',
        b"[" * 5000,
    ],
)
def test_what_is_no_notebook_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotGradableError, match="a.ipynb"):
        read_submission(path)


def test_an_old_notebook_is_read(tmp_path):
    path = tmp_path / "old.ipynb"
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "input": "x = 1",
                        "outputs": [],
                        "language": "python",
                        "collapsed": False,
                    }
                ]
            }
        ],
    }
    path.write_text(json.dumps(old))
    assert read_submission(path).cells[0].source == "x = 1"


def test_what_the_assignment_forbids_is_reported():
    notebook = copy.deepcopy(source())
    forward = next(c for c in notebook.cells if meta(c).get("grade_id") == "forward")
    forward.source = (
        "def batch_norm_forward(x, g, b, eps=1e-5):\n"
        "    return F.batch_norm(x, None, None, g, b, True), ()"
    )
    assert [incident.message for incident in forbidden(notebook)] == [
        "uses batch_norm, which the assignment asks to write by hand"
    ]
    assert forbidden(source()) == []


def replaced(*cells):
    """What the probe in the last of these cells finds."""
    published, space = [], {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.publish_display_data", published.append)
        for cell in cells:
            exec(cell, space)
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in published]
    return [found.message for found in patched(nbformat.v4.new_code_cell("", outputs=outputs))]


def test_what_was_replaced_in_the_libraries_is_named():
    start = "import torch\nfrom resnorm import checking\ndef mine(): pass"
    patch = (
        "before = torch.isfinite, torch.Tensor.abs, checking.close\n"
        "torch.isfinite = torch.Tensor.abs = checking.close = lambda *a: True"
    )
    undo = "torch.isfinite, torch.Tensor.abs, checking.close = before"
    assert replaced(start, PROBE) == []
    assert replaced(start, patch, undo, PROBE) == []
    assert replaced(start, patch, PROBE + undo) == [
        f"{name} was replaced by the submission's own"
        for name in ("torch.isfinite", "resnorm.checking.close", "torch.Tensor.abs")
    ]
