"""Where the parameters of a network sit, and where its arithmetic: two bars for every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .blocks import TEXT
from .style import PALETTE

#: Width in inches of a figure that a phone shows at its full size inside of a frame with controls.
WIDTH = 3.05


class CostedPart(Protocol):
    """What the figure needs to know about a part of a model."""

    @property
    def name(self) -> str:
        """By which labels refer to the part."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Channels and sides, or the number of features alone."""

    @property
    def parameters(self) -> int:
        """Number of parameters."""

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one example."""


def draw_costs(
    parts: Sequence[CostedPart],
    labels: Mapping[str, str] | None = None,
    title: str = "",
    *,
    width: float = WIDTH,
) -> Figure:
    """Draw each part's share of the parameters and of the multiply-adds, with the numbers.

    The longest bar of each column fills it.

    Args:
        parts: what :func:`resnorm.probes.outline` returns, or anything like it.
        labels: from a part's name to what is written in its place; None writes the names.
        title: of the figure; the sums stand below it.
        width: of the figure, in inches.

    Returns:
        The figure.

    Raises:
        ValueError: there are no parts, or none of them has parameters or arithmetic.
    """
    labels = labels or {}
    totals = [sum(p.parameters for p in parts), sum(p.multiply_adds for p in parts)]
    if not all(totals):
        raise ValueError(
            f"the {len(parts)} parts have {totals[0]} parameters and {totals[1]} multiply-adds; "
            "give parts that have both"
        )
    height = 0.19 * len(parts) + 0.85
    fig = plt.figure(figsize=(width, height), layout="none")
    bottom, tall = 0.12 / height, (0.19 * len(parts)) / height
    left, wide = 1.22 / width, (width - 1.24) / 2 / width
    for side, (word, color) in enumerate((("parameters", "blue"), ("multiply-adds", "orange"))):
        ax = fig.add_axes((left + side * wide, bottom, wide - 0.03, tall))
        values = [p.multiply_adds if side else p.parameters for p in parts]
        shares = [value / totals[side] for value in values]
        rows = range(len(parts))
        ax.barh(rows, shares, height=0.72, color=PALETTE[color], alpha=0.35)
        for row, value in zip(rows, values, strict=True):
            ax.annotate(
                short_count(value),
                (0, row),
                (3, 0),
                textcoords="offset points",
                size=TEXT,
                va="center",
            )
        ax.set(xlim=(0, max(shares)), ylim=(len(parts) - 0.5, -0.5), xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.axvline(0, color=PALETTE["gray"], lw=0.8)
        ax.grid(False)
        heading = f"{word}\n{short_count(totals[side])}"
        ax.set_title(heading, size=TEXT, loc="left", color=PALETTE[color], pad=4, weight="normal")
        if side == 0:
            for row, part in zip(rows, parts, strict=True):
                text = labels.get(part.name, part.name)
                ax.annotate(
                    text,
                    (0, row),
                    (-4, 0),
                    textcoords="offset points",
                    size=TEXT,
                    va="center",
                    ha="right",
                )
    fig.text(0.02, 1 - 0.16 / height, title, size=10, weight="bold", va="center")
    return fig


def short_count(number: int) -> str:
    """Write a count in three digits: ``0``, ``864``, ``9.4 k``, ``138 M``, ``15.5 G``.

    Args:
        number: the count, at least 0.

    Returns:
        The count with a unit.
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return str(number)
