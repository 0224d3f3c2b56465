"""Chapter 1.2: do deeper networks fit the training set worse?

Plain and residual networks with the same layers, all with batch norm, are trained alike: He et al.
(2016), figures 1 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..data import ImageDataset, synthetic
from ..models import cifar_plain, cifar_resnet
from ..train import error, fit
from .choice import choose
from .seeded import build_seeded

DEPTHS = (8, 14, 20)
KINDS = ("plain", "residual")


@dataclass(frozen=True)
class Recipe:
    """The training, which is the same for all networks.

    Attributes:
        lr: the highest learning rate. It is reached in a linear rise over the first fifth of the
            training, and then falls linearly to a fiftieth of it.
        epochs: passes over the training images.
        batch_size: images per batch.
        weight_decay: the weight decay of all parameters.
    """

    lr: float = 0.1
    epochs: int = 6
    batch_size: int = 64
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Result:
    """One trained network.

    Attributes:
        kind: one of ``KINDS``.
        depth: the number of layers.
        seed: the seed of the run.
        losses: the training loss of each step.
        train_error: the error on the training images at the end, in percent, in evaluation mode.
        test_error: the error on the test images, likewise.
        model: the network, in evaluation mode.
    """

    kind: str
    depth: int
    seed: int
    losses: list[float]
    train_error: float
    test_error: float
    model: nn.Module


def page_data() -> ImageDataset:
    """Generate gratings in noise, few and small enough for seconds per network.

    Returns:
        512 training and 512 test images of ten classes, 12 x 12 pixels.
    """
    return synthetic(train=512, test=512, size=12, noise=1.0)


def build(kind: str, depth: int, data: ImageDataset, seed: int) -> nn.Module:
    """Build an untrained network; torch's global generator is left as it was.

    Args:
        kind: one of ``KINDS``.
        depth: the number of layers, 6n + 2.
        data: the images and labels that it is for.
        seed: the seed of the weights.

    Returns:
        The network, on the device of the data.

    Raises:
        ValueError: if the kind is unknown, or the depth is not 6n + 2.
    """
    make = choose("kind", kind, {"plain": cifar_plain, "residual": cifar_resnet})
    classes = int(data.train_labels.max()) + 1
    channels = data.train_images.shape[1]
    return build_seeded(lambda: make(depth, in_channels=channels, num_classes=classes), data, seed)


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
        depth: the number of layers, 6n + 2.
        data: images and labels, see :mod:`resnorm.data`.
        seed: the seed of the weights and of the order of examples.
        recipe: the training.
        model: a network to train further; None builds a new one.

    Returns:
        The network with its losses and errors.

    Raises:
        ValueError: if the kind is unknown, or the depth is not 6n + 2.
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
    train_error = error(model, data.train_images, data.train_labels)
    test_error = error(model, data.test_images, data.test_labels)
    return Result(kind, depth, seed, history.losses, train_error, test_error, model.eval())
