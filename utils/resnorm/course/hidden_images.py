"""The images that a project's network is graded on, which students do not know."""

from __future__ import annotations

import io
from pathlib import Path

import nbformat
import numpy as np

from .atomic import write_whole
from .folder import Course, CourseError
from .grading.weights import weights_file


def hidden_images(course: Course, assignment: str) -> Path | None:
    """Find the file with the hidden images.

    Args:
        course: the course's folder.
        assignment: name of the assignment.

    Returns:
        The file; None for an assignment that is not graded by weights.

    Raises:
        CourseError: the assignment needs hidden images, and they were not chosen yet.
    """
    if not _is_weighed(course, assignment):
        return None
    path = _path(course, assignment)
    if not path.exists():
        raise CourseError(
            f"{assignment} is graded by weights, and has no hidden images yet: "
            f"run resnorm-course hide {assignment} --data DIR"
        )
    return path


def hide(
    course: Course,
    assignment: str,
    test: tuple[np.ndarray, np.ndarray],
    familiar: tuple[np.ndarray, np.ndarray],
    count: int,
    seed: int,
) -> Path:
    """Choose the hidden images, and as many familiar ones, with the same number of each class.

    A network that was trained honestly does better on images that it was trained on. Without them
    nobody could see that a network has met the hidden ones, too.

    Args:
        course: the course's folder.
        assignment: name of the assignment.
        test: images, of shape ``(N, C, H, W)``, uint8, and classes, of shape ``(N,)``.
        familiar: the same of images that everybody trains on.
        count: number of hidden images, a multiple of the number of classes.
        seed: of the random choice, a non-negative number.

    Returns:
        The file with images and classes.

    Raises:
        CourseError: the assignment is not graded by weights, there are hidden images already
            (others would change marks), or there are not as many images of each class.
    """
    if not _is_weighed(course, assignment):
        raise CourseError(
            f"{assignment} is not graded by weights: no cell of its source says so. "
            "Give the assignment that is"
        )
    path = _path(course, course.assignment(assignment).name)
    if path.exists():
        raise CourseError(
            f"{assignment} has hidden images already ({path.relative_to(course.root)}); "
            "others would change marks: delete it yourself if you mean it"
        )
    generator, content = np.random.default_rng(seed), io.BytesIO()
    of_test, of_familiar = (_chosen(part[1], count, generator) for part in (test, familiar))
    np.savez(
        content,
        hidden_images=test[0][of_test],
        hidden_labels=test[1][of_test],
        familiar_images=familiar[0][of_familiar],
        familiar_labels=familiar[1][of_familiar],
    )
    write_whole(path, content.getvalue())
    return path


def _chosen(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of images, as many of each class."""
    classes = np.unique(labels)
    each, rest = divmod(count, len(classes))
    largest = min(int((labels == c).sum()) for c in classes)
    if rest or not 0 < each <= largest:
        raise CourseError(
            f"{count} images cannot be hidden: give a multiple of {len(classes)}, the number of "
            f"classes, up to {largest * len(classes)}"
        )
    of_class = [np.flatnonzero(labels == c) for c in classes]
    return np.sort(np.concatenate([generator.choice(i, each, replace=False) for i in of_class]))


def _is_weighed(course: Course, assignment: str) -> bool:
    """Whether an assignment has a cell that is graded by weights."""
    source = nbformat.read(course.assignment(assignment).notebook, as_version=4)
    return weights_file(source) is not None


def _path(course: Course, assignment: str) -> Path:
    return course.root / "hidden" / assignment / "images.npz"
