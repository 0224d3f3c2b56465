"""Generated scenes of ellipses, rectangles and triangles, to be segmented and to be detected."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

#: The classes of objects; in a mask, class k has the number k + 1 and the background 0.
SHAPES = ("ellipse", "rectangle", "triangle")

#: Positions that are tried for an object before it is left out.
_TRIES = 16


@dataclass(frozen=True)
class Scenes:
    """Images, the class of each pixel, and a box and a class for each object.

    Attributes:
        images: (n, 3, size, size), float32, in [0, 1].
        masks: (n, size, size), int64: 0 for the background, or the class of the object plus 1.
        boxes: n tensors (objects, 4), float32: left, top, right and bottom in pixels, where 0 is
            the border of the image and 1 the far side of its first pixel.
        labels: n tensors (objects,), int64: positions in :data:`SHAPES`.
        source: what the data is, to be printed under results.
    """

    images: Tensor
    masks: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    source: str

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Scenes:
        """Copy images and masks to a device. Boxes and labels stay on the CPU.

        Args:
            device: such as ``"cuda"``.

        Returns:
            New scenes; these are unchanged.
        """
        return replace(self, images=self.images.to(device), masks=self.masks.to(device))


def scenes(
    n: int = 256,
    size: int = 48,
    *,
    objects: tuple[int, int] = (1, 3),
    sides: tuple[float, float] = (0.2, 0.5),
    overlap: float = 0.1,
    noise: float = 0.1,
    seed: int = 0,
) -> Scenes:
    """Generate scenes of a few objects each, in random colors on an uneven background.

    Color says nothing about the class. Later objects hide earlier ones where they overlap; a box
    belongs to the whole object, whether or not a part of it is hidden.

    Args:
        n: number of images, at least 1.
        size: side of the images in pixels, at least 16.
        objects: smallest and largest number of objects per image; an object is left out where no
            free place is found for it, except the first.
        sides: smallest and largest side of an object's box, as shares of the image's side.
        overlap: largest share of the smaller box that two objects may have in common, in [0, 1].
        noise: standard deviation of the white noise.
        seed: of everything; the same seed gives the same scenes.

    Returns:
        Images, masks, boxes and labels.

    Raises:
        ValueError: there are no images, the images are too small, or a range is empty or lies
            outside of what is possible.
    """
    if n < 1 or size < 16:
        raise ValueError(f"scenes(n={n}, size={size}): n must be 1 or more, size 16 or more")
    if not 1 <= objects[0] <= objects[1]:
        raise ValueError(f"objects is {objects}; give a smallest and a largest number, 1 or more")
    if not 0 < sides[0] <= sides[1] <= 1 or sides[0] * size < 3:
        raise ValueError(
            f"sides is {sides}; give a smallest and a largest share of the image's side, at most 1 "
            f"and at least 3 pixels, which is {3 / size:.2g} here"
        )
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap is {overlap}; it must lie in [0, 1]")
    g = torch.Generator().manual_seed(seed)
    boxes, present = _places(n, size, objects, sides, overlap, g)
    labels = torch.randint(len(SHAPES), present.shape, generator=g)
    images, masks = _draw(boxes, labels, present, size, noise, g)
    return Scenes(
        images,
        masks,
        [box[here] for box, here in zip(boxes, present, strict=True)],
        [label[here] for label, here in zip(labels, present, strict=True)],
        f"generated scenes, {size} x {size}, seed {seed}",
    )


def _places(
    n: int,
    size: int,
    objects: tuple[int, int],
    sides: tuple[float, float],
    overlap: float,
    g: Generator,
) -> tuple[Tensor, Tensor]:
    """Find boxes inside the image that hardly overlap.

    Returns:
        (n, most, 4) boxes, and (n, most) booleans that say which of them hold an object.
    """
    most = objects[1]
    wanted = torch.randint(objects[0], most + 1, (n, 1), generator=g)
    spread = sides[1] - sides[0]
    lengths = size * (sides[0] + spread * torch.rand(n, most, 1, 2, generator=g))
    corners = (size - lengths) * torch.rand(n, most, _TRIES, 2, generator=g)
    tries = torch.cat([corners, corners + lengths], -1)  # (n, most, tries, 4)
    boxes = tries[:, :, 0].clone()
    present = torch.arange(most) < wanted
    for j in range(1, most):
        common = _shared(tries[:, j, :, None], boxes[:, None, :j])  # (n, tries, j)
        free = ((common <= overlap) | ~present[:, None, :j]).all(-1)
        first = free.int().argmax(1)  # the first place that is free
        boxes[:, j] = tries[torch.arange(n), j, first]
        present[:, j] &= free.any(1)
    return boxes, present


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """Compute the area that boxes share, as a share of the smaller one."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    smaller = torch.minimum((a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1))
    return (high - low).clamp(min=0).prod(-1) / smaller


def _draw(
    boxes: Tensor, labels: Tensor, present: Tensor, size: int, noise: float, g: Generator
) -> tuple[Tensor, Tensor]:
    """Paint objects on backgrounds: (n, 3, size, size) images and (n, size, size) masks."""
    n, most = labels.shape
    centers = torch.arange(size) + 0.5  # of pixels
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    level = 0.5 + 0.1 * torch.randn(n, 3, 1, 1, generator=g)
    slope = 0.15 * torch.randn(2, n, 3, 1, 1, generator=g)
    images = level + slope[0] * (x / size - 0.5) + slope[1] * (y / size - 0.5)
    masks = torch.zeros(n, size, size, dtype=torch.long)
    # A channel is brighter or darker than the middle by this much, so that objects stand out.
    sign = torch.randint(2, (n, most, 3), generator=g) * 2.0 - 1
    colors = 0.5 + sign * (0.2 + 0.25 * torch.rand(n, most, 3, generator=g))
    for j in range(most):
        inside = _inside(boxes[:, j, :, None, None], labels[:, j, None, None], x, y)
        inside &= present[:, j, None, None]
        images = torch.where(inside[:, None], colors[:, j, :, None, None], images)
        masks = torch.where(inside, labels[:, j, None, None] + 1, masks)
    images = images + noise * torch.randn(images.shape, generator=g)
    return images.clamp(0, 1), masks


def _inside(box: Tensor, label: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Say which pixels have their center in an object: (n, size, size)."""
    left, top, right, bottom = box.unbind(1)  # (n, 1, 1) each
    across = (2 * x - left - right) / (right - left)  # from -1 to 1 in the box
    down = (y - top) / (bottom - top)  # from 0 to 1 in the box
    shapes = (
        across**2 + (2 * down - 1) ** 2 <= 1,
        torch.ones_like(across, dtype=torch.bool),
        across.abs() <= down,  # the tip is at the top
    )
    inside = (across.abs() <= 1) & (down >= 0) & (down <= 1)
    for number, shape in enumerate(shapes):
        inside = inside & (shape | (label != number))
    return inside
