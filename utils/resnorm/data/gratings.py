"""A generated classification problem: gratings in noise."""

from __future__ import annotations

import math

import torch

from .dataset import ImageDataset


def synthetic(
    train: int = 2048,
    test: int = 1024,
    size: int = 16,
    num_classes: int = 10,
    noise: float = 0.6,
    seed: int = 0,
) -> ImageDataset:
    """Generate a small image-classification problem with structure that convolutions can find.

    Each class is a set of three colored gratings: the class fixes orientation, frequency and color;
    position and phase are drawn anew for each image. Images differ in brightness and contrast, so
    that a network must learn to ignore both, and carry white noise. The shapes are those of
    CIFAR-10, but the images are generated: results on them say how methods compare, not how well
    the methods do on photographs.

    Args:
        train: number of training images, at least 1.
        test: number of test images, at least 1.
        size: side in pixels, at least 8.
        num_classes: number of classes, at least 2.
        noise: standard deviation of the white noise; that of the gratings is 1.
        seed: of everything; the same seed gives the same images.

    Returns:
        Images, (n, 3, size, size), and labels.

    Raises:
        ValueError: the size, a number of images or the number of classes is too small.
    """
    if size < 8 or num_classes < 2 or train < 1 or test < 1:
        raise ValueError(
            f"synthetic(train={train}, test={test}, size={size}, num_classes={num_classes}): "
            "size must be 8 or more, num_classes 2 or more, and each set needs an image"
        )
    g = torch.Generator().manual_seed(seed)
    parts = 3  # gratings per image
    angle = torch.rand(num_classes, parts, generator=g) * math.pi
    frequency = 2 * math.pi * (1.5 + 2.5 * torch.rand(num_classes, parts, generator=g))
    color = torch.nn.functional.normalize(torch.randn(num_classes, parts, 3, generator=g), dim=-1)

    n = train + test
    labels = torch.randint(num_classes, (n,), generator=g)
    axis = torch.linspace(-0.5, 0.5, size)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")  # (size, size)
    images = torch.zeros(n, 3, size, size)
    for part in range(parts):
        a, f, c = angle[labels, part], frequency[labels, part], color[labels, part]
        phase = 2 * math.pi * torch.rand(n, generator=g)
        cx, cy = (0.5 * torch.rand(2, n, generator=g) - 0.25).unbind()
        along = a.cos().view(-1, 1, 1) * xx + a.sin().view(-1, 1, 1) * yy  # (n, size, size)
        window = (-((xx - cx.view(-1, 1, 1)) ** 2 + (yy - cy.view(-1, 1, 1)) ** 2) / 0.06).exp()
        wave = window * (f.view(-1, 1, 1) * along + phase.view(-1, 1, 1)).sin()
        images += c.view(-1, 3, 1, 1) * wave.unsqueeze(1)
    images /= images.std()

    contrast = (0.5 * torch.randn(n, 1, 1, 1, generator=g)).exp()
    brightness = 0.7 * torch.randn(n, 1, 1, 1, generator=g)
    images = contrast * (images + noise * torch.randn(images.shape, generator=g)) + brightness
    return ImageDataset(
        images[:train].contiguous(),
        labels[:train],
        images[train:].contiguous(),
        labels[train:],
        f"synthetic gratings, {num_classes} classes, {size} x {size}, seed {seed}",
    )
