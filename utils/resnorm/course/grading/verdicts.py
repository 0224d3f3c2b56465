"""Points for one graded cell, from what its test found.

A graded cell is worth its points times the share of its comparisons that agree with the solution's,
in half points. A cell of predictions gets points by their accuracy on the hidden labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .cells import meta, ours

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: What is said where the notebook found no file with predictions.
NO_PREDICTIONS = "there were no predictions beside the notebook"


@dataclass(frozen=True)
class Verdict:
    """The result of one graded cell.

    A bonus counts on top of the other points. For nbgrader such a cell has 0 points; how many it
    really has is in its ``resnorm`` metadata, under ``bonus``.

    Attributes:
        name: nbgrader's name of the cell.
        points: points earned.
        possible: points that can be earned.
        agree: number of comparisons that agree with the solution's.
        total: number of comparisons.
        message: what to say to the student.
        bonus: whether the points are a bonus.
    """

    name: str
    points: float
    possible: float
    agree: int
    total: int
    message: str
    bonus: bool = False


def verdict(cell: NotebookNode, agree: int, total: int, problems: Sequence[str]) -> Verdict:
    """Mark one graded cell by the share of its comparisons that agree.

    Args:
        cell: the instructor's cell.
        agree: number of comparisons that agree with the solution's.
        total: number of comparisons.
        problems: what is wrong with the others. Where there is a problem, full marks are not
            possible.
    """
    name, possible, bonus = _worth(cell)
    points = possible
    if agree < total or problems:
        points = math.floor(2 * possible * min(agree / total, 0.999)) / 2
    return Verdict(name, points, possible, agree, total, "\n".join(problems), bonus)


def not_run(cell: NotebookNode, total: int) -> Verdict:
    """Mark a graded cell that the run did not reach.

    Args:
        cell: the instructor's cell.
        total: number of its comparisons.
    """
    return verdict(cell, 0, total, [f"{total} of {total} comparisons did not run"])


def levels(cell: NotebookNode) -> list[tuple[float, float]]:
    """List pairs (percent correct, points), rising, of a cell that is marked by predictions.

    Args:
        cell: the instructor's cell.
    """
    return ours(cell).get("levels", [])


def by_accuracy(cell: NotebookNode, predictions: object, labels: np.ndarray) -> Verdict:
    """Mark predictions by their accuracy on the hidden labels.

    Args:
        cell: the instructor's cell.
        predictions: what the submission has as predictions, of any type.
        labels: one class per image; -1 for images that are not in the hidden part.
    """
    name, possible, bonus = _worth(cell)
    hidden = labels >= 0
    try:
        given = np.asarray(predictions)
    except (TypeError, ValueError, RuntimeError):  # such as a tensor of bfloat16
        given = np.empty(0)
    total = int(hidden.sum())
    if given.shape != labels.shape or not np.issubdtype(given.dtype, np.integer):
        message = f"no predictions of {len(labels):,} images as integers were given"
        return Verdict(name, 0.0, possible, 0, total, message, bonus)
    if (given == -1).all():
        return Verdict(name, 0.0, possible, 0, total, NO_PREDICTIONS, bonus)
    correct = int((given[hidden] == labels[hidden]).sum())
    percent = 100 * correct / total
    reached = [points for minimum, points in levels(cell) if percent >= minimum]
    points = max(reached, default=0.0)
    message = ""
    following = min((minimum for minimum, more in levels(cell) if more > points), default=None)
    if following is not None:
        message = f"{percent:.1f} % are correct; the next points are at {following:g} %"
    return Verdict(name, points, possible, correct, total, message, bonus)


def _worth(cell: NotebookNode) -> tuple[str, float, bool]:
    """Name and points of a graded cell, and whether they are a bonus."""
    bonus = float(ours(cell).get("bonus", 0))
    return meta(cell)["grade_id"], bonus or float(meta(cell)["points"]), bool(bonus)
