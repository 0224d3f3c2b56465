"""Generated images of crowded cells, to be segmented."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """Images of cells and what each pixel belongs to.

    Attributes:
        images: (n, 1, H, W), float32.
        instances: (n, H, W), int64; 0 is background, each cell of an image has its own number.
        source: what the data is, to be printed under results.
    """

    images: Tensor
    instances: Tensor
    source: str

    @property
    def masks(self) -> Tensor:
        """(n, H, W), int64: 1 inside a cell, 0 in the background."""
        return (self.instances > 0).long()

    def to(self, device: torch.device | str) -> Cells:
        """Copy the images to a device. The cells stay, because regions are counted on the CPU.

        Args:
            device: such as ``"cuda"``.

        Returns:
            A new data set; this one is unchanged.
        """
        return replace(self, images=self.images.to(device))


def cells(
    n: int = 64,
    size: int = 64,
    *,
    per_image: int = 14,
    gap: float = 1.6,
    noise: float = 0.35,
    seed: int = 0,
) -> Cells:
    """Generate crowded cells, many of which are separated by only a thin line of background.

    Cells grow from random centers until they meet, so that borders are where two centers are
    equally far, or until they reach their radius. Brightness differs from cell to cell and across
    the image. Small bright specks in the background look like bits of cells but are none. A network
    needs the surroundings to tell a speck from a cell, and single pixels to separate neighbors.

    Args:
        n: number of images, at least 1.
        size: side in pixels, at least 16.
        per_image: cells per image, at least 2; some are hidden where centers are close.
        gap: half the width of the line between touching cells, in pixels.
        noise: standard deviation of the white noise; cells are brighter than the background by
            about 1.
        seed: of everything; the same seed gives the same images.

    Returns:
        Images and the cell of each pixel.

    Raises:
        ValueError: the number of images, the size or the number of cells is too small.
    """
    if n < 1 or size < 16 or per_image < 2:
        raise ValueError(
            f"cells(n={n}, size={size}, per_image={per_image}): n must be 1 or more, "
            "size 16 or more, per_image 2 or more"
        )
    g = torch.Generator().manual_seed(seed)
    axis = torch.arange(size, dtype=torch.float32)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")  # (size, size)

    # The elliptic distance of each pixel from each center: (n, per_image, size, size).
    centers = size * torch.rand(n, per_image, 2, 1, 1, generator=g)
    stretch = 1 + 0.5 * torch.rand(n, per_image, 1, 1, generator=g)
    angle = torch.pi * torch.rand(n, per_image, 1, 1, generator=g)
    dy, dx = yy - centers[:, :, 0], xx - centers[:, :, 1]
    along, across = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    distance = (along**2 / stretch + across**2 * stretch).sqrt()

    # A pixel belongs to the nearest center, unless it is too far away or near a border.
    nearest, owner = distance.topk(2, dim=1, largest=False)  # (n, 2, size, size)
    radius = size * (0.11 + 0.07 * torch.rand(n, per_image, 1, 1, generator=g))
    owner_radius = radius.expand_as(distance).gather(1, owner[:, :1])[:, 0]
    inside = (nearest[:, 0] < owner_radius) & (nearest[:, 1] - nearest[:, 0] > gap)
    instances = torch.where(inside, owner[:, 0] + 1, 0)  # (n, size, size)

    brightness = 1 + 0.25 * torch.randn(n, per_image + 1, generator=g)
    brightness[:, 0] = 0
    picture = brightness.gather(1, instances.flatten(1)).view(n, size, size)
    specks = size * torch.rand(n, per_image, 2, 1, 1, generator=g)
    near = ((yy - specks[:, :, 0]) ** 2 + (xx - specks[:, :, 1]) ** 2).amin(1) < 4.0
    picture = torch.where(near & ~inside, torch.ones(()), picture)

    # The microscope: out of focus, unevenly lit, noisy. (n, 1, size, size)
    picture = F.pad(picture[:, None], (1, 1, 1, 1), mode="replicate")
    picture = F.avg_pool2d(picture, 3, stride=1)
    slope = 0.5 * torch.randn(2, n, 1, 1, 1, generator=g)
    picture = picture + slope[0] * (xx / size - 0.5) + slope[1] * (yy / size - 0.5)
    picture = picture + noise * torch.randn(picture.shape, generator=g)
    return Cells(picture, instances, f"generated cells, {size} x {size}, seed {seed}")
