"""The training loop: short enough to read, seeded, and its history is plain data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import Split


@dataclass
class History:
    """What happened: one entry a step, one entry an epoch.

    Attributes:
        losses: training loss of each minibatch, before its step.
        test_errors: percent wrong on the test images after each epoch, in evaluation mode.
        diverged: the loss became infinite or not a number, and training stopped there.
    """

    losses: list[float] = field(default_factory=list)
    test_errors: list[float] = field(default_factory=list)
    diverged: bool = False


def fit(
    model: nn.Module,
    data: Split,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    seed: int = 0,
    schedule: Callable[[float], float] | None = None,
    after_step: Callable[[int, nn.Module], None] | None = None,
    evaluate: bool = True,
    loss: Callable[..., Tensor] = F.cross_entropy,
) -> History:
    """Train a network by SGD with momentum; a classifier, unless the loss says otherwise.

    Args:
        model: trained in place; data must be on its device.
        data: see :mod:`resnorm.data`.
        epochs: passes over the training images; an incomplete last batch is dropped.
        batch_size, lr, momentum, weight_decay: of the optimizer.
        seed: of the order of the examples.
        schedule: maps progress in [0, 1) to a factor of ``lr``; None keeps it constant.
        after_step: called with the step's number and the model.
        evaluate: measure the test error after each epoch; for classifiers.
        loss: of the model's output and the labels of the batch.

    Raises:
        ValueError: a batch larger than the training set.
    """
    n = len(data.train_labels)
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size is {batch_size}, but the training set has {n} images")
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum, weight_decay=weight_decay)
    order = torch.Generator().manual_seed(seed)
    steps = n // batch_size
    history = History()
    for epoch in range(epochs):
        model.train()
        shuffled = torch.randperm(n, generator=order).to(data.train_labels.device)
        for step in range(steps):
            if schedule is not None:
                progress = (epoch * steps + step) / (epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(progress)
            batch = shuffled[step * batch_size : (step + 1) * batch_size]
            value = loss(model(data.train_images[batch]), data.train_labels[batch])
            history.losses.append(value.item())
            if not math.isfinite(history.losses[-1]):
                history.diverged = True
                return history
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step is not None:
                after_step(len(history.losses), model)
        if evaluate:
            history.test_errors.append(error(model, data.test_images, data.test_labels))
    return history


@torch.no_grad()
def error(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> float:
    """Percent of images classified wrongly, in evaluation mode; the model's mode is restored."""
    training = model.training
    model.eval()
    wrong = sum(
        (model(part).argmax(1) != truth).sum().item()
        for part, truth in zip(images.split(batch_size), labels.split(batch_size))
    )
    model.train(training)
    return 100 * wrong / len(labels)
