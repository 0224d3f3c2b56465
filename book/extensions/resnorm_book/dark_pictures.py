"""Pictures for the dark theme: photographs keep their light, the paper around them turns dark.

The style turns line drawings over in the browser, but brightness is what a photograph shows. So
pictures whose alternative text begins with ``Images:`` get a second file, in which only the paper
and the lettering between the panels are turned over.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

#: The style's ``invert(.93)``: white becomes the dark page's background.
INVERT = 0.93
#: Paper is lighter than this, from 0 to 1.
PAPER = 0.985
#: What is lower or narrower than this, in pixels, is lettering and no panel.
LETTER = 26
#: A panel of at least this share of the figure's width is a rectangle.
LARGE = 0.15
#: Rows of a picture are filled to this share; bars on an axis have paper between them.
BARS = 0.05
PICTURE = re.compile(r'<img\b[^>]*\balt="Images:[^>]*>')


def panels(pixels: np.ndarray, scale: int = 1) -> np.ndarray:
    """Where a figure shows pictures, as a mask (height, width).

    A large panel is a rectangle, also where white parts of its picture touch its edge.

    Args:
        pixels: (height, width, 3), from 0 to 1.
        scale: pixels for one of a picture that a notebook stores.
    """
    darkest = pixels.min(2)
    parts, count = ndimage.label(darkest < PAPER, np.ones((3, 3)))
    found = np.zeros(parts.shape, bool)
    for index, place in enumerate(ndimage.find_objects(parts), start=1):
        part = ndimage.binary_fill_holes(parts[place] == index)
        if min(part.shape) < LETTER * scale or part.mean() < 0.25:
            continue
        if min(part.shape) >= LARGE * pixels.shape[1] and part.mean() > 0.5:
            rows, columns = (np.flatnonzero(part.mean(axis) > 0.3) for axis in (1, 0))
            if part[rows[0] : rows[-1] + 1].mean(1).min() > BARS:
                part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        found[place] |= part
    # Where a panel fades into the paper, its last pixels are nearly white: a line in the dark.
    edge = found & ~ndimage.binary_erosion(found, iterations=2 * scale)
    return found & ~(edge & (darkest > 0.7))


def turned(pixels: np.ndarray) -> np.ndarray:
    """Colors with their lightness turned over and their hue kept, as the style's filter does it.

    Args:
        pixels: (height, width, 3), from 0 to 1.
    """
    inverted = INVERT - (2 * INVERT - 1) * pixels
    gray = inverted @ np.array([0.213, 0.715, 0.072])
    return np.clip(2 * gray[..., None] - inverted, 0, 1)  # hue-rotate(180deg)


def darkened(light: Path, scale: int = 1) -> Path:
    """Write a picture for the dark theme beside ``light``, and return its path.

    Args:
        light: a picture with white paper, PNG or WebP without loss.
        scale: pixels for one of a picture that a notebook stores.
    """
    dark = light.with_name(f"{light.stem}-dark{light.suffix}")
    if not dark.exists():  # the name is a digest of the picture
        pixels = np.asarray(Image.open(light).convert("RGB"), float) / 255
        result = np.where(panels(pixels, scale)[..., None], pixels, turned(pixels))
        settings = {"lossless": True, "method": 6} if dark.suffix == ".webp" else {"optimize": True}
        Image.fromarray((result * 255).round().astype("uint8")).save(dark, **settings)
    return dark


def with_dark_pictures(page: str, folder: Path) -> str:
    """A page that shows each such picture in the form for its theme.

    Args:
        page: HTML.
        folder: of the page.
    """

    def both(found: re.Match[str]) -> str:
        tag = found[0]
        if "data-smallest" in tag:  # it has both: see ``drawings`` and ``frames``
            return tag
        source = re.search(r'\bsrc="([^"]+\.png)"', tag)
        if source is None:  # a frame of an interactive figure
            return tag
        dark = darkened(folder / source[1])
        other = source[1].rsplit("/", 1)[0] + "/" + dark.name
        return tag.replace("<img ", '<img class="only-light" ', 1) + tag.replace(
            "<img ", '<img class="only-dark" ', 1
        ).replace(source[1], other)

    return PICTURE.sub(both, page)
