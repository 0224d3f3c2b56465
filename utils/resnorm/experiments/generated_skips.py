"""The recorded run of chapter 3.6: why a U-Net without skips fails, and what skips are worth.

By SGD, some networks without skips end with empty masks (:mod:`resnorm.experiments.generated_cells`
records them). That may be a matter of training or of lost positions. So the networks of that record
are trained in other ways as well: with clipped gradients, by Adam, and by Adam three times as long.
The IoU on the training images says what a network can draw at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..data import Cells, ImageDataset
from ..models import UNet
from ..segmentation import iou, weighted_cross_entropy
from . import segmentation
from .generated_cells import WIDER, judge, page_data
from .parts import Parts
from .searched import Search, named
from .seeded import build_seeded

__all__ = ["page_data"]

QUESTION = (
    "Does a U-Net without skips fail on generated cells because its training fails or because "
    "positions are lost, and what are skips worth when both networks train well?"
)
TIME = "a CPU core, fifteen minutes"
#: What chooses the learning rates.
MEASURE = "validation iou"
#: A longer gradient is shortened to this norm in the arms that clip.
LONGEST_GRADIENT = 0.1
BATCH = 16


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        optimizer: ``"sgd"``, with momentum 0.9, or ``"adam"``.
        rates: the learning rates that are tried.
        clip: whether gradients longer than ``LONGEST_GRADIENT`` are shortened.
        epochs: passes over the training images.
    """

    optimizer: str
    rates: tuple[float, ...]
    clip: bool = False
    epochs: int = 14


TRAININGS: Mapping[str, Training] = {
    "SGD, clipped": Training("sgd", (0.8, 1.6, 3.2, 6.4, 12.8, 25.6), clip=True),
    "Adam": Training("adam", (0.003, 0.01, 0.03, 0.1, 0.3)),
    "Adam, 42 epochs": Training("adam", (0.003, 0.01, 0.03, 0.1, 0.3), epochs=42),
}


@dataclass(frozen=True)
class Arm:
    """A network, its training and its learning rate.

    Attributes:
        skips: whether the decoder receives the encoder's features.
        training: a key of ``TRAININGS``.
        lr: the highest learning rate.
    """

    skips: bool
    training: str
    lr: float

    @property
    def network(self) -> str:
        """The name of network and training, which arms of different rates share."""
        return f"{'with' if self.skips else 'without'} skips, {self.training}"


ARMS: Mapping[str, Arm] = named(
    Arm(skips, name, lr)
    for name, training in TRAININGS.items()
    for skips in (True, False)
    for lr in training.rates
)


def build(skips: bool) -> UNet:
    """Build a U-Net of the chapter's page, from torch's global generator.

    Args:
        skips: whether the decoder receives the encoder's features. Without them the network is a
            little wider, so that both have about the same number of parameters.

    Returns:
        The untrained network.
    """
    widths = segmentation.Recipe().widths if skips else WIDER
    levels = [(width, width) for width in widths]
    return UNet(1, 2, levels, 0.5, padding="same", norm=nn.BatchNorm2d, skips=skips)


def make_optimizer(training: Training, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Make the optimizer of a training.

    Args:
        training: decides the method.
        model: the network whose parameters are trained.
        lr: the learning rate.

    Returns:
        The optimizer.

    Raises:
        ValueError: if the method is unknown.
    """
    if training.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=lr)
    raise ValueError(f"optimizer is {training.optimizer!r}; it must be 'sgd' or 'adam'")


def train_one(
    arm: Arm,
    data: Cells,
    *,
    seed: int = 0,
    epochs: int | None = None,
    weights: Tensor | None = None,
) -> UNet:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network, its training and its learning rate.
        data: the training images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images; None takes those of the training.
        weights: (n, H, W), the weight of each pixel in the loss; None weighs all alike.

    Returns:
        The network, in evaluation mode.
    """
    training = TRAININGS[arm.training]
    images = ImageDataset(data.images, data.masks, data.images[:0], data.masks[:0], data.source)
    model = build_seeded(lambda: build(arm.skips), images, seed)
    weights = torch.ones(data.masks.shape) if weights is None else weights
    target = torch.stack([data.masks.float(), weights], 1)
    target = target.to(data.images.device)
    optimizer = make_optimizer(training, model, arm.lr)
    g = torch.Generator().manual_seed(seed)
    epochs = training.epochs if epochs is None else epochs
    steps = epochs * (len(data.images) // BATCH)
    for step in range(steps):
        if step % (len(data.images) // BATCH) == 0:
            order = iter(torch.randperm(len(data.images), generator=g).split(BATCH))
        progress = step / steps
        rate = min(1.0, progress / 0.1, (1 - progress) / 0.9 + 0.01)
        optimizer.param_groups[0]["lr"] = arm.lr * rate
        rows = next(order)
        loss = weighted_cross_entropy(model(data.images[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        if training.clip:
            nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
        optimizer.step()
    return model.eval()


def results_of(
    arm: Arm, data: Parts[Cells], seed: int, epochs: int | None = None
) -> dict[str, float]:
    """Train a network and judge its masks.

    Args:
        arm: the network, its training and its learning rate.
        data: the images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images; None takes those of the training.

    Returns:
        The IoU on validation and training images, and what ``judge`` says of the test images.
    """
    model = train_one(arm, data.training, seed=seed, epochs=epochs)
    training, validation, test = (
        segmentation.predict(model, part.images).cpu()
        for part in (data.training, data.validation, data.test)
    )
    return {
        MEASURE: round(iou(validation, data.validation.masks), 4),
        "training iou": round(iou(training, data.training.masks), 4),
    } | judge(test, data.test)


SEARCH = Search(
    ARMS,
    MEASURE,
    results_of,
    constants={
        "longest gradient": LONGEST_GRADIENT,
        "trainings": {name: asdict(training) for name, training in TRAININGS.items()},
    },
)
configuration, run = SEARCH.configuration, SEARCH.run
