"""What networks of your own would earn, to calibrate the levels of an assignment by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat

from .folder import Course, CourseError
from .grading.weights import by_weights, look_at, rules
from .hidden_images import hidden_images


def weighed(course: Course, assignment: str, files: Iterable[Path]) -> Iterator[str]:
    """Say for each file what its network would earn. Nothing is entered into the gradebook.

    The networks run in this process, without the limits of a submission.

    Args:
        course: the course's folder.
        assignment: name of an assignment that is graded by weights.
        files: as ``plans.save`` writes them.

    Yields:
        A line for each file.

    Raises:
        CourseError: the assignment is not graded by weights, has no hidden images yet, or a file
            is not there.
    """
    hidden = hidden_images(course, assignment)
    if hidden is None:
        raise CourseError(f"{assignment} is not graded by weights. Give the assignment that is")
    source = nbformat.read(course.assignment(assignment).notebook, as_version=4)
    cells = [cell for cell in source.cells if rules(cell)]
    for file in files:
        if not file.is_file():
            raise CourseError(f"there is no file {file}. Give files that plans.save has written")
        found = look_at(file, hidden, rules(cells[0]))
        verdicts = [by_weights(cell, found) for cell in cells]
        points = sum(verdict.points for verdict in verdicts)
        possible = sum(verdict.possible for verdict in verdicts if not verdict.bonus)
        epochs = f"trained for {found.epochs} epochs; " if found.epochs else ""
        yield f"{file}: {points:g} of {possible:g} points; {epochs}{verdicts[0].message}"
