"""Points for one graded cell, from the values that it emitted.

A graded cell is worth its points times the share of its comparisons that agree with the solution's,
in half points. A cell of predictions gets points by their accuracy on the hidden labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nbformat import NotebookNode

import resnorm  # whose checking is imported when it is used, because torch takes seconds

from .cells import meta

#: A value as ``resnorm.checking.emit`` hands it over.
Value = Mapping[str, Any]


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


def emitted(cell: NotebookNode) -> list[Value]:
    """List the values that a cell emitted, in order.

    Args:
        cell: after it ran.
    """
    mime = resnorm.checking.MIME
    return [output["data"][mime] for output in cell.outputs if mime in output.get("data", {})]


def verdict(
    cell: NotebookNode, reference: Sequence[Value], labels: np.ndarray | None = None
) -> Verdict:
    """Mark one graded cell.

    Args:
        cell: after it ran.
        reference: values that the solution emitted in this cell.
        labels: hidden labels, for an assignment that is graded by predictions.
    """
    levels = cell.metadata.get("resnorm", {}).get("levels")
    if levels and labels is not None:
        return by_accuracy(cell, labels, levels)
    name, possible, bonus = _worth(cell)
    values = emitted(cell)
    agree, problems = _compare(values, reference)
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    if error is not None:
        problems.insert(0, f"{error.ename}: {error.evalue}"[:500])
    elif missing := max(0, len(reference) - len(values)):
        problems.append(f"{missing} of {len(reference)} comparisons did not run")
    if len(values) > len(reference):
        problems.append(
            "the cell emitted more values than its test does: full marks are not possible"
        )
    share = agree / len(reference)
    points = possible
    if share < 1 or problems:
        points = math.floor(2 * possible * min(share, 0.999)) / 2
    message = "\n".join(dict.fromkeys(problems))
    return Verdict(name, points, possible, agree, len(reference), message, bonus)


def by_accuracy(
    cell: NotebookNode, labels: np.ndarray, levels: Iterable[tuple[float, float]]
) -> Verdict:
    """Mark predictions by their accuracy on the hidden labels.

    Args:
        cell: after it ran.
        labels: one class per image; -1 for images that are not in the hidden part.
        levels: pairs (percent correct, points), rising.
    """
    name, possible, bonus = _worth(cell)
    values = [value for value in emitted(cell) if value.get("name") == "predictions"]
    hidden = labels >= 0
    total = int(hidden.sum())
    try:
        given = resnorm.checking.decode(values[0]).numpy()
        if given.shape != labels.shape or not np.issubdtype(given.dtype, np.integer):
            raise ValueError
    except (IndexError, ValueError):
        message = f"no predictions of {len(labels):,} images as integers were emitted"
        return Verdict(name, 0.0, possible, 0, total, message, bonus)
    correct = int((given[hidden] == labels[hidden]).sum())
    percent = 100 * correct / total
    points = max((points for minimum, points in levels if percent >= minimum), default=0.0)
    message = ""
    if points < possible:
        following = min(minimum for minimum, more in levels if more > points)
        message = f"{percent:.1f} % are correct; the next points are at {following:g} %"
    return Verdict(name, points, possible, correct, total, message, bonus)


def _worth(cell: NotebookNode) -> tuple[str, float, bool]:
    """Name and points of a graded cell, and whether they are a bonus."""
    bonus = float(cell.metadata.get("resnorm", {}).get("bonus", 0))
    return meta(cell)["grade_id"], bonus or float(meta(cell)["points"]), bool(bonus)


def _compare(values: Sequence[Value], reference: Sequence[Value]) -> tuple[int, list[str]]:
    """How many values agree with the solution's, and what is wrong with the others."""
    checking = resnorm.checking
    agree, problems = 0, []
    for number, (value, expected) in enumerate(zip(values, reference, strict=False), start=1):
        try:
            if value.get("name") != expected["name"]:
                raise AssertionError(
                    f"comparison {number} should be of {expected['name']}; "
                    "what was compared has been changed"
                )
            checking.close(
                checking.decode(value),
                checking.decode(expected),
                name=expected["name"],
                rtol=expected["rtol"],
                atol=expected["atol"],
            )
            agree += 1
        except (AssertionError, ValueError, AttributeError) as difference:
            problems.append(str(difference))
    return agree, problems
