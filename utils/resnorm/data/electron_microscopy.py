"""Electron-microscopy slices of the ISBI 2012 challenge, the data of the U-Net paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .cell_images import Cells


def microscopy(root: str | Path) -> Cells:
    """Read electron-microscopy slices and their labels from a folder.

    Connected regions of the label are numbered as cells (scipy).

    Args:
        root: a folder with ``image/N.png`` and ``label/N.png``, N from 0, of 8 bits; a label of 0
            is membrane.

    Returns:
        Standardized images, and the cell of each pixel.

    Raises:
        FileNotFoundError: a folder is missing or empty, or an image has no label, or the reverse.
        ValueError: the images differ in size.
    """
    from scipy import ndimage  # here: import resnorm stays light

    root = Path(root)
    names = _common_names(root)
    arrays = {
        kind: [np.asarray(Image.open(root / kind / name).convert("L")) for name in names]
        for kind in ("image", "label")
    }
    shapes = {array.shape for kind in arrays.values() for array in kind}
    if len(shapes) != 1:
        raise ValueError(f"microscopy({str(root)!r}): images of different sizes, {sorted(shapes)}")
    images = torch.from_numpy(np.stack(arrays["image"])).float().unsqueeze(1) / 255
    regions = np.stack([ndimage.label(label > 127)[0] for label in arrays["label"]])
    return Cells(
        (images - images.mean()) / images.std(),
        torch.from_numpy(regions).long(),
        f"ISBI 2012 electron microscopy, {len(names)} slices",
    )


def _common_names(root: Path) -> list[str]:
    """Return the names of the files in both folders, in the order of their numbers."""
    images, labels = ({p.name for p in (root / kind).glob("*.png")} for kind in ("image", "label"))
    if not images or images != labels:
        unpaired = sorted(images ^ labels)[:5]
        raise FileNotFoundError(
            f"microscopy({str(root)!r}): expected image/N.png and label/N.png with the same names; "
            + (f"without a partner: {', '.join(unpaired)}" if unpaired else "found no images")
        )
    return sorted(images, key=lambda name: int(Path(name).stem))
