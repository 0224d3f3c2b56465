"""Augmentation of whole batches, seeded, on the device where the images are.

For single images and for everything that is not here, see torchvision's transforms v2, which
:func:`rand_augment` takes its operations from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

#: Maps the images and labels of a batch, and a generator, to new images and labels.
Augment = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]


def random_flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2.

    Args:
        images: (N, C, H, W), of any type.
        generator: source of the random draws.

    Returns:
        New images of the same shape.
    """
    flip = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    return torch.where(flip.view(-1, 1, 1, 1).to(images.device), images.flip(3), images)


class AlternatingFlip:
    """Mirrors each image at random in the first epoch, and from then on in every other epoch.

    So two epochs show each image once in each direction; random flips show half of the images
    twice in the same one.

    Args:
        images: number of training images.
        seed: of the random draws.
        device: where the images are.

    Attributes:
        first: (images,) bool: whether an image is mirrored in epoch 0.

    Source: Jordan (2024), section 3, on alternating flip.
    """

    def __init__(self, images: int, seed: int = 0, device: torch.device | str = "cpu"):
        generator = torch.Generator().manual_seed(seed)
        self.first = (torch.rand(images, generator=generator) < 0.5).to(device)

    def __call__(self, images: Tensor, rows: Tensor, epoch: int) -> Tensor:
        """Mirror the images of a batch whose turn it is.

        Args:
            images: (N, C, H, W), of any type.
            rows: (N,) int64, their indices among the training images.
            epoch: from 0.

        Returns:
            New images of the same shape.
        """
        flip = self.first[rows] ^ (epoch % 2 == 1)
        return torch.where(flip.view(-1, 1, 1, 1), images.flip(3), images)


def random_crop(
    images: Tensor, padding: int, generator: Generator, mode: str = "constant"
) -> Tensor:
    """Pad each side, then cut a random window of the original size from each image.

    Args:
        images: (N, C, H, W), of any type.
        padding: pixels per side; He et al. (2016a) use 4 for CIFAR.
        generator: source of the random draws.
        mode: ``"constant"`` pads with zeros, the mean of standardized images; ``"reflect"``
            mirrors.

    Returns:
        New images of the same shape.

    Raises:
        ValueError: the padding is negative.
    """
    if padding < 0:
        raise ValueError(f"padding is {padding}; it must be 0 or more")
    n, c, h, w = images.shape
    padded = F.pad(images, (padding,) * 4, mode=mode)  # (N, C, H + 2 padding, W + 2 padding)
    offsets = torch.randint(
        2 * padding + 1, (2, n, 1), generator=generator, device=generator.device
    ).to(images.device)
    rows = offsets[0] + torch.arange(h, device=images.device)  # (N, H)
    columns = offsets[1] + torch.arange(w, device=images.device)  # (N, W)
    rows = rows.view(n, 1, h, 1).expand(n, c, h, padded.shape[3])
    columns = columns.view(n, 1, 1, w).expand(n, c, h, w)
    return padded.gather(2, rows).gather(3, columns)


def cutout(images: Tensor, size: int, generator: Generator) -> Tensor:
    """Set a square around a random position of each image to zero.

    Args:
        images: (N, C, H, W).
        size: side of the square in pixels; part of it may lie outside the image.
        generator: source of the random draws.

    Returns:
        New images of the same shape.

    Raises:
        ValueError: the size is below 1.

    Source: DeVries & Taylor (2017).
    """
    if size < 1:
        raise ValueError(f"size is {size}; it must be 1 or more: the side of the square in pixels")
    n, _, h, w = images.shape
    sides = torch.full((n,), float(size))
    return images.masked_fill(_random_squares(sides, h, w, generator, images.device), 0)


