"""Verdicts, restored notebooks, and records that cannot be forged."""

import copy
import functools
import json
from pathlib import Path

import harness
import nbformat
import numpy as np
import pytest
import torch

from resnorm import checking
from resnorm.course.grading.cells import meta
from resnorm.course.grading.inspection import PROBE, forbidden, patched
from resnorm.course.grading.leaks import withhold
from resnorm.course.grading.submission import NotGradableError, read_submission, restore
from resnorm.course.grading.verdicts import verdict

SOURCE = next(
    (Path(__file__).parents[2] / "notebooks" / "assignments" / "source" / "A1").glob("*.ipynb")
)


@functools.cache
def source():
    return nbformat.read(SOURCE, as_version=4)


@functools.cache
def released():
    return nbformat.read(next((SOURCE.parents[2] / "release" / "A1").glob("*.ipynb")), as_version=4)


def payload(value, name="x", rtol=1e-6, atol=1e-9):
    published = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNORM_GRADED", "1")
        patch.setattr("IPython.display.publish_display_data", published.append)
        checking.emit(name, value, rtol=rtol, atol=atol)
    return json.loads(json.dumps(published[0][checking.MIME]))


def cell(*payloads, points=2.0, error=None, **metadata):
    outputs = [nbformat.v4.new_output("display_data", data={checking.MIME: p}) for p in payloads]
    if error:
        outputs.append(
            nbformat.v4.new_output("error", ename="ValueError", evalue=error, traceback=[])
        )
    about = {
        "nbgrader": {"grade_id": "test", "points": points, "grade": True, "solution": False},
        **metadata,
    }
    return nbformat.v4.new_code_cell("pass", outputs=outputs, metadata=about)


@pytest.mark.parametrize(
    "value",
    [
        torch.randn(2, 3),
        torch.arange(5),
        np.float64(0.1) * np.ones((2, 1)),
        3,
        0.1,
        True,
        torch.tensor(float("nan")),
        torch.zeros(0),
    ],
)
def test_a_value_travels_unchanged(value):
    found = checking.decode(payload(value))
    wanted = (
        torch.as_tensor(value)
        if not isinstance(value, (int, float))
        else torch.tensor(float(value), dtype=torch.float64)
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "made_up",
    [
        {},
        {"dtype": "torch.load", "shape": [1], "values": "AAAA"},
        {"dtype": "torch.float64", "shape": [9**9], "values": ""},
        {"dtype": 3, "shape": None, "values": None},
    ],
)
def test_what_is_not_an_emitted_value_is_refused(made_up):
    with pytest.raises(ValueError, match="not an emitted value"):
        checking.decode(made_up)


def test_points_are_the_share_of_comparisons_that_agree():
    expected = [payload(float(i), f"value {i}") for i in range(4)]
    assert verdict(cell(*expected), expected).points == 2
    three = [*expected[:3], payload(9.0, "value 3")]
    found = verdict(cell(*three), expected)
    assert (found.points, found.agree, found.total) == (
        1.5,
        3,
        4,
    ) and "value 3 differs" in found.message
    stopped = verdict(cell(*expected[:2], error="boom"), expected)
    assert stopped.points == 1 and "ValueError: boom" in stopped.message
    silent = verdict(cell(), expected)
    assert silent.points == 0 and "4 of 4 comparisons did not run" in silent.message
    assert (
        verdict(cell(*expected, payload(1.0, "extra")), expected).points < 2
    )  # never more than the test tells
    swapped = verdict(cell(*expected[::-1]), expected)
    assert swapped.points == 0 and "has been changed" in swapped.message
    half_points_downwards = verdict(cell(*expected[:3], points=1.0), expected)
    assert half_points_downwards.points == 0.5
    made_up = {"name": "value 0", "values": "nonsense"}
    assert verdict(cell(made_up, *expected[1:]), expected).points == 1.5


def test_predictions_are_marked_by_levels():
    labels = np.array([0, 1, 2, 3, -1, -1])
    levels = [[50.0, 1.0], [75.0, 1.5], [100.0, 2.0]]

    def points(values):
        return verdict(
            cell(payload(torch.tensor(values), "predictions"), resnorm={"levels": levels}),
            [],
            labels,
        )

    assert [
        points([0, 1, 2, 3, 9, 9]).points,
        points([0, 1, 2, 9, 0, 0]).points,
        points([0, 9, 9, 9, 0, 0]).points,
    ] == [2.0, 1.5, 0.0]
    message = points([0, 1, 2, 9, 0, 0]).message
    assert message == "75.0 % are correct; the next points are at 100 %"
    assert points([0, 1]).points == 0 and "no predictions of 6 images" in points([0, 1]).message
    assert points([0.0, 1.0, 2.0, 3.0, 0.0, 0.0]).points == 0


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


def test_hidden_tests_that_a_submission_prints_are_withheld():
    line = "assert double(21) == 42, 'a secret'"
    about = {"nbgrader": {"grade_id": "test", "points": 1.0, "grade": True, "solution": False}}
    error = nbformat.v4.new_output(
        "error", ename="ValueError", evalue=f"look: {line}", traceback=[line]
    )
    test = nbformat.v4.new_code_cell(
        f"### BEGIN HIDDEN TESTS\n{line}\n### END HIDDEN TESTS\ndouble(1)",
        outputs=[error],
        metadata=about,
    )
    printed = nbformat.v4.new_code_cell(
        "", outputs=[nbformat.v4.new_output("stream", text=f"x\n  {line}\n")]
    )
    shown = nbformat.v4.new_code_cell(
        "", outputs=[nbformat.v4.new_output("display_data", data={"text/html": f"<p>{line}</p>"})]
    )
    harmless = nbformat.v4.new_code_cell(
        "", outputs=[nbformat.v4.new_output("stream", text="double(1)\n")]
    )
    notebook = nbformat.v4.new_notebook(cells=[test, printed, shown, harmless])
    found = withhold(notebook)
    assert [(incident.cell, incident.kind) for incident in found] == [
        (0, "leak"),
        (1, "leak"),
        (2, "leak"),
    ]
    assert (
        test.outputs[0].evalue == "(removed by the grader)"
        and test.outputs[0].ename == "ValueError"
    )
    assert "secret" not in json.dumps([cell.outputs for cell in (printed, shown)])
    assert harmless.outputs[0].text == "double(1)\n"


def replaced(*cells):
    """What the probe in the last of these cells finds."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return [incident.message for incident in patched(harness.run(notebook).cells[-1])]


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


class Same(float):
    """Equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize(
    "value", [Same(1.0), None, "1.0", [1.0], object(), torch.nn.Linear(1, 1), np.array(["a"])]
)
def test_only_plain_values_are_recorded(value):
    with pytest.raises(AssertionError, match="must be a tensor, an array or a number"):
        checking.emit("x", value)
