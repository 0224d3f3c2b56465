"""The recorded run of chapter 3.2: does stochastic depth make a lesion cheaper?

The two deep networks of the chapter's page (:mod:`resnorm.experiments.lesion`) differ in stochastic
depth only. They are trained with several seeds. Each has several learning rates, which are chosen
by the loss of the whole network on images that serve for nothing else. Then each block that can be
removed is removed in turn, and the test loss is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .. import probes
from ..data import ImageDataset, synthetic
from . import lesion
from .searched import Search, named

QUESTION = (
    "Does training with stochastic depth make the removal of a block cheaper, in the blocks that "
    "training often leaves out and in those that it rarely does?"
)
TIME = "a CPU core, five minutes"
#: What chooses the learning rates.
MEASURE = "validation loss"
RATES = (0.05, 0.1, 0.2)
NETWORKS = ("deep residual", "stochastic depth")


@dataclass(frozen=True)
class Arm:
    """A network and its learning rate.

    Attributes:
        network: a key of :data:`resnorm.experiments.lesion.ARMS`.
        lr: the learning rate at the start.
    """

    network: str
    lr: float

    @property
    def recipe(self) -> lesion.Arm:
        """The network and its training."""
        return replace(lesion.ARMS[self.network], lr=self.lr)


ARMS: Mapping[str, Arm] = named(Arm(network, lr) for lr in RATES for network in NETWORKS)


@dataclass(frozen=True)
class LesionData:
    """Images of the same classes: to train and measure on, and to choose learning rates on.

    Attributes:
        images: the training and test images.
        validation: images and labels that choose.
    """

    images: ImageDataset
    validation: tuple[Tensor, Tensor]

    @property
    def source(self) -> str:
        """What the data is, for the record."""
        return self.images.source

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def to(self, device: str | torch.device) -> LesionData:
        """Put the images on a device.

        Args:
            device: what to train on.
        """
        inputs, labels = self.validation
        return LesionData(self.images.to(device), (inputs.to(device), labels.to(device)))


def page_data() -> LesionData:
    """Generate images like those of the chapter's page, and as many more as it tests on.

    Returns:
        2048 training, 512 test and 512 validation images of the page's four classes.
    """
    drawn = synthetic(train=2048, test=1024, size=12, num_classes=4, noise=0.3)
    images = replace(
        drawn, test_images=drawn.test_images[:512], test_labels=drawn.test_labels[:512]
    )
    return LesionData(images, (drawn.test_images[512:], drawn.test_labels[512:]))


@torch.no_grad()
def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Compute the mean cross-entropy.

    Args:
        model: the network, in evaluation mode.
        images: (n, 3, H, W).
        labels: (n,).

    Returns:
        The loss, rounded to five digits.
    """
    return round(cross_entropy(model(images), labels).item(), 5)


def results_of(arm: Arm, data: LesionData, seed: int) -> dict[str, Any]:
    """Train a network, and remove each of its removable blocks in turn.

    Args:
        arm: the network and its learning rate.
        data: the images.
        seed: the seed of the weights, of the order of examples and of what stochastic depth draws.

    Returns:
        The validation loss, the test loss, the test error in percent, and, for each block that can
        be removed, in the order of the network, the test loss without it.
    """
    images = data.images
    recipes = {arm.network: arm.recipe}
    network = lesion.train_arm(arm.network, images, seed=seed, arms=recipes)
    without = {}
    for name in network.removable:
        with probes.lesion(network.model, [name]):
            without[name] = loss_of(network.model, images.test_images, images.test_labels)
    return {
        MEASURE: loss_of(network.model, *data.validation),
        "loss": loss_of(network.model, images.test_images, images.test_labels),
        "error": round(network.error, 2),
        "loss without": without,
    }


def configuration() -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Returns:
        The networks with their trainings, for the record.
    """
    return {"arms": {name: asdict(arm.recipe) for name, arm in ARMS.items()}}


run = Search(ARMS, MEASURE, results_of).run