def mixup(
    images: Tensor, labels: Tensor, num_classes: int, generator: Generator, alpha: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Mix each image and its label with another: lambda x_i + (1 - lambda) x_j.

    Args:
        images: (N, C, H, W), floating point.
        labels: (N,) integers of any type, or soft labels, (N, num_classes) floating point.
        num_classes: number of classes.
        generator: source of the random draws.
        alpha: lambda is drawn from Beta(alpha, alpha), once per batch as in the authors' code.

    Returns:
        Images of the same shape, and soft labels, (N, num_classes), for ``F.cross_entropy``.

    Raises:
        ValueError: ``alpha`` is not positive, or the labels are neither of the two.

    Source: Zhang et al. (2018).
    """
    lam = _draw_lambda(alpha, generator)
    partner = torch.randperm(len(images), generator=generator, device=generator.device)
    partner = partner.to(images.device)
    soft = _soft_labels(labels, num_classes)
    mixed = lam * images + (1 - lam) * images[partner]
    return mixed, lam * soft + (1 - lam) * soft[partner]


def cutmix(
    images: Tensor, labels: Tensor, num_classes: int, generator: Generator, alpha: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Paste a square of another image, and mix the labels in proportion to the pasted area.

    The square has the area (1 - lambda) H W. Where the border of the image clips it, the label
    counts the pixels that are left.

    Args:
        images: (N, C, H, W).
        labels: (N,) integers of any type, or soft labels, (N, num_classes) floating point.
        num_classes: number of classes.
        generator: source of the random draws.
        alpha: lambda is drawn from Beta(alpha, alpha), once per batch.

    Returns:
        Images of the same shape, and soft labels, (N, num_classes), for ``F.cross_entropy``.

    Raises:
        ValueError: ``alpha`` is not positive, or the labels are neither of the two.

    Source: Yun et al. (2019).
    """
    n, _, h, w = images.shape
    side = (1 - _draw_lambda(alpha, generator)) ** 0.5 * (h * w) ** 0.5
    square = _random_squares(torch.tensor([side]), h, w, generator, images.device)
    partner = torch.randperm(n, generator=generator, device=generator.device).to(images.device)
    pasted = square.float().mean().item()
    soft = _soft_labels(labels, num_classes)
    mixed = torch.where(square, images[partner], images)
    return mixed, (1 - pasted) * soft + pasted * soft[partner]


def crop(padding: int = 4, mode: str = "constant") -> Augment:
    """Return the augmentation that pads and crops at random, without a flip.

    Args:
        padding: pixels per side.
        mode: how the border is padded, see :func:`random_crop`.

    Returns:
        A function for ``fit(augment=...)``, which leaves the labels as they are.
    """

    def augment(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return random_crop(images, padding, generator, mode), labels

    return augment


def crop_and_flip(padding: int = 4, mode: str = "constant") -> Augment:
    """Return the augmentation of He et al. (2016a): pad, random crop, random flip.

    Args:
        padding: pixels per side.
        mode: how the border is padded, see :func:`random_crop`.

    Returns:
        A function for ``fit(augment=...)``, which leaves the labels as they are.
    """

    def augment(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return random_flip(random_crop(images, padding, generator, mode), generator), labels

    return augment


def rand_augment(
    num_ops: int = 2,
    magnitude: int = 9,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
) -> Augment:
    """Return RandAugment: operations such as rotation or contrast, drawn for each image.

    torchvision does the work, image by image, which is far slower than the other functions here.
    It is loaded at the first call of what this returns.

    Args:
        num_ops: operations per image, one after the other; 1 or more.
        magnitude: of every operation, from 0 to 30.
        mean: of each channel, as it was subtracted from pixels in [0, 1]; torchvision needs the
            pixels. :data:`resnorm.data.cifar.MEAN` for CIFAR-10.
        std: of each channel, by which the pixels were divided.

    Returns:
        A function for ``fit(augment=...)``, which leaves the labels as they are. Its images are
        rounded to the 256 levels of a pixel.

    Raises:
        ValueError: ``num_ops`` or ``magnitude`` is out of range.

    Source: Cubuk et al. (2020), section 3.
    """
    if num_ops < 1 or not 0 <= magnitude <= 30:
        raise ValueError(
            f"num_ops is {num_ops} and magnitude is {magnitude}; num_ops must be 1 or more, "
            "magnitude from 0 to 30"
        )

    def augment(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        from torchvision.transforms import v2

        operation = v2.RandAugment(num_ops, magnitude)
        m = torch.tensor(mean, device=images.device).view(-1, 1, 1)
        s = torch.tensor(std, device=images.device).view(-1, 1, 1)
        pixels = ((images * s + m).clamp(0, 1) * 255).round().to(torch.uint8)
        seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
            torch.manual_seed(seed)
            changed = torch.stack([operation(image) for image in pixels])
        return (changed.to(images.dtype) / 255 - m) / s, labels

    return augment


def compose(*augments: Augment) -> Augment:
    """Return the augmentation that applies several, one after the other.

    Args:
        *augments: functions of images, labels and a generator.

    Returns:
        A function for ``fit(augment=...)``.
    """

    def augment(images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        for each in augments:
            images, labels = each(images, labels, generator)
        return images, labels

    return augment


def _random_squares(
    sides: Tensor, height: int, width: int, generator: Generator, device: torch.device
) -> Tensor:
    """(N,) sides -> (N, 1, H, W): True in a square around a random center, if inside the image."""
    n = len(sides)
    size = torch.tensor([height, width], device=device).view(2, 1, 1)
    centers = torch.rand(2, n, 1, generator=generator, device=generator.device).to(device) * size
    half = sides.to(device).view(-1, 1) / 2
    rows = (torch.arange(height, device=device) + 0.5 - centers[0]).abs() < half  # (N, H)
    columns = (torch.arange(width, device=device) + 0.5 - centers[1]).abs() < half  # (N, W)
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)


def _draw_lambda(alpha: float, generator: Generator) -> float:
    """Draw from Beta(alpha, alpha): torch has no beta distribution that takes a generator."""
    if alpha <= 0:
        raise ValueError(f"alpha is {alpha}; it must be positive")
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _soft_labels(labels: Tensor, num_classes: int) -> Tensor:
    """(N,) integers -> (N, num_classes) float32; labels of that shape are soft already."""
    if labels.ndim == 1 and not (labels.is_floating_point() or labels.is_complex()):
        return F.one_hot(labels.long(), num_classes).float()
    if labels.is_floating_point() and labels.shape[1:] == (num_classes,):
        return labels
    raise ValueError(
        f"labels are {tuple(labels.shape)} of {labels.dtype}; they must be integers (N,), "
        f"or soft labels (N, {num_classes}) of a floating-point type"
    )
