"""Cells to be segmented: generated ones, and electron-microscopy slices from a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """Images of cells and what each pixel belongs to.

    Attributes:
        images: (n, 1, H, W) float32.
        instances: (n, H, W) int64: 0 is background, each cell of an image has a number of its own.
        source: what the data is, to be printed under results.
    """

    images: Tensor
    instances: Tensor
    source: str

    @property
    def masks(self) -> Tensor:
        """(n, H, W) int64: 1 inside a cell, 0 in the background."""
        return (self.instances > 0).long()


def cells(
    n: int = 64,
    size: int = 64,
    *,
    per_image: int = 14,
    gap: float = 1.6,
    noise: float = 0.35,
    seed: int = 0,
) -> Cells:
    """Crowded cells, many of which touch but for a thin line of background.

    Cells grow from random centres until they meet, so that borders are where two centres are
    equally far, or until they reach their radius. Brightness differs from cell to cell and across the image;
    small bright specks in the background look like bits of cells and are none. A network needs
    the surroundings to tell a speck from a cell, and single pixels to keep neighbours apart.

    Args:
        n: images.
        size: side in pixels.
        per_image: cells, some of which are hidden where centres are close.
        gap: half the width of the line between touching cells, in pixels.
        noise: standard deviation of the white noise; a cell is about 1 brighter than the background.
        seed: of everything; the same seed gives the same images.

    Raises:
        ValueError: no images, an image below 16 pixels, or fewer than two cells.
    """
    if n < 1 or size < 16 or per_image < 2:
        raise ValueError(
            f"cells(n={n}, size={size}, per_image={per_image}): n must be 1 or more, size 16 or more, per_image 2 or more"
        )
    g = torch.Generator().manual_seed(seed)
    axis = torch.arange(size, dtype=torch.float32)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")

    centres = size * torch.rand(n, per_image, 2, 1, 1, generator=g)
    stretch = 1 + 0.5 * torch.rand(n, per_image, 1, 1, generator=g)
    angle = torch.pi * torch.rand(n, per_image, 1, 1, generator=g)
    dy, dx = yy - centres[:, :, 0], xx - centres[:, :, 1]
    along, across = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    distance = (
        along**2 / stretch + across**2 * stretch
    ).sqrt()  # (n, per_image, size, size): ellipses

    nearest, owner = distance.topk(2, dim=1, largest=False)
    radius = size * (0.11 + 0.07 * torch.rand(n, per_image, 1, 1, generator=g))
    inside = (nearest[:, 0] < radius.expand_as(distance).gather(1, owner[:, :1])[:, 0]) & (
        nearest[:, 1] - nearest[:, 0] > gap
    )
    instances = torch.where(inside, owner[:, 0] + 1, 0)

    brightness = 1 + 0.25 * torch.randn(n, per_image + 1, generator=g)
    brightness[:, 0] = 0
    picture = brightness.gather(1, instances.flatten(1)).view(n, size, size)
    specks = size * torch.rand(n, per_image, 2, 1, 1, generator=g)
    near = ((yy - specks[:, :, 0]) ** 2 + (xx - specks[:, :, 1]) ** 2).amin(1) < 4.0
    picture = torch.where(near & ~inside, torch.ones(()), picture)
    picture = F.avg_pool2d(
        F.pad(picture[:, None], (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )  # out of focus
    slope = 0.5 * torch.randn(2, n, 1, 1, 1, generator=g)
    picture = picture + slope[0] * (xx / size - 0.5) + slope[1] * (yy / size - 0.5)
    picture = picture + noise * torch.randn(picture.shape, generator=g)
    return Cells(picture, instances, f"generated cells, {size} x {size}, seed {seed}")


def microscopy(root: str | Path) -> Cells:
    """Electron-microscopy slices of the ISBI 2012 challenge, the data of the U-Net paper, from a folder.

    Cells are numbered by connected regions of the mask (scipy).

    Args:
        root: holds ``image/N.png`` and ``label/N.png``, N from 0; 8 bit, label 0 is membrane.

    Raises:
        FileNotFoundError: no such folders, an image without a label or the reverse.
        ValueError: sizes that differ.
    """
    from scipy import ndimage  # here: import resnorm stays light

    root = Path(root)
    names = {
        kind: {path.name for path in (root / kind).glob("*.png")} for kind in ("image", "label")
    }
    if not names["image"] or names["image"] != names["label"]:
        odd = sorted(names["image"] ^ names["label"])[:5]
        raise FileNotFoundError(
            f"microscopy({str(root)!r}): expected image/N.png and label/N.png with the same names; "
            + (f"without a partner: {', '.join(odd)}" if odd else "found no images")
        )
    order = sorted(names["image"], key=lambda name: int(Path(name).stem))
    arrays = {
        kind: [np.asarray(Image.open(root / kind / name).convert("L")) for name in order]
        for kind in names
    }
    shapes = {array.shape for kind in arrays.values() for array in kind}
    if len(shapes) != 1:
        raise ValueError(f"microscopy({str(root)!r}): images of different sizes, {sorted(shapes)}")
    images = torch.from_numpy(np.stack(arrays["image"])).float().unsqueeze(1) / 255
    instances = torch.from_numpy(
        np.stack([ndimage.label(label > 127)[0] for label in arrays["label"]])
    ).long()
    return Cells(
        (images - images.mean()) / images.std(),
        instances,
        f"ISBI 2012 electron microscopy, {len(order)} slices",
    )
