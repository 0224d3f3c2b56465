"""The part of the test images that a project's predictions are graded on."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import numpy as np

from .atomic import write_whole
from .folder import Course, CourseError
from .grading.verdicts import levels


def hidden_labels(course: Course, assignment: str) -> np.ndarray | None:
    """Read the hidden labels.

    Args:
        course: the course's folder.
        assignment: name of the assignment.

    Returns:
        One class per image, -1 for images that are not in the hidden part; None for an assignment
        that is not graded by predictions.

    Raises:
        CourseError: the assignment needs hidden labels, and they were not chosen yet.
    """
    if not _is_predicted(course, assignment):
        return None
    path = _path(course, assignment)
    if not path.exists():
        raise CourseError(
            f"{assignment} is graded by predictions, and has no hidden part yet: "
            f"run resnorm-course hide {assignment} --data DIR"
        )
    return np.load(path, allow_pickle=False)


def hide(course: Course, assignment: str, labels: np.ndarray, count: int, seed: int) -> Path:
    """Choose the hidden part, with the same number of images of each class.

    Args:
        course: the course's folder.
        assignment: name of the assignment.
        labels: classes of all test images, of shape ``(N,)``.
        count: number of images in the hidden part, a multiple of the number of classes.
        seed: of the random choice, a non-negative number.

    Returns:
        The file with the hidden labels, in which all other labels are -1.

    Raises:
        CourseError: the assignment is not graded by predictions, there is a hidden part already
            (another one would change marks), or there are not as many images of each class.
    """
    if not _is_predicted(course, assignment):
        raise CourseError(
            f"{assignment} is not graded by predictions: no cell of its source has levels. "
            "Give the assignment that is"
        )
    path = _path(course, course.assignment(assignment).name)
    if path.exists():
        raise CourseError(
            f"{assignment} has a hidden part already ({path.relative_to(course.root)}); "
            "another one would change marks: delete it yourself if you mean it"
        )
    classes, generator = np.unique(labels), np.random.default_rng(seed)
    each, rest = divmod(count, len(classes))
    largest = min(int((labels == c).sum()) for c in classes)
    if rest or not 0 < each <= largest:
        raise CourseError(
            f"{count} images cannot be hidden: give a multiple of {len(classes)}, the number of "
            f"classes, up to {largest * len(classes)}"
        )
    hidden = np.full(len(labels), -1, dtype=np.int64)
    for c in classes:
        chosen = generator.choice(np.flatnonzero(labels == c), each, replace=False)
        hidden[chosen] = c
    content = io.BytesIO()
    np.save(content, hidden)
    write_whole(path, content.getvalue())
    return path


def _is_predicted(course: Course, assignment: str) -> bool:
    """Whether an assignment has a cell that is graded by predictions."""
    source = nbformat.read(course.assignment(assignment).notebook, as_version=4)
    return any(map(levels, source.cells))


def _path(course: Course, assignment: str) -> Path:
    return course.root / "hidden" / assignment / "labels.npy"
