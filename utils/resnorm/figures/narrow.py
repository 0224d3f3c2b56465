"""Arrange a figure anew for a phone: panels below each other, no lettering under 11 pixels.

A phone shows a figure about 3.5 inches wide. It would scale a wider figure down, and its lettering
with it. :func:`narrowed` puts the same panels on a canvas of that width and leaves the lettering at
its size. Where labels then cover each other, as in a diagram whose boxes need their room, it says
so, and the page lets the wide figure scroll instead.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.text import Text

from .lettering import collisions, labels_in_view, outside, ticks

#: Width of a figure on a phone, in inches of 96 CSS pixels.
WIDTH = 3.5
#: The widest figure that a page of 375 CSS pixels shows without scaling it down by more than 5 %.
ROOM = 3.75
#: 11 CSS pixels and what a figure of width ``ROOM`` is scaled down by, in points.
SMALLEST = 8.7
#: Pictures narrower than this, in inches, stand side by side on a phone, too.
SMALL_PANEL = 1.3
#: Lowest and highest panel with axes, in inches.
LOWEST, HIGHEST = 1.5, 2.5

#: First row and column of a panel, and the row and column behind it.
Place = tuple[int, int, int, int]
#: The axes of each panel. Untyped, because matplotlib's stubs leave out much of what is used here.
Panels = dict[Place, list[Any]]


def is_wide(fig: Figure) -> bool:
    """Tell whether a phone would have to scale the figure down.

    Args:
        fig: the figure.
    """
    return bool(fig.get_figwidth() > ROOM)


def narrowed(fig: Figure) -> bool:
    """Arrange a figure for a phone, in place.

    Args:
        fig: a figure of any width. If the answer is no, it is of no further use.

    Returns:
        Whether all lettering is on the canvas, and no more labels cover each other than before.
    """
    before = len(collisions(fig))
    return arranged(fig) and not outside(fig) and len(collisions(fig)) <= before


def arranged(fig: Figure, heights: tuple[float, float] = (0, float("inf"))) -> bool:
    """Arrange a figure for a phone, in place, and leave it to the caller to look at the lettering.

    Args:
        fig: a figure of any width. If the answer is no, it is of no further use.
        heights: the least and the greatest height of a canvas that is made narrow, in inches.

    Returns:
        Whether the panels stand in a grid that allows it.
    """
    enlarge_small_text(fig)
    if is_wide(fig):
        if _offered(fig):
            draw, height = _offered(fig)
            fig.clear()
            fig.set_size_inches(WIDTH, float(np.clip(height, *heights)))
            draw(fig.add_subplot())
        elif not _placed(fig):
            return False
        fig.set_figheight(float(np.clip(fig.get_figheight(), *heights)))
        _fit_lettering(fig)
    return True


def enlarge_small_text(fig: Any) -> None:
    """Raise all lettering to :data:`SMALLEST`.

    Args:
        fig: changed in place.
    """
    for ax in fig.axes:
        for axis, which in itertools.product((ax.xaxis, ax.yaxis), ("major", "minor")):
            sizes = [float(tick.label1.get_fontsize()) for tick in ticks(axis, which)]
            if sizes and min(sizes) < SMALLEST:
                axis.set_tick_params(which, labelsize=SMALLEST)
    for text in fig.findobj(Text):
        if text.get_fontsize() < SMALLEST:
            text.set_fontsize(SMALLEST)


def offer(ax: Axes, draw: Callable[[Axes], Any], height: float) -> None:
    """Say how a diagram is drawn on a phone, where the panels alone decide nothing.

    Args:
        ax: the diagram; if it does not stay alone in its figure, the offer is not taken.
        draw: draws it on other axes, narrow.
        height: of the narrow canvas, in inches.
    """
    ax.get_figure(root=True)._resnorm_offer = (draw, height)  # type: ignore[union-attr]


def _offered(fig: Any) -> Any:
    """How the only diagram of a figure is drawn on a phone, and how high, or None."""
    return getattr(fig, "_resnorm_offer", None) if len(fig.axes) == 1 else None


# --- panels -------------------------------------------------------------------------------


def _placed(fig: Any) -> bool:
    """Put the panels on a narrow canvas; whether they stand in a grid that allows it."""
    placed = [ax for ax in fig.axes if ax.get_subplotspec() is not None]
    free = [ax for ax in fig.axes if ax.get_subplotspec() is None and not hasattr(ax, "_colorbar")]
    grids = {id(ax.get_subplotspec().get_gridspec()) for ax in placed}
    if len(grids) != 1 or free or fig.subfigs or fig.get_layout_engine() is None:
        return False
    panels: Panels = {}
    for ax in placed:
        spec = ax.get_subplotspec()
        rows, columns = spec.rowspan, spec.colspan
        place = (rows.start, columns.start, rows.stop, columns.stop)
        panels.setdefault(place, []).append(ax)
    columns_before = len({place[1] for place in panels})
    columns_now = columns_before if any(map(_continues, placed)) else _columns(panels)
    if columns_now == columns_before:
        fig.set_size_inches(WIDTH, _height_of_the_same_grid(fig, panels))
        return True
    _label_each_panel(panels)
    _place_anew(fig, panels, columns_now)
    return True


def _height_of_the_same_grid(fig: Figure, panels: Panels) -> float:
    """Height of the narrow canvas, in inches, where the panels keep their places."""
    height, scale = fig.get_figheight(), WIDTH / fig.get_figwidth()
    if any(ax.get_aspect() != "auto" for axes in panels.values() for ax in axes):
        return float(max(height * scale, 1.2))
    rows = len({place[0] for place in panels})
    return float(max(height * scale, min(height, (HIGHEST + 0.5) * rows)))


def _place_anew(fig: Any, panels: Panels, columns: int) -> None:
    """Fill a grid of fewer columns, row by row."""
    order = sorted(panels)
    if columns > 1 and len({place[0] for place in panels}) == columns:  # rows become columns
        order.sort(key=lambda place: (place[1], place[0]))
    rows = -(-len(order) // columns)
    heights = [0.0] * rows
    for number, place in enumerate(order):
        first = panels[place][0]
        width, height = _inches(first)
        if first.get_aspect() == "auto":
            height = float(np.clip(height, LOWEST, HIGHEST))
        else:
            height *= min(1.4, (WIDTH - 0.5) / columns / max(width, 0.1))
        heights[number // columns] = max(heights[number // columns], height)
    grid = GridSpec(rows, columns, figure=fig, height_ratios=heights)
    for number, place in enumerate(order):
        for ax in panels[place]:
            ax.set_subplotspec(grid[number // columns, number % columns])
    lettering = 0.6 * rows + (0.3 if fig.get_suptitle() else 0)
    fig.set_size_inches(WIDTH, sum(heights) + lettering)


def _columns(panels: Panels) -> int:
    """How many panels stand side by side on a phone."""
    columns = len({place[1] for place in panels})
    widest = max(_inches(axes[0])[0] for axes in panels.values())
    pictures = all(ax.get_aspect() != "auto" for axes in panels.values() for ax in axes)
    if pictures and widest < SMALL_PANEL:
        return min(columns, 3 if widest < 1 else 2)
    return 1


def _inches(ax: Any) -> tuple[float, float]:
    """Width and height of a panel as it was last drawn."""
    box = ax.get_window_extent()
    dpi = ax.figure.dpi
    return box.width / dpi, box.height / dpi


def _continues(ax: Any) -> bool:
    """Whether the rows of a panel continue those of its neighbor, so that it has no ticks."""
    shared = len(ax.get_shared_y_axes().get_siblings(ax)) > 1
    return shared and ax.axison and not ax.yaxis.get_tick_params().get("left", True)


def _label_each_panel(panels: Panels) -> None:
    """Repeat the numbers and the name of an axis that a panel shares with its neighbor."""
    for (row, column, _, _), (ax, *_) in panels.items():
        for kind, side, index, at in (("y", "left", 0, row), ("x", "bottom", 1, column)):
            together = getattr(ax, f"get_shared_{kind}_axes")().get_siblings(ax)
            if len(together) < 2:
                continue
            axis = getattr(ax, f"{kind}axis")
            if any(_shows_numbers(getattr(each, f"{kind}axis"), side) for each in together):
                axis.set_tick_params(which="both", **{f"label{side}": True})
            neighbors = [axes[0] for place, axes in panels.items() if place[index] == at]
            names = [getattr(each, f"get_{kind}label")() for each in neighbors if each in together]
            if not axis.get_label_text() and any(names):
                axis.set_label_text(next(filter(None, names)))


def _shows_numbers(axis: Axis, side: str) -> bool:
    return bool(axis.get_tick_params().get(f"label{side}", True))


# --- lettering ----------------------------------------------------------------------------


def _fit_lettering(fig: Any) -> None:
    """Break long titles, fit legends, and turn or thin out crowded labels of ticks."""
    fig.draw_without_rendering()
    whole = (WIDTH - 0.1) * fig.dpi
    for ax in fig.axes:
        box = ax.get_window_extent()
        for title in (ax.title, ax._left_title, ax._right_title):
            _break(title, (fig.bbox.width - box.x0 if title is ax._left_title else whole) - 4)
        across, up = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        _break(ax.xaxis.label, 2 * min(across, fig.bbox.width - across) - 4)
        _break(ax.yaxis.label, 2 * min(up, fig.bbox.height - up) - 4, upright=True)
        _relieve(ax)
    for title in (fig._suptitle, fig._supxlabel):
        if title is not None:
            _break(title, whole)
    for legend in [each for each in _legends(fig) if _is_beside(each)]:
        words = [text.get_text() for text in legend.get_texts()]
        handles, names = legend.axes.get_legend_handles_labels()
        if names != words:
            handles = legend.legend_handles
        size = max(legend.prop.get_size(), SMALLEST)
        fig.legend(handles, words, loc="outside lower center", ncols=2, fontsize=size)
        legend.remove()
        fig.draw_without_rendering()
    for legend in _legends(fig):
        while legend._ncols > 1 and legend.get_window_extent().width > whole:
            _with_columns(legend, legend._ncols - 1)
            fig.draw_without_rendering()
        if legend.axes is not None and legend._bbox_to_anchor is None:
            legend.set_loc("best")  # the curves have moved


def _with_columns(legend: Any, columns: int) -> None:
    """Arrange the entries of a legend anew; matplotlib does it only when it makes one."""
    handles, title = legend.legend_handles, legend.get_title().get_text()
    names = [text.get_text() for text in legend.get_texts()]
    legend.prop.set_size(max(legend.prop.get_size(), SMALLEST))
    legend._ncols = columns
    legend._init_legend_box(handles, names)
    legend._legend_box.set_offset(legend._findoffset)
    if title:
        legend.set_title(title)


def _is_beside(legend: Any) -> bool:
    """Whether a legend stands to the right of its axes, which a phone has no room for."""
    if legend.axes is None:
        return False
    return bool(legend.get_window_extent().x0 >= legend.axes.get_window_extent().x1)


def _legends(fig: Figure) -> Iterator[Any]:
    yield from fig.legends
    for ax in fig.axes:
        yield from (each for each in ax.get_children() if isinstance(each, Legend))


def _break(text: Text, room: float, upright: bool = False) -> None:
    """Break a text into lines that are at most ``room`` pixels long."""
    words, box = text.get_text(), text.get_window_extent()
    length = box.height if upright else box.width
    if not words.strip() or "\n" in words or room <= 0 or length <= room:
        return
    characters = max(8, int(len(words) * room / length))
    lines = textwrap.wrap(words, characters, break_long_words=False, break_on_hyphens=False)
    if all(line.count("$") % 2 == 0 for line in lines):  # a formula stays whole
        text.set_text("\n".join(lines))


def _relieve(ax: Any) -> None:
    """Where labels of a horizontal axis cover each other: every second number, or slanted words."""
    for _ in range(3):
        labels = labels_in_view(ax.xaxis) if ax.axison and ax.xaxis.get_visible() else []
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
        crowded = any(right.x0 < left.x1 + 1 for left, right in itertools.pairwise(boxes))
        if not crowded or any(label.get_rotation() for label in labels):
            return
        if all(any(map(str.isdigit, label.get_text())) for label in labels):
            named = sorted(
                (tick.get_loc(), tick.label1.get_text(), which == "minor")
                for which in ("major", "minor")
                for tick in ticks(ax.xaxis, which)
                if tick.label1 in labels
            )
            for minor in {minor for *_, minor in named}:
                kept = [(at, text) for at, text, is_minor in named[::2] if is_minor == minor]
                ax.set_xticks([at for at, _ in kept], [text for _, text in kept], minor=minor)
        else:
            for label in labels:
                label.set(rotation=35, ha="right", rotation_mode="anchor")
        ax.figure.draw_without_rendering()
