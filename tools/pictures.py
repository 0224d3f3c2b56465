"""Are two pictures the same, up to what another machine may change?

Another processor rounds sums differently, so the curve of a training moves by a pixel or two, and a
tick may move with it. Every pixel must therefore find its color within :data:`REACH` pixels in the
other picture; a share of at most :data:`MAX_SHARE` may fail to. What was drawn by other code, from
other data or with other labels fails by far more.
"""

import base64
import io

import numpy as np
from PIL import Image, ImageFilter

#: How far a line may move, in pixels of the stored picture.
REACH = 3
#: How far a color channel may lie outside of what its neighborhood holds, of 255.
MAX_COLOR = 32
#: The share of pixels that may find no partner.
MAX_SHARE = 0.002


def decode(encoded: str) -> Image.Image:
    """The picture in the base64 text of an output."""
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def unmatched(picture: Image.Image, other: Image.Image) -> float:
    """The share of the pixels of ``picture`` whose color ``other`` has nowhere near."""
    size = 2 * REACH + 1
    values = np.asarray(picture, dtype=np.int16)
    lowest = np.asarray(other.filter(ImageFilter.MinFilter(size)), dtype=np.int16)
    highest = np.asarray(other.filter(ImageFilter.MaxFilter(size)), dtype=np.int16)
    outside = (values < lowest - MAX_COLOR) | (values > highest + MAX_COLOR)
    return float(outside.any(axis=2).mean())


def difference(stored: str, new: str) -> str | None:
    """What tells a new picture from the stored one, in words; None if they agree.

    Args:
        stored: base64 text of a PNG.
        new: the same, as the code draws it now.
    """
    if stored == new:
        return None
    first, second = decode(stored), decode(new)
    if first.size != second.size:
        return f"the stored picture has {first.size} pixels, the new one {second.size}"
    share = max(unmatched(first, second), unmatched(second, first))
    if share > MAX_SHARE:
        return f"{100 * share:.2f} % of the pixels differ; at most {100 * MAX_SHARE:g} % may"
    return None
