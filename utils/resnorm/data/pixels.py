"""Reading image files: which ones a folder holds, and grays of 8 or of 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def image_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Find the images in a folder, sorted by name; capitals in a suffix do not matter.

    Hidden files are left out: other programs put them there, and many are no images in spite of
    their suffix (macOS writes ``._0.png`` beside ``0.png``).

    Args:
        folder: need not exist.
        suffixes: in lower case, such as ``".png"``.
    """
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def read_gray(path: Path) -> np.ndarray:
    """Read an image as shades of gray, (height, width) float32 in [0, 1].

    Args:
        path: an image of 8 or 16 bits per channel.
    """
    with Image.open(path) as image:
        if image.mode.startswith("I"):  # Pillow would clip 16 bits to 8, not scale them
            return np.asarray(image, np.float32) / 65535
        return np.asarray(image.convert("L"), np.float32) / 255


def read_rgb(path: Path) -> np.ndarray:
    """Read an image in color, (height, width, 3) uint8.

    Args:
        path: an image of 8 or 16 bits per channel.
    """
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            gray = np.rint(np.asarray(image, np.float32) / 257).astype(np.uint8)  # 65535 -> 255
            return np.stack([gray] * 3, axis=-1)
        return np.asarray(image.convert("RGB"))


def read_labels(path: Path) -> np.ndarray:
    """Read where a label is not zero, (height, width) bool, whatever the other values are.

    Args:
        path: an image of one channel or a palette, or in color, where black is zero.
    """
    with Image.open(path) as image:
        one_channel = image.mode in ("1", "L", "P") or image.mode.startswith("I")
        pixels = np.asarray(image if one_channel else image.convert("RGB"))
    return pixels != 0 if one_channel else (pixels != 0).any(axis=2)
