"""Chapter 2.3: how does the error depend on the batch size, with batch norm and with group norm?

The experiment of Wu & He (2018), figure 1: the same network sees the same number of examples in
smaller and smaller batches, and the learning rate is proportional to the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..data import ImageDataset, synthetic
from ..models import ConvNet
from ..train import error
from .choice import choose
from .seeded import train_seeded


def group_norm(channels: int) -> nn.Module:
    """Make a group norm with four channels per group, for networks of few channels.

    Args:
        channels: the number of channels, a multiple of 4.

    Returns:
        The layer.
    """
    return nn.GroupNorm(channels // 4, channels)


#: The norms of torch equal ours (chapters 2.1 and 2.3) and are faster on small batches.
ARMS: dict[str, Callable[[int], nn.Module]] = {
    "batch norm": nn.BatchNorm2d,
    "group norm": group_norm,
}


@dataclass(frozen=True)
class Result:
    """The test errors of one trained network.

    Attributes:
        arm: a key of ``ARMS``.
        batch_size: the number of images per training batch.
        seed: the seed of the run.
        error: the error in evaluation mode, in percent.
        error_with_batch: the error in training mode, in percent, on test batches of the training
            size. It equals ``error`` for a norm that does not look at the batch.
    """

    arm: str
    batch_size: int
    seed: int
    error: float
    error_with_batch: float


def page_data() -> ImageDataset:
    """Generate images on which a network trains in seconds and still makes mistakes.

    Returns:
        384 training and 512 test images of six classes, 8 x 8 pixels.
    """
    return synthetic(train=384, test=512, size=8, num_classes=6, noise=0.8)


def train_arm(
    arm: str,
    data: ImageDataset,
    batch_size: int,
    seed: int,
    *,
    epochs: int = 7,
    lr: float = 0.2,
    widths: tuple[int, ...] = (8, 16),
    depth: int = 2,
) -> Result:
    """Train one network and measure its error in both modes.

    Args:
        arm: a key of ``ARMS``.
        data: images and labels.
        batch_size: images per batch. Test images beyond a multiple of it do not count in
            ``error_with_batch``.
        seed: the seed of the initial weights and of the order of examples; torch's global generator
            is left as it was.
        epochs: the same for every batch size, so that all see the same number of examples.
        lr: the learning rate at batch size 32. It is proportional to the batch size and falls
            linearly to zero.
        widths: channels per stage of the residual :class:`resnorm.models.ConvNet`.
        depth: blocks per stage.

    Returns:
        The errors.

    Raises:
        ValueError: if the arm is unknown.
    """
    norm = choose("arm", arm, ARMS)
    classes = int(data.train_labels.max()) + 1
    model, _ = train_seeded(
        lambda: ConvNet(norm, widths, depth, num_classes=classes, residual=True),
        data,
        seed,
        torch.contiguous_format,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr * batch_size / 32,
        schedule=lambda progress: 1 - progress,
    )
    in_evaluation = error(model, data.test_images, data.test_labels)
    # Training mode moves the running statistics, so this measurement comes last.
    return Result(arm, batch_size, seed, in_evaluation, _error_with_batch(model, data, batch_size))


@torch.no_grad()
def _error_with_batch(model: nn.Module, data: ImageDataset, batch_size: int) -> float:
    model.train()
    whole = len(data.test_labels) // batch_size * batch_size
    predicted = torch.cat(
        [model(part).argmax(1) for part in data.test_images[:whole].split(batch_size)]
    )
    return 100 * (predicted != data.test_labels[:whole]).double().mean().item()


def error_against_batch_size(
    data: ImageDataset,
    batch_sizes: Sequence[int] = (32, 8, 4, 2),
    seeds: Sequence[int] = (0, 1, 2),
    **kwargs: Any,
) -> list[Result]:
    """Train every arm at every batch size with every seed.

    Args:
        data: images and labels.
        batch_sizes: the batch sizes to try.
        seeds: the seeds; each trains one network per arm and batch size.
        **kwargs: further arguments of :func:`train_arm`.

    Returns:
        One result per network.
    """
    return [
        train_arm(arm, data, batch_size, seed, **kwargs)
        for arm in ARMS
        for batch_size in batch_sizes
        for seed in seeds
    ]
