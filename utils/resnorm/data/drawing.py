"""Strokes on a grid of pixels: what generated images are drawn with."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_grid(size: int) -> Tensor:
    """List the coordinates of all pixels.

    Args:
        size: side of the image, in pixels.

    Returns:
        (size, size, 2), float32; row and column.
    """
    axis = torch.arange(size, dtype=torch.float32)
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)


def distance_to_segment(grid: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Measure how far every pixel is from a straight stroke, one stroke per image.

    Args:
        grid: (size, size, 2), from :func:`pixel_grid`.
        start: (n, 2), row and column of one end of each image's stroke.
        end: (n, 2), of the other end.

    Returns:
        (n, size, size), in pixels; zero on the stroke. Where both ends coincide, the distance from
        that point.
    """
    start, along = start[:, None, None], (end - start)[:, None, None]  # (n, 1, 1, 2)
    squared_length = along.square().sum(-1).clamp_min(1e-12)
    t = (((grid - start) * along).sum(-1) / squared_length).clamp(0, 1).unsqueeze(-1)
    return (grid - start - t * along).norm(dim=-1)
