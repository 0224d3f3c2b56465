"""Diagrams: heatmaps, computational graphs, a norm's axes as a box, a model as a row of slabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .blocks import TEXT, TINT
from .costs import short_count
from .style import PALETTE


def annotated_heatmap(
    ax: Axes,
    values: ArrayLike,
    *,
    title: str,
    fmt: str = "{:.2f}",
    limit: float | None = None,
) -> None:
    """Draw a matrix as colored cells with its numbers: blue below zero, orange above.

    Args:
        ax: where to draw.
        values: (rows, columns) array.
        title: above the matrix.
        fmt: format string of a number; ``""`` writes none.
        limit: value of the strongest color; None takes the largest magnitude.
    """
    values = np.asarray(values)
    limit = limit or float(np.abs(values).max()) or 1.0
    diverging = mpl.colors.LinearSegmentedColormap.from_list(
        "resnorm", [PALETTE["blue"], "#ffffff", PALETTE["orange"]]
    )
    ax.imshow(values, cmap=diverging, vmin=-limit, vmax=limit)
    for (i, j), value in np.ndenumerate(values) if fmt else ():
        dark = abs(value) > 0.6 * limit
        ax.text(
            j,
            i,
            fmt.format(value),
            ha="center",
            va="center",
            size=8,
            color="white" if dark else PALETTE["ink"],
        )
    ax.set_title(title)
    ax.set_xticks(range(values.shape[1]))
    ax.set_yticks(range(values.shape[0]))
    ax.grid(False)
    ax.spines[:].set_visible(False)


def draw_graph(
    ax: Axes,
    nodes: Mapping[str, Sequence[Any]],
    edges: Sequence[Sequence[Any]],
    tinted: bool = False,
) -> None:
    """Draw a computational graph: rounded boxes joined by arrows.

    Args:
        ax: where to draw; its axes are removed.
        nodes: from name to ``(x, y, label)`` or ``(x, y, label, color)``, in data coordinates.
        edges: ``(source, target)``, ``(source, target, label)``, ``(source, target, label, bend)``
            or ``(source, target, label, bend, color)``, with the curvature of matplotlib's
            ``arc3`` for the bend and gray if no color is given.
        tinted: whether a box is filled with a tint of its color, as in block diagrams.
    """
    defaults: tuple[Any, ...] = ("", 0.0, PALETTE["gray"])
    for source, target, *rest in edges:
        label, bend, color = (*rest, *defaults[len(rest) :])
        (x0, y0), (x1, y1) = nodes[source][:2], nodes[target][:2]
        ax.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={
                "arrowstyle": "-|>",
                "color": color,
                "lw": 1.3,
                "shrinkA": 17,
                "shrinkB": 17,
                "connectionstyle": f"arc3,rad={bend}",
            },
        )
        if label:
            ax.text(
                (x0 + x1) / 2 - bend * (y0 - y1) / 2,
                (y0 + y1) / 2 - bend * (x1 - x0) / 2,
                label,
                ha="center",
                va="center",
                size=TEXT,
                color=color,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )
    for x, y, label, *given in nodes.values():
        edge_color = given[0] if given else PALETTE["blue"]
        ax.text(
            x,
            y,
            label,
            ha="center",
            va="center",
            size=10.5,
            color=PALETTE["ink"],
            bbox={
                "boxstyle": "round,pad=0.45",
                "facecolor": _tint(edge_color) if tinted else "white",
                "edgecolor": edge_color,
                "linewidth": 1.5,
            },
        )
    ax.set_axis_off()


def _tint(color: str) -> Any:
    """Mix a color with white, as the shapes of block diagrams are filled."""
    return tuple(1 - TINT * (1 - part) for part in mpl.colors.to_rgb(color))


def draw_norm_cube(ax: Axes, groups: ArrayLike, selected: int = 0, title: str = "") -> None:
    """Draw a tensor as a box of cells, N deep, C wide and P high, colored by group.

    The box shows the first image (front), the last channel (right) and the first position (top).
    Cells of the selected group are blue; the others alternate between light tints, so that the
    borders between groups show.

    Args:
        ax: where to draw; its axes are removed.
        groups: (N, C, P) integers, the group of each cell.
        selected: the group in blue.
        title: above the box.

    Source:
        Wu & He (2018), figure 2.
    """
    groups = np.asarray(groups)
    n_images, channels, positions = groups.shape
    tints = ("#e9edf2", "#f8e3cf", "#dcefe8", "#eee3f2")

    def corner(n: float, c: float, p: float) -> tuple[float, float]:
        return c + 0.55 * n, -p + 0.4 * n  # n runs backwards, p downwards

    def cell(n: int, c: int, p: int, *corners: tuple[float, float, float]) -> None:
        group = int(groups[n, c, p])
        color = PALETTE["blue"] if group == selected else tints[group % len(tints)]
        xs, ys = zip(*(corner(*at) for at in corners), strict=True)
        ax.fill(xs, ys, facecolor=color, edgecolor="white", lw=0.8)

    for c in range(channels):
        for p in range(positions):
            cell(0, c, p, (0, c, p), (0, c + 1, p), (0, c + 1, p + 1), (0, c, p + 1))
        for n in range(n_images):
            cell(n, c, 0, (n, c, 0), (n, c + 1, 0), (n + 1, c + 1, 0), (n + 1, c, 0))
    for n in range(n_images):
        for p in range(positions):
            side = channels
            cell(
                n,
                side - 1,
                p,
                (n, side, p),
                (n + 1, side, p),
                (n + 1, side, p + 1),
                (n, side, p + 1),
            )
    label: dict[str, Any] = {"size": 8, "color": PALETTE["gray"], "ha": "center", "va": "center"}
    ax.text(*corner(0, channels / 2, positions + 0.55), "C", **label)
    ax.text(*corner(0, -0.5, positions / 2), "H, W", rotation=90, **label)
    ax.text(*corner(n_images / 2, channels + 0.75, positions + 0.2), "N", **label)
    ax.set_title(title, loc="center")
    ax.set_aspect("equal")
    ax.set_axis_off()


#: How a skip joins what it reaches, and how it is drawn.
JOINS: dict[str, Any] = {"add": "-", "concatenate": (0, (3, 2)), "project": (0, (1, 1))}


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
    as they do in every diagram of the course.

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
    labels, levels = labels or {}, levels or {}
    sides = [part.output_shape[-1] if len(part.output_shape) > 1 else 1 for part in parts]
    tints = ["blue", "green", "orange", "purple", "red", "gray", "ink"]
    smallest = min(side for side in sides if side > 1 or max(sides) == 1)
    heights = [0.75 * np.log2(side / smallest) + 0.9 if side >= smallest else 0.3 for side in sides]
    octaves = [int(round(np.log2(max(sides) / side))) for side in sides]
    floor = -max(heights) / 2 - 0.15
    centers, tops, left = {}, {}, 0.0
    for part, height, octave in zip(parts, heights, octaves, strict=True):
        width = 0.12 + 0.09 * np.log2(part.output_shape[0] + 1)
        middle = left + max(width, 1.0) / 2
        level = levels.get(part.name, octave)
        color = PALETTE[tints[level % len(tints)] if len(part.output_shape) > 1 else "gray"]
        ax.add_patch(
            mpl.patches.Rectangle(
                (middle - width / 2, -height / 2), width, height, color=color, alpha=0.85
            )
        )
        lines = [
            labels.get(part.name, part.name),
            _shape(part.output_shape),
            short_count(part.parameters),
        ]
        for row, line in enumerate(lines):
            ax.annotate(
                line,
                (middle, floor),
                xytext=(0, -11 * row),
                textcoords="offset points",
                ha="center",
                va="top",
                size=8 if row else 8.5,
                color=PALETTE["gray" if row else "ink"],
            )
        centers[part.name], tops[part.name] = middle, height / 2
        left += max(width, 1.0) + 0.12
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
        ax.plot(
            [start, start, stop, stop],
            [tops[source] + 0.05, rise, rise, tops[target] + 0.12],
            ls=JOINS[join],
            color=PALETTE["ink"],
            lw=1.1,
        )
        ax.plot(stop, tops[target] + 0.14, marker="v", ms=5, color=PALETTE["ink"])
        highest = max(highest, rise)
    ax.set_xlim(-0.1, left)
    ax.set_ylim(floor - 0.3 * (highest - floor), highest + 0.2)  # three lines of text below
    ax.set_title(title)
    ax.set_axis_off()


def _shape(shape: Sequence[int]) -> str:
    """Write channels and sides: ``64 × 28²``, ``64 × 28×30``, ``512``."""
    channels, *space = shape
    if not space:
        return str(channels)
    if len(set(space)) == 1 and len(space) in (2, 3):
        return f"{channels} × {space[0]}{'²' if len(space) == 2 else '³'}"
    return f"{channels} × {'×'.join(map(str, space))}"
