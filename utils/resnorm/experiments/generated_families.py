"""The recorded run of chapters 3.4 and 3.5: deep against wide, and addition against concatenation.

The images are generated, so the run needs no data. Every network has its own learning rate for each
number of steps, chosen on images that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from torch import nn

from ..data import ImageDataset, synthetic
from ..ledger import Record
from ..models import cifar_densenet, cifar_resnet, cifar_wide_resnet
from ..train import error, one_cycle
from .searched import best_arms, runs_to_do
from .seeded import train_seeded

QUESTION = (
    "At equal multiply-adds and each at its own learning rate, does a wide residual network learn "
    "generated images better than a deep one, and a DenseNet better than a ResNet?"
)
TIME = "a CPU core, four minutes"
#: The networks of both comparisons. In each, the multiply-adds differ by at most five percent,
#: except for DenseNet-22, which has the parameters of ResNet-20 and nearly twice its arithmetic.
NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "WRN-46-1": partial(cifar_wide_resnet, 46, 1),
    "WRN-10-3": partial(cifar_wide_resnet, 10, 3),
    "ResNet-20": partial(cifar_resnet, 20),
    "DenseNet-19": partial(cifar_densenet, 19, 10),
    "DenseNet-22": partial(cifar_densenet, 22, 12),
}
#: Of the held-out images, the first ones choose learning rates; the others measure.
CHOOSE_ON = 512
#: Steps per epoch: 512 images in batches of 64.
STEPS_PER_EPOCH = 8


@dataclass(frozen=True)
class Recipe:
    """The training that all arms share.

    Attributes:
        batch_size: images per step of SGD with momentum 0.9, whose rate rises linearly in the first
            fifth and then falls to 0.
        weight_decay: of all parameters.
    """

    batch_size: int = 64
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class Arm:
    """A network, the length of its training and its learning rate.

    Attributes:
        network: a name in ``NETWORKS``.
        epochs: passes over the training images.
        lr: the highest learning rate.
    """

    network: str
    epochs: int
    lr: float

    @property
    def group(self) -> str:
        """The name of what arms of different rates share, such as ``"WRN-10-3, 80 steps"``."""
        return f"{self.network}, {STEPS_PER_EPOCH * self.epochs} steps"


def _arms() -> dict[str, Arm]:
    arms = [Arm(network, 10, lr) for network in NETWORKS for lr in (0.03, 0.1, 0.3, 1.0)]
    return {f"{arm.group}, rate {arm.lr}": arm for arm in arms}


ARMS: Mapping[str, Arm] = _arms()


def page_data() -> ImageDataset:
    """Generate gratings in noise.

    Returns:
        512 training and 1,536 held-out images of ten classes, 8 x 8 pixels.
    """
    return synthetic(train=512, test=CHOOSE_ON + 1024, size=8, noise=1.0)


def train_one(
    arm: Arm, data: ImageDataset, *, seed: int = 0, recipe: Recipe = Recipe()
) -> nn.Module:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network, the length of its training and its learning rate.
        data: images and labels.
        seed: the seed of the weights and of the order of examples.
        recipe: the rest of the training.

    Returns:
        The trained network.
    """
    options = asdict(recipe) | {"epochs": arm.epochs, "lr": arm.lr, "schedule": one_cycle(0.2)}
    make = NETWORKS[arm.network]
    model, _ = train_seeded(make, data, seed, allow_divergence=True, **options)
    return model


def configuration(recipe: Recipe = Recipe()) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        recipe: the training.

    Returns:
        The recipe and the arms, for the record.
    """
    return asdict(recipe) | {"arms": {name: asdict(arm) for name, arm in ARMS.items()}}


def best_rates(record: Record, arms: Mapping[str, Arm] = ARMS) -> dict[str, str]:
    """Choose the learning rate of each network and length by its mean validation error.

    Args:
        record: the finished runs.
        arms: name -> arm; those without runs were not part of the search.

    Returns:
        Network and steps, such as ``"WRN-10-3, 80 steps"``, and the name of the best arm.
    """
    return best_arms(record, {name: arm.group for name, arm in arms.items()}, "validation error")


def run(
    record: Record,
    data: ImageDataset,
    seeds: Iterable[int],
    arms: Mapping[str, Arm] = ARMS,
    recipe: Recipe = Recipe(),
) -> None:
    """Train what the record lacks: every arm with two seeds, the best rates with the others.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: images and labels; more than ``CHOOSE_ON`` of them are held out.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
        recipe: the training.

    Raises:
        ValueError: if a further seed is given before the seeds that choose the rates have run.
    """
    images, labels = (
        t.split((CHOOSE_ON, len(t) - CHOOSE_ON)) for t in (data.test_images, data.test_labels)
    )
    for name, seed in runs_to_do(record, seeds, arms, partial(best_rates, arms=arms)):
        with record.run(name, seed, data.train_images.device) as results:
            model = train_one(arms[name], data, seed=seed, recipe=recipe)
            results |= {
                "validation error": round(error(model, images[0], labels[0]), 2),
                "test error": round(error(model, images[1], labels[1]), 2),
                "train error": round(error(model, data.train_images, data.train_labels), 2),
                "steps": STEPS_PER_EPOCH * arms[name].epochs,
            }
