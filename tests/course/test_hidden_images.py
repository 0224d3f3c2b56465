"""The images that count: chosen once, evenly, and whole on disk."""

import os

import nbformat
import numpy as np
import pytest

from resnorm.course.folder import Course, CourseError, make
from resnorm.course.hidden_images import hidden_images, hide

LABELS = np.repeat(np.arange(10), 7)
#: Image i is the number i everywhere.
IMAGES = np.arange(70, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)
TEST, FAMILIAR = (IMAGES, LABELS), (100 + IMAGES, LABELS)


@pytest.fixture
def course(tmp_path):
    weights = {"file": "network.safetensors", "levels": [[70, 3]]}
    for name, about in (("A1", {}), ("A6", {"weights": weights})):
        folder = tmp_path / "sources" / name
        folder.mkdir(parents=True)
        cell = nbformat.v4.new_code_cell("pass", metadata={"resnorm": about})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / f"{name}.ipynb")
    make(tmp_path / "course", tmp_path / "sources")
    return Course(tmp_path / "course")


def test_the_hidden_part_has_as_many_of_each_class_and_depends_on_the_seed(course):
    with pytest.raises(CourseError, match="A6 .* has no hidden images yet: run resnorm-course hid"):
        hidden_images(course, "A6")
    path = hide(course, "A6", TEST, FAMILIAR, 30, seed=1)
    assert hidden_images(course, "A6") == path
    first = dict(np.load(path, allow_pickle=False))
    for part, offset in (("hidden", 0), ("familiar", 100)):
        images, labels = first[f"{part}_images"], first[f"{part}_labels"]
        assert images.shape == (30, 3, 2, 2) and images.dtype == np.uint8
        assert np.bincount(labels).tolist() == [3] * 10
        assert np.array_equal(LABELS[images[:, 0, 0, 0] - offset], labels)
    for seed, is_same in ((1, True), (2, False)):
        path.unlink()
        hide(course, "A6", TEST, FAMILIAR, 30, seed)
        again = np.load(path, allow_pickle=False)["hidden_images"]
        assert np.array_equal(again, first["hidden_images"]) == is_same
    with pytest.raises(CourseError, match="A6 has hidden images already"):
        hide(course, "A6", TEST, FAMILIAR, 30, seed=3)
    assert hidden_images(course, "A1") is None


@pytest.mark.parametrize("count", [0, 5, 35, 80])
def test_a_number_that_cannot_be_hidden_is_said_and_nothing_is_written(course, count):
    with pytest.raises(CourseError, match=f"{count} images .*a multiple of 10.*, up to 70"):
        hide(course, "A6", TEST, FAMILIAR, count, seed=1)
    assert not (course.root / "hidden").exists()


def test_an_assignment_without_weights_has_nothing_to_hide(course):
    with pytest.raises(CourseError, match="A1 is not graded by weights"):
        hide(course, "A1", TEST, FAMILIAR, 30, seed=1)


def test_a_kill_leaves_no_half_of_it(course, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        hide(course, "A6", TEST, FAMILIAR, 30, seed=1)
    hide(course, "A6", TEST, FAMILIAR, 30, seed=1)
    assert hidden_images(course, "A6") is not None
