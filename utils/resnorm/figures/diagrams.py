"""Diagrams: heatmaps, computational graphs, a norm's axes as a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .blocks import TEXT, TINT
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
