"""A diagram of a model: a row of slabs, which a phone shows as a column."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from . import narrow
from .costs import short_count
from .style import PALETTE

#: How a skip joins what it reaches, and how it is drawn.
JOINS: dict[str, Any] = {"add": "-", "concatenate": (0, (3, 2)), "project": (0, (1, 1))}
#: In a column: room for the words beside the slabs, for the title, and for a unit of length.
WORDS, TITLE, UNIT = 1.45, 0.55, 0.32


class DrawnPart(Protocol):
    """What a diagram needs to know about a part of a model."""

    @property
    def name(self) -> str:
        """By which skips and labels refer to the part."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Channels and sides, or the number of features alone."""

    @property
    def parameters(self) -> int:
        """Number of parameters."""


def draw_model(
    ax: Axes,
    parts: Sequence[DrawnPart],
    skips: Sequence[tuple[str, str, str]] = (),
    labels: Mapping[str, str] | None = None,
    title: str = "",
    levels: Mapping[str, int] | None = None,
) -> None:
    """Draw a model as a row of slabs, one per part: height for resolution, width for channels.

    Both are on a logarithmic scale. Under each slab stand its label, the shape of its output and
    its number of parameters. Slabs of one resolution (to the nearest factor of two) share a color,
    as they do in every diagram of the course. On a phone the row becomes a column.

    Args:
        ax: where to draw; its axes are removed.
        parts: what :func:`resnorm.probes.outline` returns, or anything like it.
        skips: ``(source, target, join)``: two names of parts, and one of :data:`JOINS`. They are
            drawn as arcs above: solid where they add, dashed where they concatenate, dotted where
            they add a projection.
        labels: from a part's name to what is written in its place; None writes the names.
        title: above the row.
        levels: from a part's name to the number of its level, from 0; parts of one level share a
            color, also where their resolutions differ. A part without a level is colored by its
            resolution.

    Raises:
        ValueError: a skip leads from or to a part that does not exist, or has an unknown join.
    """
    draw = functools.partial(
        _draw, parts=parts, skips=skips, labels=labels or {}, title=title, levels=levels or {}
    )
    length = draw(ax, column=False)
    narrow.offer(ax, functools.partial(draw, column=True), UNIT * length + TITLE)


def _draw(
    ax: Axes,
    parts: Sequence[DrawnPart],
    skips: Sequence[tuple[str, str, str]],
    labels: Mapping[str, str],
    title: str,
    levels: Mapping[str, int],
    column: bool,
) -> float:
    """Draw slabs along a row or a column; returns its length.

    Along the row, places are counted from the left, along the column from the top. Across, they are
    counted from the middle of the slabs, upwards in a row and to the right in a column.
    """
    sides = [part.output_shape[-1] if len(part.output_shape) > 1 else 1 for part in parts]
    tints = ["blue", "green", "orange", "purple", "red", "gray", "ink"]
    smallest = min(side for side in sides if side > 1 or max(sides) == 1)
    heights = [0.75 * np.log2(side / smallest) + 0.9 if side >= smallest else 0.3 for side in sides]
    octaves = [int(round(np.log2(max(sides) / side))) for side in sides]
    floor = -max(heights) / 2 - 0.15
    centers, tops, end = {}, {}, 0.0
    for part, height, octave in zip(parts, heights, octaves, strict=True):
        width = 0.12 + 0.09 * np.log2(part.output_shape[0] + 1)
        middle = end + max(width, 1.0) / 2
        level = levels.get(part.name, octave)
        color = PALETTE[tints[level % len(tints)] if len(part.output_shape) > 1 else "gray"]
        corner, size = (middle - width / 2, -height / 2), (width, height)
        if column:
            corner, size = corner[::-1], size[::-1]
        ax.add_patch(mpl.patches.Rectangle(corner, *size, color=color, alpha=0.85))
        lines = [
            labels.get(part.name, part.name),
            _shape(part.output_shape),
            short_count(part.parameters),
        ]
        if column:
            _write_beside(ax, floor, middle, lines[0], " · ".join(lines[1:]))
        else:
            _write_below(ax, middle, floor, lines)
        centers[part.name], tops[part.name] = middle, height / 2
        end += max(width, 1.0) + 0.12
    highest = _draw_skips(ax, skips, centers, tops, column)
    if column:
        room = (_height(ax) - TITLE) / UNIT
        ax.set_ylim(max(end, room), -0.1)
        beside = (highest + 0.2 - floor) * WORDS / (narrow.WIDTH - WORDS)
        ax.set_xlim(floor - beside, highest + 0.2)
    else:
        ax.set_xlim(-0.1, end)
        ax.set_ylim(floor - 0.3 * (highest - floor), highest + 0.2)  # three lines of text below
    ax.set_title(title)
    ax.set_axis_off()
    return end


def _height(ax: Axes) -> float:
    """Height of the whole canvas, in inches."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(figure.get_figheight())


def _write_below(ax: Axes, x: float, y: float, lines: Sequence[str]) -> None:
    for row, line in enumerate(lines):
        ax.annotate(
            line,
            (x, y),
            xytext=(0, -11 * row),
            textcoords="offset points",
            ha="center",
            va="top",
            size=8 if row else 8.5,
            color=PALETTE["gray" if row else "ink"],
        )


def _write_beside(ax: Axes, x: float, y: float, name: str, numbers: str) -> None:
    for up, line in ((1, name), (-1, numbers)):
        ax.annotate(
            line,
            (x, y),
            xytext=(-2, 1.5 * up),
            textcoords="offset points",
            ha="right",
            va="bottom" if up > 0 else "top",
            size=narrow.SMALLEST,
            color=PALETTE["ink" if up > 0 else "gray"],
        )


def _draw_skips(
    ax: Axes,
    skips: Sequence[tuple[str, str, str]],
    centers: Mapping[str, float],
    tops: Mapping[str, float],
    column: bool,
) -> float:
    """Draw the skips beyond the slabs; returns how far they reach."""
    order, highest = list(centers), max(tops.values())
    for source, target, join in skips:
        if source not in centers or target not in centers:
            raise ValueError(
                f"a skip from {source!r} to {target!r}: the parts are {', '.join(centers)}"
            )
        if join not in JOINS:
            raise ValueError(
                f"a skip joins by {join!r}; it must be one of {', '.join(map(repr, JOINS))}"
            )
        start, stop = centers[source] + 0.1, centers[target] - 0.1
        between = order[order.index(source) : order.index(target) + 1]
        rise = max(tops[name] for name in between) + 0.15 + 0.2 * (len(between) - 1)
        along = [start, start, stop, stop]
        across = [tops[source] + 0.05, rise, rise, tops[target] + 0.12]
        tip = (stop, tops[target] + 0.14)
        lines = (across, along) if column else (along, across)
        ax.plot(*lines, ls=JOINS[join], color=PALETTE["ink"], lw=1.1)
        marker = "<" if column else "v"
        ax.plot(*(tip[::-1] if column else tip), marker=marker, ms=5, color=PALETTE["ink"])
        highest = max(highest, rise)
    return highest


def _shape(shape: Sequence[int]) -> str:
    """Write channels and sides: ``64 × 28²``, ``64 × 28×30``, ``512``."""
    channels, *space = shape
    if not space:
        return str(channels)
    if len(set(space)) == 1 and len(space) in (2, 3):
        return f"{channels} × {space[0]}{'²' if len(space) == 2 else '³'}"
    return f"{channels} × {'×'.join(map(str, space))}"
