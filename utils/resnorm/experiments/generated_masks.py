"""The recorded run of chapter 3.8: what the skips of an FCN are worth, and how to start them.

The scenes are generated, so the run needs no data. FCN-32s, 16s and 8s are trained for the same
number of steps, each at several learning rates. So is an FCN-8s whose transposed convolutions start
at random. The rate of each network is chosen on scenes that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import BasicBlock
from ..data import SHAPES, Scenes, scenes
from ..ledger import Record
from ..models import FCN
from ..segmentation import iou
from ..train import one_cycle
from . import searched
from .seeded import seeded

QUESTION = (
    "What does each skip of an FCN add to the masks of generated shapes, and does it matter that "
    "its transposed convolutions start as interpolations?"
)
TIME = "a CPU core, three minutes"
NUM_CLASSES = len(SHAPES) + 1
#: The loss is averaged over as many steps as this before it is recorded.
LOSS_STEPS = 25


@dataclass(frozen=True)
class Recipe:
    """The network and its training, which are the same for all arms.

    Attributes:
        layers: blocks per stage.
        widths: channels per stage.
        steps: steps of Adam, whose rate rises linearly in the first fifth and then falls to 0.
        batch_size: images per step.
    """

    layers: tuple[int, ...] = (1, 1, 1, 1)
    widths: tuple[int, ...] = (8, 16, 32, 64)
    steps: int = 150
    batch_size: int = 8


@dataclass(frozen=True)
class Arm:
    """A network and its learning rate.

    Attributes:
        stride: of the finest map that is scored: 32, 16 or 8.
        lr: the highest learning rate.
        interpolate: whether the transposed convolutions start as interpolations, as in
            :class:`resnorm.models.FCN`; otherwise at random, as PyTorch initializes them.
    """

    stride: int
    lr: float
    interpolate: bool = True

    @property
    def network(self) -> str:
        """The name of the network, which arms of different rates share."""
        return f"FCN-{self.stride}s" + ("" if self.interpolate else " from random")


def _arms() -> dict[str, Arm]:
    arms = []
    for lr in (0.0075, 0.015, 0.03, 0.06, 0.12):
        arms += [Arm(stride, lr) for stride in (32, 16, 8)]
        arms.append(Arm(8, lr, interpolate=False))
    return {f"{arm.network}, rate {arm.lr}": arm for arm in arms}


ARMS: Mapping[str, Arm] = _arms()


@dataclass(frozen=True)
class PageData:
    """Three sets of scenes with the same kind of objects.

    Attributes:
        training: to train on.
        test: to measure on.
        validation: to choose learning rates on.
    """

    training: Scenes
    test: Scenes
    validation: Scenes

    @property
    def source(self) -> str:
        """What the data is, for the record."""
        return f"{self.training.source} (training), {self.test.source} (test)"

    def to(self, device: str | torch.device) -> PageData:
        """Put the images and masks on a device.

        Args:
            device: what to train on.
        """
        moved = [
            replace(part, images=part.images.to(device), masks=part.masks.to(device))
            for part in (self.training, self.test, self.validation)
        ]
        return PageData(*moved)


def page_data() -> PageData:
    """Generate the scenes, 96 x 96 pixels with objects that are 29 to 58 pixels wide and high."""
    drawn = [
        scenes(n, 96, sides=(0.3, 0.6), seed=seed) for n, seed in ((512, 1), (128, 2), (128, 3))
    ]
    return PageData(*drawn)


def build(arm: Arm, recipe: Recipe = Recipe()) -> FCN:
    """Build the network of an arm from torch's global generator.

    Args:
        arm: decides the stride and the start of the transposed convolutions.
        recipe: decides the layers and the widths.

    Returns:
        The untrained network. All other weights are the same for both starts.
    """
    model = FCN(BasicBlock, recipe.layers, recipe.widths, NUM_CLASSES, arm.stride)
    if not arm.interpolate:
        for layer in model.doubles:
            assert isinstance(layer, nn.ConvTranspose2d)
            layer.reset_parameters()
    return model


def train_one(
    arm: Arm, data: Scenes, *, seed: int = 0, recipe: Recipe = Recipe()
) -> tuple[FCN, list[float]]:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network and its learning rate.
        data: the training scenes.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The network, in evaluation mode, and its loss after each step.
    """
    with seeded(seed):
        model = build(arm, recipe).to(data.images.device)
    optimizer, rate = torch.optim.Adam(model.parameters(), arm.lr), one_cycle(0.2)
    g = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    while len(losses) < recipe.steps:
        for rows in torch.randperm(len(data), generator=g).split(recipe.batch_size):
            if len(losses) == recipe.steps or len(rows) < recipe.batch_size:
                break
            optimizer.param_groups[0]["lr"] = arm.lr * rate(len(losses) / recipe.steps)
            loss = F.cross_entropy(model(data.images[rows]), data.masks[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model.eval(), losses


@torch.no_grad()
def mean_iou(model: nn.Module, data: Scenes) -> float:
    """Compute the IoU of each class over the pixels of all images, and average over the classes.

    Args:
        model: maps images to logits, in evaluation mode.
        data: the images and the true masks.

    Returns:
        The average over the background and the three kinds of objects.
    """
    predicted = torch.cat([model(part).argmax(1) for part in data.images.split(32)])
    return mean(_iou_of_class(predicted, data.masks, k) for k in range(NUM_CLASSES))


def _iou_of_class(predicted: Tensor, truth: Tensor, k: int) -> float:
    return iou(predicted == k, truth == k)


def configuration(recipe: Recipe = Recipe()) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        recipe: the training.

    Returns:
        The recipe and the arms, for the record.
    """
    return asdict(recipe) | {"arms": {name: asdict(arm) for name, arm in ARMS.items()}}


def best_rates(record: Record, arms: Mapping[str, Arm] = ARMS) -> dict[str, str]:
    """Choose the learning rate of each network by its mean validation IoU.

    Args:
        record: the finished runs.
        arms: name -> arm; those without runs were not part of the search.

    Returns:
        The name of each network and the name of its best arm, see
        :func:`resnorm.experiments.searched.best_rates`.
    """
    return searched.best_rates(record, arms, "validation iou")


def run(
    record: Record,
    data: PageData,
    seeds: Iterable[int],
    arms: Mapping[str, Arm] = ARMS,
    recipe: Recipe = Recipe(),
) -> None:
    """Train what the record lacks, see :func:`resnorm.experiments.searched.run_searched`.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: the scenes.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
        recipe: the training.
    """

    def train(arm: Arm, seed: int) -> dict[str, Any]:
        model, losses = train_one(arm, data.training, seed=seed, recipe=recipe)
        return {
            "validation iou": round(mean_iou(model, data.validation), 4),
            "iou": round(mean_iou(model, data.test), 4),
            "losses": [
                round(mean(losses[i : i + LOSS_STEPS]), 4)
                for i in range(0, len(losses), LOSS_STEPS)
            ],
            "steps": len(losses),
        }

    device = data.training.images.device
    searched.run_searched(record, seeds, arms, ["validation iou"], train, device)
