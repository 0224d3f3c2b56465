"""Which images a run trains on and is measured on, and at which resolution."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...data import ImageDataset


def fewer_and_mislabeled(data: ImageDataset, images: int, wrong_labels: float) -> ImageDataset:
    """Keep some of the training images, and give some of these a wrong label.

    The choice is the same for every seed and every network, and a smaller set is part of a larger
    one. The wrong labels are spread evenly over the other classes; the test set stays as it is.

    Args:
        data: images and labels.
        images: number of training images to keep, as many of each class as far as possible; 0
            keeps all.
        wrong_labels: the fraction of the labels that are replaced, in [0, 1).

    Returns:
        The new data, or the same data if nothing is asked for.

    Raises:
        ValueError: there are not so many images, or the fraction lies outside [0, 1).
    """
    n = len(data.train_labels)
    if not 0 <= images <= n or not 0 <= wrong_labels < 1:
        raise ValueError(
            f"images is {images} and wrong_labels is {wrong_labels}; there are {n} training "
            "images, and a fraction lies in [0, 1)"
        )
    if not images and not wrong_labels:
        return data
    generator = torch.Generator().manual_seed(0)  # on the CPU, for the same choice everywhere
    labels = data.train_labels.cpu()
    classes = int(labels.max()) + 1
    order = balanced_order(labels, generator)
    careless = torch.rand(n, generator=generator) < wrong_labels
    other = torch.randint(1, classes, (n,), generator=generator)
    given = torch.where(careless, (labels + other) % classes, labels)
    kept = order[: images or n].to(data.train_images.device)
    what = f", {len(kept):,} training images" if images else ""
    what += f", {wrong_labels:.0%} wrong labels" if wrong_labels else ""
    return replace(
        data,
        train_images=data.train_images[kept],
        train_labels=given.to(data.train_labels.device)[kept],
        source=data.source + what,
    )


def balanced_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Order images at random: the first of each class, then the second of each, and so on.

    Args:
        labels: (n,), on the CPU.
        generator: of the CPU; it decides the order within each class.

    Returns:
        Indices, (n,).
    """
    classes = int(labels.max()) + 1
    order = torch.randperm(len(labels), generator=generator)
    rank = torch.empty(len(labels), dtype=torch.long)
    for label in range(classes):
        members = order[labels[order] == label]
        rank[members] = torch.arange(len(members)) * classes + label
    return rank.argsort()


def held_out(data: ImageDataset, images: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the training images that follow those of :func:`fewer_and_mislabeled` in its order.

    A run that trains on ``images`` training images has not seen them, so its error on them can
    guide a choice, and the test images remain for the result of the choice.

    Args:
        data: images and labels.
        images: number of training images that the run keeps.
        count: number of images to hold out, as many of each class as far as possible.

    Returns:
        Images, (count, C, H, W), and their labels, (count,), all of them right.

    Raises:
        ValueError: the training set has too few images, or the run keeps all of them.
    """
    n = len(data.train_labels)
    if not 0 < images <= n - count:
        raise ValueError(
            f"held_out is {count} and images is {images}, of {n} training images; give images, "
            "and leave enough of them"
        )
    generator = torch.Generator().manual_seed(0)
    chosen = balanced_order(data.train_labels.cpu(), generator)[images : images + count]
    chosen = chosen.to(data.train_images.device)
    return data.train_images[chosen], data.train_labels[chosen]


def reduced(data: ImageDataset, side: int) -> ImageDataset:
    """Reduce the images to another resolution, by averaging over pixels.

    Args:
        data: images and labels.
        side: the new side of the images, in pixels.

    Returns:
        The reduced data, or the same data if the side is right already.
    """
    if data.train_images.shape[-1] == side:
        return data
    return replace(
        data,
        train_images=resize(data.train_images, side),
        test_images=resize(data.test_images, side),
        source=f"{data.source}, reduced to {side} x {side}",
    )


def resize(images: Tensor, side: int) -> Tensor:
    """Bring images to another resolution, by averaging over pixels where it is lower.

    Args:
        images: (n, C, H, W).
        side: the new side of the images, in pixels.

    Returns:
        (n, C, side, side), or the same images if the side is right already.
    """
    if images.shape[-1] == side:
        return images
    parts = images.split(1000)  # in parts, to bound the memory that it takes
    size = (side, side)
    return torch.cat(
        [F.interpolate(part, size=size, mode="bilinear", antialias=True) for part in parts]
    )
