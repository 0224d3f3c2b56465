"""Images in one folder per class, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .pixels import image_files, read_rgb

SUFFIXES = (".png", ".jpg", ".jpeg")


def read_image_folder(
    root: Path, part: str, classes: Sequence[str], size: int
) -> tuple[Tensor, Tensor]:
    """Read ``root/part/<class>/*``, class by class in the given order, sorted by name.

    Args:
        root: the folder of the data set.
        part: such as ``"train"``.
        classes: names of the folders that must be there; no other may be, unless it is hidden.
        size: side of the images in pixels.

    Returns:
        Images, (n, 3, size, size) uint8, and indices into ``classes``, (n,) int64.

    Raises:
        ValueError: a class is missing, unknown or empty; its folder holds folders, broken links or
            images of another kind; an image is broken or of another size.
    """
    _check_classes(root / part, part, classes)
    images, labels = [], []
    for label, name in enumerate(classes):
        paths = image_files(root / part / name, SUFFIXES)
        if not paths:
            raise ValueError(f"{part}/{name}/ holds no .png or .jpg images")
        images += [_read_image(path, f"{part}/{name}/{path.name}", size) for path in paths]
        labels += [label] * len(paths)
    channels_first = np.stack(images).transpose(0, 3, 1, 2).copy()
    return torch.from_numpy(channels_first), torch.tensor(labels)


def _check_classes(folder: Path, part: str, classes: Sequence[str]) -> None:
    inside = folder.iterdir() if folder.is_dir() else ()
    there = {path.name for path in inside if path.is_dir() and not path.name.startswith(".")}
    missing, extra = sorted(set(classes) - there), sorted(there - set(classes))
    if missing or extra:
        raise ValueError(
            f"{part}/ must hold one folder for each of the {len(classes)} classes"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; unexpected: {', '.join(extra)}" if extra else "")
        )


def _read_image(path: Path, name: str, size: int) -> np.ndarray:
    """Return an image as (size, size, 3), uint8."""
    try:
        array = read_rgb(path)
    except OSError as problem:
        raise ValueError(f"{name} cannot be read as an image ({problem})") from None
    if array.shape != (size, size, 3):
        raise ValueError(
            f"{name} is {array.shape[1]} x {array.shape[0]}; it must be {size} x {size}"
        )
    return array
