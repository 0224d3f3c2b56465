"""Augmentation of whole batches on the device where they are, seeded.

For single images and everything else, torchvision's transforms v2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

#: What a training loop calls: images, labels and a generator to images and labels.
Augment = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2. (n, c, h, w), any dtype."""
    flip = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    return torch.where(flip.view(-1, 1, 1, 1).to(images.device), images.flip(3), images)


def random_crop(
    images: Tensor, padding: int, generator: Generator, mode: str = "constant"
) -> Tensor:
    """Pad each side and cut a random window of the old size from each image.

    Args:
        images: (n, c, h, w).
        padding: pixels; He et al. (2016) have 4 for CIFAR.
        mode: ``"constant"`` pads with zeros (the mean of standardized images), ``"reflect"`` mirrors.

    Raises:
        ValueError: a negative padding.
    """
    if padding < 0:
        raise ValueError(f"padding is {padding}; it must be 0 or more")
    n, c, h, w = images.shape
    padded = F.pad(images, (padding,) * 4, mode=mode)
    offsets = torch.randint(
        2 * padding + 1, (2, n, 1), generator=generator, device=generator.device
    ).to(images.device)
    rows = offsets[0] + torch.arange(h, device=images.device)  # (n, h)
    columns = offsets[1] + torch.arange(w, device=images.device)
    rows = rows.view(n, 1, h, 1).expand(n, c, h, padded.shape[3])
    columns = columns.view(n, 1, 1, w).expand(n, c, h, w)
    return padded.gather(2, rows).gather(3, columns)


def _boxes(n: int, height: int, width: int, sides: Tensor, generator: Generator, device) -> Tensor:
    """(n, 1, h, w) booleans, True inside a square of the given side around a random centre, clipped at the border."""
    centres = torch.rand(2, n, 1, generator=generator, device=generator.device).to(
        device
    ) * torch.tensor([height, width], device=device).view(2, 1, 1)
    half = sides.to(device).view(-1, 1) / 2
    rows = (torch.arange(height, device=device) + 0.5 - centres[0]).abs() < half
    columns = (torch.arange(width, device=device) + 0.5 - centres[1]).abs() < half
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


def cutout(images: Tensor, size: int, generator: Generator) -> Tensor:
    """Set a square around a random position of each image to zero; part of it may lie outside.

    Source: DeVries & Taylor (2017).
    """
    n, _, h, w = images.shape
    sides = torch.full((n,), float(size))
    return images.masked_fill(_boxes(n, h, w, sides, generator, images.device), 0)


def _share(alpha: float, generator: Generator) -> float:
    """A draw from Beta(alpha, alpha)."""
    if alpha <= 0:
        raise ValueError(f"alpha is {alpha}; it must be positive")
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _soft(labels: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(labels, num_classes).float() if labels.dtype == torch.int64 else labels


def mixup(
    images: Tensor, labels: Tensor, num_classes: int, generator: Generator, alpha: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Mix each image and its label with another's: lambda x_i + (1 - lambda) x_j, lambda from Beta(alpha, alpha).

    Args:
        labels: (n,) int64, or (n, num_classes) already soft.

    Returns:
        Images, and (n, num_classes) soft labels for ``F.cross_entropy``.

    Source: Zhang et al. (2018). One lambda a batch, as in the authors' code.
    """
    share = _share(alpha, generator)
    partner = torch.randperm(len(images), generator=generator, device=generator.device).to(
        images.device
    )
    soft = _soft(labels, num_classes)
    return share * images + (1 - share) * images[partner], share * soft + (1 - share) * soft[
        partner
    ]


def cutmix(
    images: Tensor, labels: Tensor, num_classes: int, generator: Generator, alpha: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Paste a box of another image; labels in proportion to the area that is really pasted.

    The box has sides in proportion to sqrt(1 - lambda), lambda from Beta(alpha, alpha); where the
    border clips it, the label counts the pixels that are left.

    Source: Yun et al. (2019). Arguments and result as :func:`mixup`.
    """
    n, _, h, w = images.shape
    side = (1 - _share(alpha, generator)) ** 0.5 * (h * w) ** 0.5
    box = _boxes(1, h, w, torch.tensor([side]), generator, images.device)
    partner = torch.randperm(n, generator=generator, device=generator.device).to(images.device)
    pasted = box.float().mean().item()
    soft = _soft(labels, num_classes)
    return torch.where(box, images[partner], images), (1 - pasted) * soft + pasted * soft[partner]


def crop_and_flip(padding: int = 4, mode: str = "constant") -> Augment:
    """He et al. (2016): pad, random crop, random flip; the labels stay."""

    def augment(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return random_flip(random_crop(images, padding, generator, mode), generator), labels

    return augment
