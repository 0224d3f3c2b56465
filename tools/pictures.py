"""Are two pictures the same, up to what another machine may change?

Another processor rounds sums differently, so a curve may move by a pixel. Every pixel must
therefore find its color within :data:`REACH` pixels in the other picture, and in no window of
:data:`WINDOW` by :data:`WINDOW` pixels may more than :data:`MAX_PIXELS` fail to. The window makes a
changed digit, a missing marker or a swapped legend count as much in a large picture as in a small.

Where a picture shows rounding errors or what a long training made of them (a cell tagged
``picture-varies``), only its overall look is compared: within :data:`LOOSE_REACH` pixels, and by
the share of pixels in the whole picture.
"""

import base64
import io

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import uniform_filter

#: How far a line may move, in pixels of the stored picture.
REACH, LOOSE_REACH = 1, 3
#: How far a color channel may lie outside of what the neighborhood holds, of 255.
MAX_COLOR = 32
#: Side of the windows in which unmatched pixels are counted, and how many each may hold.
WINDOW, MAX_PIXELS = 24, 8
#: The share of all pixels that may be unmatched in a picture that varies.
MAX_SHARE = 0.002


def decode(encoded: str) -> Image.Image:
    """Read the picture in the base64 text of an output."""
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def unmatched(picture: Image.Image, other: Image.Image, reach: int) -> np.ndarray:
    """Mark the pixels of ``picture`` whose color ``other`` does not have within ``reach``.

    Returns:
        (height, width), bool.
    """
    size = 2 * reach + 1
    values = np.asarray(picture, dtype=np.int16)
    lowest = np.asarray(other.filter(ImageFilter.MinFilter(size)), dtype=np.int16)
    highest = np.asarray(other.filter(ImageFilter.MaxFilter(size)), dtype=np.int16)
    outside = (values < lowest - MAX_COLOR) | (values > highest + MAX_COLOR)
    return outside.any(axis=2)


def difference(stored: str, new: str, varies: bool = False) -> str | None:
    """Say what tells a new picture from the stored one; None if they agree.

    Args:
        stored: base64 text of a PNG.
        new: the same, as the code draws it now.
        varies: compare the overall look only.
    """
    if stored == new:
        return None
    first, second = decode(stored), decode(new)
    if first.size != second.size:
        return f"the stored picture has {first.size} pixels, the new one {second.size}"
    reach = LOOSE_REACH if varies else REACH
    marks = [unmatched(first, second, reach), unmatched(second, first, reach)]
    if varies:
        share = max(mark.mean() for mark in marks)
        if share > MAX_SHARE:
            return f"{100 * share:.2f} % of the pixels differ; at most {100 * MAX_SHARE:g} % may"
        return None
    pixels = round(
        max(uniform_filter(mark.astype(float), WINDOW).max() for mark in marks) * WINDOW**2
    )
    if pixels > MAX_PIXELS:
        return (
            f"in a window of {WINDOW} x {WINDOW} pixels {pixels} differ; at most {MAX_PIXELS} may"
        )
    return None
