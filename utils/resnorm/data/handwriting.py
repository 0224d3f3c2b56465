"""Generated digits: strokes of a pen that never writes a digit twice in the same way."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .dataset import ImageDataset
from .drawing import distance_to_segment, pixel_grid

Point = tuple[float, float]
Stroke = list[Point]

#: The ways to write each digit. A way is a list of strokes, a stroke the points that the pen
#: passes: across and down in a unit square. At a point that stands twice, the pen turns a corner.
_WAYS: dict[int, list[list[Stroke]]] = {
    0: [[[(0.5, 0), (0.1, 0.25), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.9, 0.25), (0.5, 0)]]],
    1: [[[(0.5, 0), (0.5, 1)]], [[(0.25, 0.25), (0.55, 0), (0.55, 0), (0.55, 1)]]],
    2: [[[(0.1, 0.25), (0.5, 0), (0.88, 0.28), (0.5, 0.65), (0.1, 1), (0.1, 1), (0.9, 1)]]],
    3: [
        [
            [(0.12, 0.1), (0.5, 0), (0.82, 0.22), (0.4, 0.46), (0.4, 0.46), (0.88, 0.72)]
            + [(0.5, 1), (0.1, 0.88)]
        ]
    ],
    4: [
        [[(0.6, 0), (0.08, 0.66), (0.08, 0.66), (0.95, 0.66)], [(0.68, 0.35), (0.68, 1)]],
        [[(0.15, 0), (0.12, 0.5), (0.12, 0.5), (0.9, 0.5)], [(0.8, 0), (0.75, 1)]],
    ],
    5: [
        [
            [(0.85, 0), (0.2, 0), (0.2, 0), (0.18, 0.45), (0.18, 0.45), (0.6, 0.38), (0.9, 0.68)]
            + [(0.5, 1), (0.1, 0.9)]
        ]
    ],
    6: [[[(0.7, 0), (0.3, 0.3), (0.12, 0.7), (0.5, 1), (0.85, 0.75), (0.5, 0.52), (0.14, 0.75)]]],
    7: [
        [[(0.08, 0), (0.92, 0), (0.92, 0), (0.4, 1)]],
        [[(0.08, 0), (0.92, 0), (0.92, 0), (0.4, 1)], [(0.3, 0.5), (0.85, 0.5)]],
    ],
    8: [
        [
            [(0.5, 0.46), (0.16, 0.24), (0.5, 0), (0.84, 0.24), (0.5, 0.46), (0.1, 0.74)]
            + [(0.5, 1), (0.9, 0.74), (0.5, 0.46)]
        ]
    ],
    9: [[[(0.86, 0.28), (0.5, 0.5), (0.14, 0.26), (0.5, 0), (0.86, 0.28), (0.72, 1)]]],
}


def digits(
    train: int = 1024, test: int = 512, size: int = 32, noise: float = 0.3, seed: int = 0
) -> ImageDataset:
    """Draw digits as with a pen, in gray on 0, and add white noise.

    Each image takes one of the ways to write its digit, moves the points that the pen passes,
    and slants, turns, stretches and shifts the whole; the width of the pen varies, too. The images
    look like handwriting and are none: results on them say how methods compare, not how well the
    methods read.

    Args:
        train: number of training images, at least 1.
        test: number of test images, at least 1.
        size: side in pixels, at least 16.
        noise: standard deviation of the white noise; a stroke has brightness 1.
        seed: of everything; the same seed gives the same images.

    Returns:
        Images, (n, 1, size, size), and labels, the digits.

    Raises:
        ValueError: the size or a number of images is too small.
    """
    if size < 16 or train < 1 or test < 1:
        raise ValueError(
            f"digits(train={train}, test={test}, size={size}): "
            "size must be 16 or more, and each set needs an image"
        )
    g = torch.Generator().manual_seed(seed)
    n = train + test
    labels = torch.randint(10, (n,), generator=g)
    ways = torch.rand(n, generator=g)
    images = torch.zeros(n, 1, size, size)
    for digit, known in _WAYS.items():
        for number, strokes in enumerate(known):
            chosen = (ways * len(known)).long() == number
            which = ((labels == digit) & chosen).nonzero()[:, 0]
            images[which, 0] = _write(strokes, len(which), size, g)
    images += noise * torch.randn(images.shape, generator=g)
    return ImageDataset(
        images[:train].contiguous(),
        labels[:train],
        images[train:].contiguous(),
        labels[train:],
        f"generated digits, {size} x {size}, seed {seed}",
    )


def _write(strokes: list[Stroke], n: int, size: int, g: Generator) -> Tensor:
    """Draw n versions of one way to write a digit: (n, size, size), in [0, 1]."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    grid, images = pixel_grid(size), torch.zeros(n, size, size)
    turn, slant = 0.15 * normal(n), 0.2 * normal(n)  # radians; columns per row
    scale = size * (0.55 + 0.05 * normal(n, 2)) * torch.tensor([1.0, 0.65])  # height, width
    width = 0.03 * size * (0.25 * normal(n)).exp()  # half of the pen's, in pixels
    middle = (size - 1) / 2 + 0.05 * size * normal(n, 2)
    for stroke in strokes:
        points = torch.tensor(stroke).flip(-1) - 0.5  # (points, 2), row and column
        moved = 0.05 * normal(n, len(points), 2)
        for here in range(1, len(points)):  # the points of a corner move together
            if stroke[here] == stroke[here - 1]:
                moved[:, here] = moved[:, here - 1]
        row, column = (scale[:, None] * (points + moved)).unbind(-1)
        column = column - slant[:, None] * row
        cos, sin = turn.cos()[:, None], turn.sin()[:, None]
        path = torch.stack([cos * row + sin * column, cos * column - sin * row], -1)
        curve = _smooth(path + middle[:, None])
        for start, end in zip(curve[:-1], curve[1:], strict=True):
            distance = distance_to_segment(grid, start, end)
            ink = (width[:, None, None] + 0.5 - distance).clamp(0, 1)
            images = torch.maximum(images, ink)
    return images


def _smooth(points: Tensor, pieces: int = 4) -> list[Tensor]:
    """Pass a Catmull-Rom spline through (n, k, 2) points: pieces (k - 1) + 1 points of (n, 2)."""
    before, after = points[:, :1], points[:, -1:]
    padded = torch.cat([before, points, after], 1)
    curve = [points[:, 0]]
    for here in range(points.shape[1] - 1):
        a, b, c, d = padded[:, here : here + 4].unbind(1)
        if torch.equal(b, c):  # a corner
            continue
        for t in (torch.arange(pieces) + 1.0) / pieces:
            cubic = (3 * b - a - 3 * c + d) * t**3 + (2 * a - 5 * b + 4 * c - d) * t**2
            curve.append(b + 0.5 * (cubic + (c - a) * t))
    return curve
