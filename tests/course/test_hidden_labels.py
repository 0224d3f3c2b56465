"""The part of the test images that counts: chosen once, evenly, and whole on disk."""

import os

import nbformat
import numpy as np
import pytest

from resnorm.course.folder import Course, CourseError, make
from resnorm.course.hidden_labels import hidden_labels, hide

LABELS = np.repeat(np.arange(10), 7)


@pytest.fixture
def course(tmp_path):
    for name, about in (("A1", {}), ("A6", {"levels": [[70, 3]]})):
        folder = tmp_path / "sources" / name
        folder.mkdir(parents=True)
        cell = nbformat.v4.new_code_cell("pass", metadata={"resnorm": about})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / f"{name}.ipynb")
    make(tmp_path / "course", tmp_path / "sources")
    return Course(tmp_path / "course")


def test_the_hidden_part_has_as_many_of_each_class_and_depends_on_the_seed(course):
    with pytest.raises(CourseError, match="A6 .* has no hidden part yet: run resnorm-course hide"):
        hidden_labels(course, "A6")
    path = hide(course, "A6", LABELS, 30, seed=1)
    found = hidden_labels(course, "A6")
    assert found.shape == LABELS.shape and found.dtype.kind == "i"
    assert np.bincount(found[found >= 0]).tolist() == [3] * 10
    assert (found[found >= 0] == LABELS[found >= 0]).all()
    for seed, is_same in ((1, True), (2, False)):
        path.unlink()
        hide(course, "A6", LABELS, 30, seed)
        assert np.array_equal(hidden_labels(course, "A6"), found) == is_same
    with pytest.raises(CourseError, match="A6 has a hidden part already"):
        hide(course, "A6", LABELS, 30, seed=3)
    assert hidden_labels(course, "A1") is None


@pytest.mark.parametrize("count", [0, 5, 35, 80])
def test_a_number_that_cannot_be_hidden_is_said_and_nothing_is_written(course, count):
    with pytest.raises(CourseError, match=f"{count} images .*a multiple of 10.*, up to 70"):
        hide(course, "A6", LABELS, count, seed=1)
    assert not (course.root / "hidden").exists()


def test_an_assignment_without_predictions_has_nothing_to_hide(course):
    with pytest.raises(CourseError, match="A1 is not graded by predictions"):
        hide(course, "A1", LABELS, 30, seed=1)


def test_a_kill_leaves_no_half_of_it(course, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        hide(course, "A6", LABELS, 30, seed=1)
    hide(course, "A6", LABELS, 30, seed=1)
    assert hidden_labels(course, "A6") is not None
