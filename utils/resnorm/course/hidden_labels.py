"""The part of the test images that a project's predictions are graded on."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np

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
    source = nbformat.read(course.assignment(assignment).notebook, as_version=4)
    if not any(map(levels, source.cells)):
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
        count: number of images in the hidden part.
        seed: of the random choice.

    Returns:
        The file with the hidden labels, in which all other labels are -1.

    Raises:
        CourseError: there is a hidden part already (another one would change marks), or there are
            too few images.
    """
    path = _path(course, course.assignment(assignment).name)
    if path.exists():
        raise CourseError(
            f"{assignment} has a hidden part already ({path.relative_to(course.root)}); "
            "another one would change marks: delete it yourself if you mean it"
        )
    classes, generator = np.unique(labels), np.random.default_rng(seed)
    each = count // len(classes)
    if each == 0 or min(int((labels == c).sum()) for c in classes) < each:
        raise CourseError(
            f"{count} images cannot be hidden: {each} of each of {len(classes)} classes are wanted"
        )
    hidden = np.full(len(labels), -1, dtype=np.int64)
    for c in classes:
        chosen = generator.choice(np.flatnonzero(labels == c), each, replace=False)
        hidden[chosen] = c
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, hidden)
    return path


def _path(course: Course, assignment: str) -> Path:
    return course.root / "hidden" / assignment / "labels.npy"
