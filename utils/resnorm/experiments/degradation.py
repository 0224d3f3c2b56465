"""Do deeper networks fit the training set worse? (chapter 1.2)

Plain and residual networks of the same layers, batch norm everywhere, trained alike: He et al.
(2016), figures 1 and 6. Plain data out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..data import ImageDataset, synthetic
from ..models import cifar_plain, cifar_resnet
from ..train import error, fit

DEPTHS = (8, 14, 20)
KINDS = ("plain", "residual")


@dataclass(frozen=True)
class Recipe:
    """Training, the same for all networks.

    Attributes:
        lr: at its highest, after a linear rise over a fifth of the steps; it falls to 0 linearly.
        epochs, batch_size, weight_decay: of :func:`resnorm.train.fit`.
    """

    lr: float = 0.1
    epochs: int = 6
    batch_size: int = 64
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Result:
    """One trained network.

    Attributes:
        kind, depth, seed: what was trained.
        losses: training loss of each step.
        train_error, test_error: percent wrong at the end, in evaluation mode.
        model: in evaluation mode.
    """

    kind: str
    depth: int
    seed: int
    losses: list[float]
    train_error: float
    test_error: float
    model: nn.Module


def page_data() -> ImageDataset:
    """Gratings in noise, small enough for seconds a network."""
    return synthetic(train=512, test=512, size=12, noise=1.0)


def build(kind: str, depth: int, data: ImageDataset, seed: int) -> nn.Module:
    """An untrained network of 6n + 2 layers; the global generator is left as it was.

    Raises:
        ValueError: an unknown kind, or a depth that is not 6n + 2.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    make = cifar_plain if kind == "plain" else cifar_resnet
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make(
            depth,
            in_channels=data.train_images.shape[1],
            num_classes=int(data.train_labels.max()) + 1,
        )
    return model.to(data.train_images.device, memory_format=torch.channels_last)


def train_one(
    kind: str,
    depth: int,
    data: ImageDataset,
    *,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    model: nn.Module | None = None,
) -> Result:
    """Train one network.

    Args:
        kind: one of ``KINDS``.
        depth: 6n + 2 layers.
        data: see :mod:`resnorm.data`.
        seed: of weights and order.
        model: to go on with; by default a new one.
    """
    model = model if model is not None else build(kind, depth, data, seed)
    history = fit(
        model,
        data,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        seed=seed,
        schedule=lambda progress: min(1.0, progress / 0.2, (1 - progress) / 0.8 + 0.02),
        evaluate=False,
    )
    wrong = [
        error(model, images, labels)
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        )
    ]
    return Result(kind, depth, seed, history.losses, *wrong, model.eval())
