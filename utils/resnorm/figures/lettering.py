"""What is written in a figure: where it stands, how small it is, and whether it can be read."""

from __future__ import annotations

import itertools

from matplotlib.axis import Axis, Tick
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

#: Two labels may overlap by this many points: the box around a word holds some air.
TOUCH = 1.5


def written(fig: Figure, laid_out: bool = False) -> list[tuple[Text, Bbox]]:
    """All lettering that a reader sees, each with its place in pixels.

    Args:
        fig: the figure.
        laid_out: whether it has just been drawn with its own number of pixels per inch; otherwise
            its layout is computed anew, which takes longer than all the rest.
    """
    if not laid_out:
        fig.draw_without_rendering()
    hidden: set[Text] = set()
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            seen = ax.get_visible() and ax.axison and axis.get_visible()
            names = [axis.label, axis.get_offset_text()]
            kept = [*axis.majorTicks, *axis.minorTicks]  # also those that a zoom has left over
            labels = {label for tick in kept for label in (tick.label1, tick.label2)}
            hidden |= labels - set(labels_in_view(axis)) if seen else labels.union(names)
    return [
        (text, Text.get_window_extent(text))  # without the arrow of an annotation
        for text in fig.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in hidden
    ]


def ticks(axis: Axis, which: str) -> list[Tick]:
    """The ticks of an axis.

    Args:
        axis: horizontal or vertical.
        which: ``major`` or ``minor``.
    """
    return axis.get_major_ticks() if which == "major" else axis.get_minor_ticks()


def labels_in_view(axis: Axis) -> list[Text]:
    """The labels of the ticks that lie within the limits of an axis.

    Args:
        axis: horizontal or vertical.
    """
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    return [
        label
        for which in ("major", "minor")
        for tick in ticks(axis, which)
        if low - slack <= tick.get_loc() <= high + slack and tick.get_visible()
        for label in (tick.label1, tick.label2)
        if label.get_visible() and label.get_text().strip()
    ]


def outside(fig: Figure, laid_out: bool = False) -> list[str]:
    """The lettering that the edge of the canvas cuts.

    Args:
        fig: the figure.
        laid_out: whether it has just been drawn.
    """
    slack = fig.dpi / 72
    canvas = fig.bbox.padded(slack)
    return [
        text.get_text()
        for text, box in written(fig, laid_out)
        if box.x0 < canvas.x0 or box.y0 < canvas.y0 or box.x1 > canvas.x1 or box.y1 > canvas.y1
    ]


def collisions(fig: Figure, laid_out: bool = False) -> list[tuple[str, str]]:
    """Pairs of labels that cover each other.

    The box around a slanted word says little about where the word is, so two slanted words count
    as apart.

    Args:
        fig: the figure.
        laid_out: whether it has just been drawn.
    """
    touch = TOUCH * fig.dpi / 72
    found = [
        (text, box.padded(-touch))
        for text, box in written(fig, laid_out)
        if min(box.width, box.height) > 2 * touch
    ]
    return [
        (one.get_text(), other.get_text())
        for (one, first), (other, second) in itertools.combinations(found, 2)
        if first.overlaps(second) and not (one.get_rotation() % 90 and other.get_rotation() % 90)
    ]


def smallest_text(fig: Figure, laid_out: bool = False) -> float:
    """Size of the smallest lettering, in points; infinite if there is none.

    Args:
        fig: the figure.
        laid_out: whether it has just been drawn.
    """
    sizes = (float(text.get_fontsize()) for text, _ in written(fig, laid_out))
    return min(sizes, default=float("inf"))
