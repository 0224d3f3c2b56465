"""Error against batch size, batch norm beside group norm (chapter 2.3).

The experiment of Wu & He (2018), figure 1: the same network and the same number of examples,
smaller and smaller batches, the learning rate in proportion to the batch. Plain data out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..data import ImageDataset, synthetic
from ..models import ConvNet
from ..train import error, fit


def group_norm(channels: int) -> nn.Module:
    """Group norm with four channels a group, for networks of a few channels."""
    return nn.GroupNorm(channels // 4, channels)


#: torch's norms equal ours (chapters 2.1 and 2.3) and are faster on small batches.
ARMS: dict[str, Callable[[int], nn.Module]] = {
    "batch norm": nn.BatchNorm2d,
    "group norm": group_norm,
}


@dataclass(frozen=True)
class Result:
    """Test error in percent of one trained network.

    Attributes:
        arm, batch_size, seed: what was trained.
        error: in evaluation mode.
        error_with_batch: in training mode, on test batches of the training size; for norms without
            a batch it equals ``error``.
    """

    arm: str
    batch_size: int
    seed: int
    error: float
    error_with_batch: float


def page_data() -> ImageDataset:
    """Data on which a page can train in seconds, and a network still errs."""
    return synthetic(train=384, test=512, size=8, num_classes=6, noise=0.8)


def train_arm(
    arm: str,
    data: ImageDataset,
    batch_size: int,
    seed: int,
    *,
    epochs: int = 7,
    lr: float = 0.2,
    widths=(8, 16),
    depth: int = 2,
) -> Result:
    """Train one network and measure its error in both modes.

    Args:
        arm: one of ``ARMS``.
        data: images and labels.
        batch_size: a divisor of the number of test images, or else the last ones are not counted
            in ``error_with_batch``.
        seed: of initial weights and the order of examples; torch's global generator is left alone.
        epochs: the same for every batch size, so that all see the same number of examples.
        lr: at batch 32; in proportion to the batch, and falling to zero linearly.
        widths, depth: of :class:`resnorm.models.ConvNet`, which is residual here.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in ARMS:
        raise ValueError(f"arm is {arm!r}; it must be one of {', '.join(ARMS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classes = int(data.train_labels.max()) + 1
        model = ConvNet(ARMS[arm], widths, depth, num_classes=classes, residual=True).to(
            data.train_images.device
        )
    fit(
        model,
        data,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr * batch_size / 32,
        seed=seed,
        schedule=lambda progress: 1 - progress,
        evaluate=False,
    )
    in_evaluation = error(model, data.test_images, data.test_labels)
    return Result(arm, batch_size, seed, in_evaluation, _error_with_batch(model, data, batch_size))


@torch.no_grad()
def _error_with_batch(model: nn.Module, data: ImageDataset, batch_size: int) -> float:
    """Percent wrong in training mode; running statistics move, so this comes last."""
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
    **kwargs,
) -> list[Result]:
    """Train every arm at every batch size with every seed.

    Args:
        data, kwargs: of :func:`train_arm`.
        batch_sizes: to try.
        seeds: one network each.
    """
    return [
        train_arm(arm, data, batch_size, seed, **kwargs)
        for arm in ARMS
        for batch_size in batch_sizes
        for seed in seeds
    ]
