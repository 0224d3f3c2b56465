"""The recorded run of chapters 3.4 and 3.5: depth, width, groups and dense blocks at equal cost.

Two wide residual networks of about equal cost compare depth with width, three networks of
bottlenecks compare one group with several, and a ResNet and a DenseNet of equal multiply-adds
compare addition with concatenation. The images are those of the chapters' pages, so the run needs
no data. Each network has several learning rates, and the best one is chosen on images that serve
for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from ..data import ImageDataset, synthetic
from ..models import ResNet, cifar_densenet, cifar_resnet, cifar_wide_resnet
from ..models.resnet import Bottleneck
from ..train import error, one_cycle
from .searched import NamedArm, Search, named
from .seeded import train_seeded

QUESTION = (
    "At equal cost, which network makes fewer errors after a short training: a deep or a wide one, "
    "one with one group or with several, and one that adds or one that concatenates?"
)
TIME = "a CPU core, ten minutes"
#: What chooses the learning rates.
MEASURE = "validation accuracy"
#: The first of the test images choose the learning rates.
HELD_OUT = 512


def bottlenecks(cardinality: int, width: int) -> ResNet:
    """Make a network of 20 layers, whose blocks are bottlenecks with groups.

    Args:
        cardinality: number of groups.
        width: channels per group of a block with 256 channels; those of the first stage have 128.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(
        Bottleneck,
        (2, 2, 2),
        (32, 64, 128),
        num_classes=10,
        stem="cifar",
        groups=cardinality,
        width_per_group=width,
    )


#: A wide range of learning rates, each twice the one before.
DOUBLING = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
#: name -> what makes the network, its learning rates and its number of epochs.
NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[float, ...], int]] = {
    "WRN-46-1": (lambda: cifar_wide_resnet(46, 1), (0.05, 0.1, 0.2, 0.4), 5),
    "WRN-10-3": (lambda: cifar_wide_resnet(10, 3), (0.05, 0.1, 0.2, 0.4), 5),
    "1 group": (lambda: bottlenecks(1, 64), (0.025, 0.05, 0.1, 0.2), 10),
    "4 groups": (lambda: bottlenecks(4, 24), (0.025, 0.05, 0.1, 0.2), 10),
    "32 groups": (lambda: bottlenecks(32, 4), (0.025, 0.05, 0.1, 0.2), 10),
    "ResNet-20": (lambda: cifar_resnet(20), DOUBLING, 5),
    "DenseNet-19": (lambda: cifar_densenet(19, 10), DOUBLING, 5),
}


@dataclass(frozen=True)
class Arm(NamedArm):
    """A network, its learning rate and its training time.

    Attributes:
        name: a key of ``NETWORKS``.
        lr: the highest learning rate.
        epochs: passes over the training images.
    """

    epochs: int


ARMS: Mapping[str, Arm] = named(
    Arm(name, lr, epochs) for name, (_, rates, epochs) in NETWORKS.items() for lr in rates
)


def page_data() -> ImageDataset:
    """Generate the images of the chapters' pages; the first 512 test images choose the rates."""
    return synthetic(train=512, test=HELD_OUT + 1024, size=8, noise=1.0)


def train_one(arm: Arm, data: ImageDataset, *, seed: int = 0) -> nn.Module:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network, its learning rate and its training time.
        data: the training images.
        seed: the seed of the weights and of the order of examples.

    Returns:
        The network.
    """
    model, _ = train_seeded(
        NETWORKS[arm.name][0],
        data,
        seed,
        epochs=arm.epochs,
        batch_size=32,
        lr=arm.lr,
        weight_decay=5e-4,
        schedule=one_cycle(0.2),
        allow_divergence=True,
    )
    return model


def results_of(arm: Arm, data: ImageDataset, seed: int) -> dict[str, float]:
    """Train a network and measure it on each part of the images.

    Args:
        arm: the network, its learning rate and its training time.
        data: the images.
        seed: the seed of the weights and of the order of examples.

    Returns:
        The validation accuracy, the training error and the test error, in percent.
    """
    model = train_one(arm, data, seed=seed)
    held_out = error(model, data.test_images[:HELD_OUT], data.test_labels[:HELD_OUT])
    training = error(model, data.train_images, data.train_labels)
    test = error(model, data.test_images[HELD_OUT:], data.test_labels[HELD_OUT:])
    return {
        MEASURE: round(100 - round(held_out, 2), 2),
        "training error": round(training, 2),
        "test error": round(test, 2),
    }


SEARCH = Search(ARMS, MEASURE, results_of)
configuration, run = SEARCH.configuration, SEARCH.run
