"""The frames of an interactive figure for a phone, each arranged as :mod:`.narrow` arranges it."""

from __future__ import annotations

from matplotlib.figure import Figure

from . import narrow
from .display import to_bytes
from .drawings import least_width
from .lettering import collisions, outside, smallest_text

#: Pixels per inch: two for one of the page, because phones have that many.
DPI = 192
#: So high is a figure at most, in inches, that the controls above it stay in sight.
TALLEST = 5.2


class PhoneFrames:
    """Collects the states of a figure that is too wide for a phone.

    All of them have the same size, so that nothing jumps. If one state cannot be arranged, the
    figure has no frames for a phone, and its wide ones scroll there.

    Attributes:
        pictures: a WebP for each state; empty if the figure fits a phone or cannot be arranged.
        smallest: size of the smallest lettering of the first state, in points.
    """

    def __init__(self) -> None:
        self.pictures: dict[tuple, bytes] = {}
        self.smallest = float("inf")
        self._heights = (0.0, TALLEST)
        self._tried = True

    def add(self, values: tuple, fig: Figure) -> None:
        """Arrange one state, or find that the figure needs no frames for a phone.

        Args:
            values: the state; the first one decides on the size of all.
            fig: its figure, which has just been drawn; afterwards it is of no further use.
        """
        first = not self.pictures
        if not self._tried or (first and fits(fig)):
            self._tried = False
            return
        before = len(collisions(fig, laid_out=True))
        self._tried = narrow.arranged(fig, self._heights)
        if self._tried:
            fig.set_dpi(DPI)
            self.pictures[values] = to_bytes(fig, "webp", DPI)
            cut, covered = outside(fig, laid_out=True), collisions(fig, laid_out=True)
            self._tried = not cut and len(covered) <= before
        if not self._tried:
            self.pictures.clear()
        elif first:
            self._heights = (fig.get_figheight(), fig.get_figheight())
            self.smallest = smallest_text(fig, laid_out=True)


def fits(fig: Figure) -> bool:
    """Tell whether a phone shows a figure without scrolling, and legibly.

    Args:
        fig: the figure, which has just been drawn.
    """
    smallest = smallest_text(fig, laid_out=True) * 96 / 72
    return least_width(round(96 * fig.get_figwidth()), smallest) <= 96 * narrow.WIDTH
