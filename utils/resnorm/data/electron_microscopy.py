"""Electron-microscopy slices of the ISBI 2012 challenge, the data of the U-Net paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .cell_images import Cells
from .pixels import image_files, read_gray, read_labels


def microscopy(root: str | Path) -> Cells:
    """Read electron-microscopy slices and their labels from a folder.

    Connected regions of the label are numbered as cells (scipy).

    Args:
        root: a folder with ``image/N.png`` and ``label/N.png``, N from 0, of 8 or 16 bits; a label
            of 0 is membrane, any other value is cell. In a palette the index counts, not the color.
            Hidden files do not count.

    Returns:
        Standardized images, and the cell of each pixel.

    Raises:
        FileNotFoundError: a folder is missing or empty, or an image has no label, or the reverse.
        ValueError: the images differ in size, the name of an image is not a number, a label is
            transparent in parts, or a folder holds images that would not be read.
    """
    from scipy import ndimage  # here: import resnorm stays light

    root = Path(root)
    names = _common_names(root)
    pictures = [read_gray(root / "image" / name) for name in names]
    labels = [read_labels(root / "label" / name) for name in names]
    shapes = {array.shape for array in [*pictures, *labels]}
    if len(shapes) != 1:
        raise ValueError(f"microscopy({str(root)!r}): images of different sizes, {sorted(shapes)}")
    images = torch.from_numpy(np.stack(pictures)).unsqueeze(1)  # (n, 1, H, W)
    regions = np.stack([ndimage.label(label)[0] for label in labels])
    return Cells(
        (images - images.mean()) / images.std(),
        torch.from_numpy(regions).long(),
        f"ISBI 2012 electron microscopy, {len(names)} slices",
    )


def _common_names(root: Path) -> list[str]:
    """Return the names of the files in both folders, in the order of their numbers."""
    images, labels = (
        {path.name for path in image_files(root / kind, (".png",))} for kind in ("image", "label")
    )
    if not images or images != labels:
        unpaired = sorted(images ^ labels)[:5]
        raise FileNotFoundError(
            f"microscopy({str(root)!r}): expected image/N.png and label/N.png with the same names; "
            + (f"without a partner: {', '.join(unpaired)}" if unpaired else "found no images")
        )
    if wrong := sorted(name for name in images if not Path(name).stem.isdecimal()):
        raise ValueError(
            f"microscopy({str(root)!r}): the order of the slices is that of their numbers, but "
            f"{', '.join(wrong[:5])} has none; name the images 0.png, 1.png, ..."
        )
    # Of 1.png and 01.png the name decides, as the order of a set changes with each process.
    return sorted(images, key=lambda name: (int(Path(name).stem), name))
