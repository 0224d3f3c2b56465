"""Block diagrams in one visual language: the same shape and color for an operation everywhere.

A diagram is drawn from a list of operations, each of which names what it reads, so that it shows
what a module does and not what somebody remembers of it. Widths are chosen for a phone: a figure of
:data:`WIDTH` inches is shown there at its full size, with text of 11 pixels or more.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Patch, Polygon, Rectangle

from .layout import SKIP, Chain, chain_of, height_of, width_of
from .style import PALETTE

#: Width in inches of a figure that a phone shows at its full size.
WIDTH = 3.5
#: Size of the text in points: 11 pixels at full size.
TEXT = 8.5
#: How much of the color of the line a shape is filled with.
TINT = 0.14
#: Kind of operation -> color (a key of the palette) and shape.
LOOKS = {
    "input": ("ink", "text"),
    "convolution": ("blue", "rectangle"),
    "fully connected": ("red", "octagon"),
    "norm": ("green", "rounded"),
    "activation": ("orange", "pill"),
    "pooling": ("purple", "funnel"),
    "addition": ("ink", "circle"),
    "concatenation": ("gray", "bar"),
    "scaling": ("gray", "pill"),
    "block": ("ink", "double"),
}
_LINE = 0.155  # inches per line of text
_GAP = 0.17  # inches between operations, for the arrow


class DrawnOperation(Protocol):
    """What a diagram needs to know about an operation."""

    @property
    def name(self) -> str:
        """By which other operations name what they read."""

    @property
    def kind(self) -> str:
        """A key of :data:`LOOKS`."""

    @property
    def label(self) -> str:
        """What is written inside."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the operations whose outputs it reads."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Channels and sides, or the number of features alone."""


def draw_blocks(
    diagrams: Mapping[str, Sequence[DrawnOperation]],
    *,
    shapes: bool = True,
    width: float = WIDTH,
) -> Figure:
    """Draw modules side by side, each from top to bottom.

    Args:
        diagrams: from the title of a module to its operations, as
            :func:`resnorm.probes.operations` lists them.
        shapes: whether to write the shape of the output under an operation's name, where it can
            change.
        width: of the figure, in inches.

    Returns:
        The figure.

    Raises:
        ValueError: there is nothing to draw, or an operation is of an unknown kind.
    """
    if not diagrams or not all(diagrams.values()):
        raise ValueError("there is nothing to draw: give each diagram a title and operations")
    for each in (operation for listed in diagrams.values() for operation in listed):
        if each.kind not in LOOKS:
            allowed = ", ".join(map(repr, LOOKS))
            raise ValueError(f"{each.name} is of kind {each.kind!r}; it must be one of {allowed}")
    chains = {title: chain_of(listed) for title, listed in diagrams.items()}
    column = width / sum(width_of(chain) for chain in chains.values())
    drawings = {
        title: _Drawing(diagrams[title], column, shapes, all(not t for t in diagrams))
        for title in diagrams
    }
    height = max(drawings[t].height(chain) for t, chain in chains.items())
    fig = plt.figure(figsize=(width, height), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.set_axis_off()
    left = 0.0
    for title, chain in chains.items():
        middle = left + width_of(chain) * column / 2
        drawings[title].draw(ax, chain, middle, height, title)
        left += width_of(chain) * column
    return fig


def draw_legend(labels: Mapping[str, str] | None = None, *, width: float = WIDTH) -> Figure:
    """Draw every shape of the visual language with what it stands for.

    Args:
        labels: from a kind to the words beside its shape; None explains all kinds.
        width: of the figure, in inches.

    Returns:
        The figure.
    """
    labels = labels or {
        "convolution": "convolution: weighted sum over a window",
        "fully connected": "fully connected: sum over all inputs",
        "norm": "norm: standardizes channels",
        "activation": "activation: one number at a time",
        "pooling": "pooling: one number per window",
        "addition": "addition of equal shapes",
        "concatenation": "concatenation along the channels",
    }
    row = 0.42
    fig = plt.figure(figsize=(width, row * len(labels) + 0.1), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(-row * len(labels), 0.1))
    ax.set_axis_off()
    for i, (kind, words) in enumerate(labels.items()):
        y = -row * (i + 0.5) + 0.05
        for patch in _patches(kind, 0.42, y, 0.62, 0.27):
            ax.add_patch(patch)
        if kind == "addition":
            ax.text(0.42, y, "+", ha="center", va="center_baseline", size=11)
        ax.text(0.85, y, words, va="center", size=TEXT, color=PALETTE["ink"])
    return fig


class _Drawing:
    """One module: measures its operations, then places shapes, text and arrows."""

    def __init__(
        self, listed: Sequence[DrawnOperation], column: float, shapes: bool, untitled: bool
    ):
        self.operations = {operation.name: operation for operation in listed}
        self.column, self.shapes, self.untitled = column, shapes, untitled
        self.readers: dict[str, list[str]] = {name: [] for name in self.operations}
        for operation in listed:
            for name in operation.inputs:
                self.readers[name].append(operation.name)
        self.places: dict[str, tuple[float, float, float]] = {}  # middle, top, bottom
        self.detours: dict[tuple[str, str], float] = {}  # where a skip runs down

    def height(self, chain: Chain) -> float:
        """Inches from the top of the title to the bottom of the last operation."""
        return height_of(chain, self.slot) + (0.12 if self.untitled else 0.34)

    def slot(self, name: str) -> float:
        """Inches that an operation takes with the arrow before it."""
        return self.box(name) + _GAP

    def box(self, name: str) -> float:
        """Inches that an operation is high."""
        operation = self.operations[name]
        if operation.kind == "addition":
            return 0.24
        return _LINE * len(self.lines(name)) + 0.1

    def wide(self, name: str) -> float:
        """Inches that an operation is wide; a concatenation spans what it reads."""
        operation = self.operations[name]
        if operation.kind == "concatenation":
            # What others read as well arrives by a skip connection, which is narrower.
            columns = [SKIP if len(self.readers[each]) > 1 else 1.0 for each in operation.inputs]
            return sum(columns) * self.column - 0.12
        return min(self.column - 0.1, 1.75)

    def lines(self, name: str) -> list[str]:
        """What is written inside of an operation, broken to fit."""
        operation = self.operations[name]
        fits = max(8, int((self.wide(name) - 0.1) * 72 / (TEXT * 0.58)))
        lines = textwrap.wrap(operation.label, fits)
        unchanged = ("activation", "norm", "addition", "scaling")
        if self.shapes and operation.kind not in unchanged:
            lines.append(_shape(operation.output_shape))
        return lines

    def draw(self, ax: Axes, chain: Chain, middle: float, top: float, title: str) -> None:
        """Draw the title, the arrows, and the operations over them."""
        if not self.untitled:
            top -= 0.24
            ax.text(middle, top + 0.12, title, size=9.5, weight="bold", ha="center", va="center")
        self.place(chain, middle, top)
        for operation in self.operations.values():
            for source in operation.inputs:
                self.arrow(ax, source, operation.name)
        for name, operation in self.operations.items():
            x, high, low = self.places[name]
            width, y = self.wide(name), (high + low) / 2
            for patch in _patches(operation.kind, x, y, width, high - low):
                ax.add_patch(patch)
            lines = self.lines(name)
            for i, line in enumerate(lines):
                is_shape = i == len(lines) - 1 and line == _shape(operation.output_shape)
                ax.text(
                    x,
                    y + _LINE * ((len(lines) - 1) / 2 - i),
                    line,
                    ha="center",
                    va="center_baseline" if operation.kind == "addition" else "center",
                    size=11 if operation.kind == "addition" else TEXT,
                    color="#4b5563" if is_shape else PALETTE["ink"],
                )

    def place(self, chain: Chain, middle: float, top: float) -> None:
        """Find the place of every operation of a chain whose first arrow starts at ``top``."""
        last = ""
        for item in chain:
            if isinstance(item, str):
                box = self.box(item)
                top -= _GAP
                self.places[item] = (middle, top, top - box)
                top -= box
                last = item
                continue
            height = height_of(item, self.slot)
            left = middle - width_of(item) * self.column / 2
            for branch in item.chains:
                width = width_of(branch) * self.column
                spare = height - height_of(branch, self.slot)
                if branch:
                    self.place(branch, left + width / 2, top - spare / 2)
                else:
                    self.detours[last, item.join] = left + width / 2
                left += width
            top -= height

    def arrow(self, ax: Axes, source: str, target: str) -> None:
        """Draw an arrow by right angles; a skip takes a detour beside the branch."""
        x0, _, y0 = self.places[source]
        x1, y1, low = self.places[target]
        detour = self.detours.get((source, target))
        joins = self.operations[target].kind == "concatenation"
        forks = len(self.readers[source]) > 1
        if detour is not None and joins:
            corners = [(x0, y0), (x0, y0 - 0.08), (detour, y0 - 0.08), (detour, y1)]
        elif detour is not None:
            side = (y1 + low) / 2
            radius = 0.13 if self.operations[target].kind == "addition" else 0.0
            end = x1 + radius * (1 if detour > x1 else -1)
            corners = [(x0, y0), (x0, y0 - 0.08), (detour, y0 - 0.08), (detour, side), (end, side)]
        elif abs(x0 - x1) < 1e-6 or joins and not forks:
            corners = [(x0, y0), (x0, y1)]
        else:
            bend = y0 - 0.08 if forks else y1 + 0.12
            corners = [(x0, y0), (x0, bend), (x1, bend), (x1, y1)]
        ax.plot(*zip(*corners[:-1], strict=True), color=PALETTE["gray"], lw=1.1, zorder=1)
        ax.annotate(
            "",
            corners[-1],
            corners[-2],
            arrowprops={
                "arrowstyle": "-|>,head_length=0.35,head_width=0.16",
                "color": PALETTE["gray"],
                "lw": 1.1,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=1,
        )


def _patches(kind: str, x: float, y: float, width: float, height: float) -> list[Patch]:
    """The shape of a kind of operation, centered at a point."""
    color, shape = LOOKS[kind]
    line = PALETTE[color]
    style: dict[str, Any] = {
        "facecolor": _tint(line),
        "edgecolor": line,
        "linewidth": 1.3,
        "zorder": 2,
    }
    left, right, low, high = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    if shape == "text":
        return []
    if shape == "circle":
        return [Circle((x, y), 0.13, **style)]
    if shape == "funnel":
        cut = min(0.12, width / 16)
        corners = [(left, high), (right, high), (right - cut, low), (left + cut, low)]
        return [Polygon(corners, **style)]
    if shape == "octagon":
        cut = 0.08
        corners = [(left + cut, high), (right - cut, high), (right, high - cut), (right, low + cut)]
        corners += [(right - cut, low), (left + cut, low), (left, low + cut), (left, high - cut)]
        return [Polygon(corners, **style)]
    if shape in ("rounded", "pill"):
        round_by = 0.06 if shape == "rounded" else height / 2 - 0.005
        box = f"round,pad=0,rounding_size={round_by}"
        return [FancyBboxPatch((left, low), width, height, boxstyle=box, **style)]
    if shape == "double":  # several operations in one
        inner = Rectangle((left + 0.04, low + 0.04), width - 0.08, height - 0.08, **style)
        inner.set(linewidth=0.6)
        style["facecolor"] = "white"
        return [Rectangle((left, low), width, height, **style), inner]
    return [Rectangle((left, low), width, height, **style)]


def _tint(color: str) -> str:
    """A light form of a color, on white, without transparency."""
    red, green, blue = (1 - TINT * (1 - part) for part in mpl.colors.to_rgb(color))
    return mpl.colors.to_hex((red, green, blue))


def _shape(shape: Sequence[int]) -> str:
    """Write channels and sides: ``64 × 28²``, or the number of features."""
    channels, *sides = shape
    if not sides or set(sides) == {1}:
        return f"{channels:,}"
    square = len(set(sides)) == 1 and len(sides) == 2
    return f"{channels} × " + (f"{sides[0]}²" if square else "×".join(map(str, sides)))
