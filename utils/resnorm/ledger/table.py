"""The results of a record over its seeds: means, spreads and the rows of a leaderboard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import mean, stdev

from .files import own, recorded
from .record import Record, difference


@dataclass(frozen=True)
class Line:
    """One result of an arm over its seeds.

    As text it is the mean, followed by the standard deviation if there are several seeds: with two
    decimals, or three if the mean is below 1.

    Attributes:
        arm: the name of the arm.
        n: the number of seeds.
        mean: the mean over seeds.
        std: the standard deviation over seeds; NaN for one seed, or if a value is not finite.
    """

    arm: str
    n: int
    mean: float
    std: float

    def __str__(self) -> str:
        digits = 2 if abs(self.mean) >= 1 else 3
        spread = f" ± {self.std:.{digits}f}" if self.n > 1 else ""
        return f"{self.mean:.{digits}f}{spread}"


def summary(record: Record, key: str) -> list[Line]:
    """Summarize one result of every arm that has runs.

    Args:
        record: the record.
        key: the name of the result.

    Returns:
        One line per arm, the smallest mean first; a mean that is NaN comes last.

    Raises:
        KeyError: if a run has no such result.
    """
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in record.runs):
        values = record.values(arm, key)
        finite = all(math.isfinite(value) for value in values)  # stdev raises an error otherwise
        spread = stdev(values) if finite and len(values) > 1 else math.nan
        lines.append(Line(arm, len(values), mean(values), spread))
    return sorted(lines, key=lambda line: (math.isnan(line.mean), line.mean))


def leaderboard(name: str, key: str = "test error") -> list[tuple[str, str, str, str]]:
    """Make the rows of a table from a record that comes with the package, and the reader's own.

    Args:
        name: the name of the record.
        key: the result to show.

    Returns:
        One row per arm, the smallest mean first: the arm, mean ± standard deviation of the result,
        the number of seeds, and the minutes of training per run. If there is no such record, there
        is one row that says so. The arms of the reader's own record follow, see
        :func:`resnorm.ledger.own`; their rows say that they are, and on which data if these differ.
    """
    try:
        shipped = recorded(name)
    except FileNotFoundError:
        shipped = None
    rows = _rows(shipped, key) if shipped else [(f"{name}: not recorded yet", "", "", "")]
    if mine := own(name):
        rows += _rows(mine, key, f" (yours{_how_different(mine, shipped)})")
    return rows


def _rows(record: Record, key: str, after_arm: str = "") -> list[tuple[str, str, str, str]]:
    return [
        (line.arm + after_arm, str(line), str(line.n), f"{_minutes(record, line.arm):.1f}")
        for line in summary(record, key)
    ]


def _how_different(mine: Record, shipped: Record | None) -> str:
    """In which respect the reader's record cannot be compared with the package's at once."""
    if shipped is None or not difference(mine, shipped):
        return ""
    if mine.configuration != shipped.configuration:
        return "; other settings"
    return f"; {mine.data}"


def _minutes(record: Record, arm: str) -> float:
    """The minutes per run: of the training if they were recorded, else of the whole run."""
    return mean(
        run["results"].get("training seconds", run["seconds"]) / 60
        for run in record.runs
        if run["arm"] == arm
    )
