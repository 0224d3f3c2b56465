"""The recorded run of chapter 4.1: what does a start from trained weights owe to their arrangement?

The network that the package ships, which was trained on photographs, learns generated images for 32
steps with a new last layer. One control starts from random weights, the other one from the shipped
weights, shuffled within each convolution. Each start has several learning rates. The images of a
seed are its own, so those that choose the rates are not among those that report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from .. import augment
from ..data import ImageDataset, synthetic
from ..ledger import recorded
from ..models.layers import he_initialization
from ..train import error, fit, one_cycle
from .cifar import trained
from .searched import Search, named
from .seeded import seeded

QUESTION = (
    "A network that was trained on photographs learns generated images better than one with random "
    "weights. Does it need the arrangement of its weights for that, or their sizes only?"
)
TIME = "a CPU core, three minutes"
#: What chooses the learning rates.
MEASURE = "test error"
#: The seeds that choose the learning rates. The chapter's page trains with seed 3.
CHOOSING = (0, 1, 2)
RATES = (0.075, 0.15, 0.3, 0.6, 1.2, 2.4)
#: How the network begins, apart from its last layer, which is new.
STARTS = ("shipped", "shuffled", "random")


@dataclass(frozen=True)
class Arm:
    """A start and its learning rate.

    Attributes:
        start: one of ``STARTS``.
        lr: the learning rate at the peak of its cycle.
    """

    start: str
    lr: float

    @property
    def network(self) -> str:
        """The start, which arms of different rates share."""
        return self.start


ARMS: Mapping[str, Arm] = named(Arm(start, lr) for lr in RATES for start in STARTS)


@dataclass(frozen=True)
class Gratings:
    """The images of every seed.

    Attributes:
        device: where the images are.
    """

    device: torch.device = torch.device("cpu")

    @property
    def source(self) -> str:
        """What the data is, for the record."""
        return "synthetic gratings, 10 classes, 16 x 16, for each run the seed after its own"

    def to(self, device: str | torch.device) -> Gratings:
        """Put the images on a device.

        Args:
            device: what to train on.
        """
        return Gratings(torch.device(device))

    def of(self, seed: int) -> ImageDataset:
        """Generate the images of a run.

        Args:
            seed: the seed of the run.

        Returns:
            256 training and 1024 test images of ten classes, which differ from seed to seed.
        """
        images = synthetic(train=256, test=1024, size=16, noise=0.8, seed=seed + 1)
        return images.to(self.device)


def page_data() -> Gratings:
    """Say how the images of the chapter's page are generated.

    Returns:
        The images of every seed, on the CPU.
    """
    return Gratings()


def starting_network(start: str, seed: int) -> nn.Module:
    """Build a network with a new last layer; torch's global generator is left as it was.

    Args:
        start: one of ``STARTS``; shuffled weights stay within their convolution.
        seed: the seed of what is random, and of the last layer, which is the same for each start.

    Returns:
        The network, on the CPU.

    Raises:
        ValueError: if there is no such start.
    """
    if start not in STARTS:
        raise ValueError(f"start {start!r}; it must be one of {', '.join(STARTS)}")
    model = trained("lesion-short", "residual-20", record=recorded("lesion-short"))
    with seeded(seed):
        for layer in model.modules():
            reset = getattr(layer, "reset_parameters", None)
            if start == "random" and callable(reset):
                reset()
            if start == "shuffled" and isinstance(layer, nn.Conv2d):
                weights = layer.weight.data.flatten()
                weights = weights[torch.randperm(len(weights))]
                layer.weight.data = weights.view_as(layer.weight)
        if start == "random":
            he_initialization(model)
        torch.manual_seed(seed)
        features = model.get_parameter("classifier.weight").shape[1]
        model.classifier = nn.Linear(features, 10)
    return model


def fine_tune(arm: Arm, images: ImageDataset, seed: int) -> float:
    """Train a network for 32 steps.

    Args:
        arm: the start and the learning rate.
        images: what it learns.
        seed: the seed of the start, of the order of the images and of their crops and flips.

    Returns:
        The test error in percent.
    """
    model = starting_network(arm.start, seed).to(images.train_images.device)
    fit(
        model,
        images,
        epochs=4,
        batch_size=32,
        lr=arm.lr,
        momentum=0.9,
        schedule=one_cycle(0.5),
        augment=augment.crop_and_flip(2, "reflect"),
        channels_last=True,
        seed=seed,
        evaluate=False,
    )
    return error(model, images.test_images, images.test_labels)


def results_of(arm: Arm, data: Gratings, seed: int) -> dict[str, float]:
    """Train a network on the images of its seed and measure it.

    Args:
        arm: the start and the learning rate.
        data: the images of every seed.
        seed: the seed of the images and of the training.

    Returns:
        The test error in percent.
    """
    return {MEASURE: round(fine_tune(arm, data.of(seed), seed), 2)}


SEARCH = Search(ARMS, MEASURE, results_of, constants={"steps": 32}, choosing=CHOOSING)
configuration, run = SEARCH.configuration, SEARCH.run
