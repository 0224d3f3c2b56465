"""The recorded run of chapter 3.8: what the skips of an FCN are worth, and how to start them.

The scenes are generated, so the run needs no data. FCN-32s, 16s and 8s are trained for the same
number of steps, each at several learning rates. So is an FCN-8s whose transposed convolutions start
at random. The rate of each network is chosen on scenes that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import BasicBlock
from ..data import SHAPES, Scenes, scenes
from ..models import FCN
from ..segmentation import iou
from ..train import one_cycle
from .parts import Parts
from .searched import Search, named
from .seeded import seeded

QUESTION = (
    "What does each skip of an FCN add to the masks of generated shapes, and does it matter that "
    "its transposed convolutions start as interpolations?"
)
TIME = "a CPU core, up to 20 minutes"
NUM_CLASSES = len(SHAPES) + 1
#: What chooses the learning rates.
MEASURE = "validation iou"
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


ARMS: Mapping[str, Arm] = named(
    Arm(stride, lr, interpolate)
    for lr in (0.0075, 0.015, 0.03, 0.06, 0.12)
    for stride, interpolate in ((32, True), (16, True), (8, True), (8, False))
)


def page_data() -> Parts[Scenes]:
    """Generate the scenes, 96 x 96 pixels with objects that are 29 to 58 pixels wide and high."""
    drawn = [
        scenes(n, 96, sides=(0.3, 0.6), seed=seed) for n, seed in ((512, 1), (128, 2), (128, 3))
    ]
    return Parts(*drawn)


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


def results_of(
    arm: Arm, data: Parts[Scenes], seed: int, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Train a network and measure it.

    Args:
        arm: the network and its learning rate.
        data: the scenes.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.

    Returns:
        The mean IoU on validation and test scenes, the losses and the number of steps.
    """
    model, losses = train_one(arm, data.training, seed=seed, recipe=recipe)
    return {
        MEASURE: round(mean_iou(model, data.validation), 4),
        "iou": round(mean_iou(model, data.test), 4),
        "losses": [
            round(mean(losses[i : i + LOSS_STEPS]), 4) for i in range(0, len(losses), LOSS_STEPS)
        ],
        "steps": len(losses),
    }


SEARCH = Search(ARMS, MEASURE, results_of, constants=asdict(Recipe()))
configuration, run, best_rates = SEARCH.configuration, SEARCH.run, SEARCH.best_rates
