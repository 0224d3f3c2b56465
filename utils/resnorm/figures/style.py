"""One look for every figure of the course: palette and matplotlib style."""

from __future__ import annotations

from importlib.resources import files

import matplotlib.pyplot as plt

#: The palette of pages and figures: distinct in grayscale and to color-blind readers
#: (after Okabe & Ito 2008), in the order of use.
PALETTE = {
    "blue": "#1f5fa8",
    "orange": "#d9730d",
    "green": "#12876f",
    "purple": "#8b4fa0",
    "red": "#c03a2b",
    "gray": "#6b7280",
    "ink": "#1c2430",
}


def use_style() -> None:
    """Apply the course's matplotlib style to all figures that follow; the backend stays.

    Inside ``with matplotlib.rc_context():`` the style ends with the block.
    """
    plt.style.use(str(files("resnorm") / "assets" / "resnorm.mplstyle"))
