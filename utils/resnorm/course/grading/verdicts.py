"""Points for one graded cell, from what its test found.

A graded cell is worth its points times the share of its comparisons that agree with the solution's,
in half points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cells import meta, ours

if TYPE_CHECKING:
    from nbformat import NotebookNode


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
    name, possible, bonus = worth(cell)
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


def worth(cell: NotebookNode) -> tuple[str, float, bool]:
    """Get the name and the points of a graded cell, and whether they are a bonus.

    Args:
        cell: the instructor's cell.
    """
    bonus = float(ours(cell).get("bonus", 0))
    return meta(cell)["grade_id"], bonus or float(meta(cell)["points"]), bool(bonus)
