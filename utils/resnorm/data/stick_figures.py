"""Generated stick figures in noise, whose joints are the key points to be found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from .drawing import distance_to_segment, pixel_grid


@dataclass(frozen=True)
class Skeletons:
    """Images of stick figures and where their joints are.

    Attributes:
        images: (n, 1, size, size), float32.
        points: (n, joints, 2), float32; row and column in pixels.
        source: what the data is, to be printed under results.
    """

    images: Tensor
    points: Tensor
    source: str

    def to(self, device: torch.device | str) -> Skeletons:
        """Copy images and joints to a device.

        Args:
            device: such as ``"cuda"``.

        Returns:
            New figures; these are unchanged.
        """
        return replace(self, images=self.images.to(device), points=self.points.to(device))

    def heat_maps(self, sigma: float = 1.5) -> Tensor:
        """Draw a Gaussian of height 1 around each joint.

        Args:
            sigma: standard deviation of the Gaussian, in pixels.

        Returns:
            (n, joints, size, size), float32.

        Source: Newell et al. (2016).
        """
        size = self.images.shape[-1]
        axis = torch.arange(size, dtype=torch.float32, device=self.points.device)
        rows = (-((axis - self.points[..., :1]) ** 2) / (2 * sigma**2)).exp()  # (n, joints, size)
        columns = (-((axis - self.points[..., 1:]) ** 2) / (2 * sigma**2)).exp()
        return rows.unsqueeze(-1) * columns.unsqueeze(-2)


def skeletons(
    n: int = 256, size: int = 32, *, joints: int = 4, noise: float = 0.3, seed: int = 0
) -> Skeletons:
    """Generate chains of equal sticks; a disc marks the first joint, and the others look alike.

    Only by following the chain from the disc can a network tell which joint is which: near any
    joint but the first, the image says nothing about its number. Joints stay inside the image.

    Args:
        n: number of images, at least 1.
        size: side in pixels, at least 16.
        joints: joints per chain, at least 2.
        noise: standard deviation of the white noise; the brightness of a stick is 1.
        seed: of everything; the same seed gives the same images.

    Returns:
        Images and the positions of the joints.

    Raises:
        ValueError: the number of images, the size or the number of joints is too small.
    """
    if n < 1 or size < 16 or joints < 2:
        raise ValueError(
            f"skeletons(n={n}, size={size}, joints={joints}): "
            "n >= 1, size >= 16 and joints >= 2 are needed"
        )
    g = torch.Generator().manual_seed(seed)
    points = _chains(n, size, joints, g)
    images = _draw(points, size)
    images = images + noise * torch.randn(images.shape, generator=g)
    return Skeletons(
        images.unsqueeze(1), points, f"generated skeletons, {size} x {size}, seed {seed}"
    )


def _chains(n: int, size: int, joints: int, g: Generator) -> Tensor:
    """Walk from joint to joint, turning by up to a right angle: (n, joints, 2), row and column."""
    stick, margin = 0.9 * size / joints, 2.0
    points = torch.empty(n, joints, 2)
    points[:, 0] = margin + (size - 1 - 2 * margin) * torch.rand(n, 2, generator=g)
    heading = 2 * math.pi * torch.rand(n, generator=g)
    for j in range(1, joints):
        heading = heading + (2 * torch.rand(n, generator=g) - 1) * math.pi / 2
        for _ in range(64):  # turn until the next joint lies inside
            step = points[:, j - 1] + stick * torch.stack([heading.sin(), heading.cos()], 1)
            outside = ((step < margin) | (step > size - 1 - margin)).any(1)
            heading = torch.where(outside, heading + 0.4, heading)
        points[:, j] = step.clamp(margin, size - 1 - margin)
    return points


def _draw(points: Tensor, size: int) -> Tensor:
    """Draw sticks between successive joints and a disc at the first: (n, size, size), in [0, 1]."""
    n, joints, _ = points.shape
    grid, images = pixel_grid(size), torch.zeros(n, size, size)
    for j in range(1, joints):
        distance = distance_to_segment(grid, points[:, j - 1], points[:, j])
        images = torch.maximum(images, (1.5 - distance).clamp(0, 1))
    from_first = (grid - points[:, 0, None, None]).norm(dim=-1)
    return torch.maximum(images, (3.0 - from_first).clamp(0, 1))
