"""Reading image files: which ones a folder holds, and grays of 8 or of 16 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

#: Suffixes of images in general; one that a reader does not take would be missed silently.
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def image_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Find the images in a folder, sorted by name; capitals in a suffix do not matter.

    Hidden files are left out: other programs put them there, and many are no images in spite of
    their suffix (macOS writes ``._0.png`` beside ``0.png``). So are files that are no images.

    Args:
        folder: need not exist.
        suffixes: in lower case, such as ``".png"``.

    Raises:
        ValueError: the folder holds folders, broken links, or images with other suffixes. They are
            probably part of the data, and would be missing without a word.
    """
    if not folder.is_dir():
        return []
    found, missed = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = path.suffix.lower()
        if suffix in suffixes and path.is_file():
            found.append(path)
        elif suffix in IMAGE_SUFFIXES or not path.is_file():
            missed.append(path.name)
    if missed:
        raise ValueError(
            f"{folder.name}/ may hold images ({', '.join(suffixes)}) and no folders, broken links "
            f"or images of another kind, but there are {', '.join(missed[:5])}; move them away"
        )
    return found


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
        path: an image of one channel or a palette, whose index counts whatever its color is, or in
            color, where black is zero.

    Raises:
        ValueError: the image is transparent in parts, so that it is not clear what the label is.
    """
    with Image.open(path) as image:
        if "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255):
            raise ValueError(
                f"{path.parent.name}/{path.name} is transparent in parts: save the label without "
                "transparency, as an image of one channel in which 0 is no cell"
            )
        one_channel = image.mode in ("1", "L", "P") or image.mode.startswith("I")
        pixels = np.asarray(image if one_channel else image.convert("RGB"))
    return pixels != 0 if one_channel else (pixels != 0).any(axis=2)
