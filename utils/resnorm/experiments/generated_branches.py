"""The recorded run of chapter 3.1: which residual blocks train, by how their branches start.

Fully connected networks of 24 blocks learn flattened images for 48 steps. The images are generated,
so the run needs no data. Each kind of block has six learning rates. The question is what can be
trained, so the rate is chosen by the training loss, with seeds that are not reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..data import ImageDataset, synthetic
from ..models import ResidualMLP
from ..train import fit
from .searched import NamedArm, Search, named
from .seeded import seeded

QUESTION = (
    "Which kinds of residual block train at any of six learning rates, in a fully connected "
    "network of 24 blocks without a warmup?"
)
TIME = "a CPU core, two minutes"
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
#: What decides on the learning rates.
MEASURE = "training loss"
DEPTH, WIDTH, CLASSES = 24, 64, 6
#: Passes over the training images, of eight steps each.
EPOCHS = 6
#: A larger loss, and that of a run that diverged, is recorded as this.
LARGEST_LOSS = 10.0
#: name -> arguments of :class:`resnorm.blocks.ResidualBlock`.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "linear-ReLU": {"order": "linear_relu"},
    "ReLU-linear": {"order": "relu_linear"},
    "ReLU-linear, divided by √2": {"order": "relu_linear", "normalize": True},
    "ReLU-linear, SkipInit": {"order": "relu_linear", "skip_init": True},
    "batch norm first": {"order": "batch_norm_first"},
    "ReLU-linear, strength 1/√24": {"order": "relu_linear", "scale": 1 / math.sqrt(DEPTH)},
    "post-activation": {"order": "post_activation"},
    "post-activation, zero γ": {"order": "post_activation"},
}


@dataclass(frozen=True)
class Arm(NamedArm):
    """A kind of block and its learning rate.

    Attributes:
        name: a key of ``KINDS``.
        lr: the learning rate, which is constant.
        block: the arguments of :class:`resnorm.blocks.ResidualBlock`.
        zero_gamma: whether the scale of the last norm of each branch starts at 0.
    """

    block: Mapping[str, Any] = field(default_factory=dict)
    zero_gamma: bool = False


ARMS: Mapping[str, Arm] = named(
    Arm(name, lr, dict(block), name.endswith("zero γ"))
    for lr in RATES
    for name, block in KINDS.items()
)


def page_data() -> ImageDataset:
    """Generate the images of the chapter's page, flattened.

    Returns:
        512 training images and 256 others of six classes, vectors of 192 numbers.
    """
    images = synthetic(train=512, test=256, size=8, num_classes=CLASSES, noise=0.5)
    return replace(
        images,
        train_images=images.train_images.flatten(1),
        test_images=images.test_images.flatten(1),
    )


def build(arm: Arm, in_features: int, seed: int) -> ResidualMLP:
    """Build the network of an arm; torch's global generator is left as it was.

    Args:
        arm: decides the blocks.
        in_features: numbers per image.
        seed: the seed of the weights.

    Returns:
        The untrained network.
    """
    g = torch.Generator().manual_seed(seed)
    with seeded(seed):
        model = ResidualMLP(in_features, WIDTH, DEPTH, CLASSES, generator=g, **arm.block)
    if arm.zero_gamma:
        for block in model.blocks:
            # The branch ends in a norm, so its last parameters are a scale and a shift.
            *_, scale, _ = block.get_submodule("branch").parameters()
            nn.init.zeros_(scale)
    return model


def train_one(
    arm: Arm, data: ImageDataset, *, seed: int = 0, epochs: int = EPOCHS
) -> tuple[ResidualMLP, list[float]]:
    """Train one network by SGD with momentum.

    Args:
        arm: the blocks and the learning rate.
        data: the training images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images, of eight steps each.

    Returns:
        The network, in evaluation mode, and the loss after each step. Both end where the loss is
        not finite.
    """
    model = build(arm, data.train_images.shape[1], seed)
    history = fit(
        model,
        data,
        epochs=epochs,
        batch_size=64,
        lr=arm.lr,
        seed=seed,
        evaluate=False,
        allow_divergence=True,
    )
    losses = [*history.losses, math.inf] if history.diverged else history.losses
    return model.eval(), losses


def bounded(loss: float) -> float:
    """Round a loss for the record, and bound it, because JSON has no infinity.

    Args:
        loss: the loss; infinite or NaN if the run diverged.

    Returns:
        At most ``LARGEST_LOSS``.
    """
    return round(loss, 4) if loss < LARGEST_LOSS else LARGEST_LOSS


def results_of(arm: Arm, data: ImageDataset, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """Train a network and measure its losses.

    Args:
        arm: the blocks and the learning rate.
        data: the images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images.

    Returns:
        The loss on the other images, and the mean training loss of the last eight steps.
    """
    model, losses = train_one(arm, data, seed=seed, epochs=epochs)
    with torch.no_grad():
        held_out = F.cross_entropy(model(data.test_images), data.test_labels).item()
    return {
        "validation loss": bounded(held_out if losses[-1] < math.inf else math.inf),
        MEASURE: bounded(mean(losses[-8:])),
    }


SEARCH = Search(
    ARMS,
    MEASURE,
    results_of,
    constants={"epochs": EPOCHS, "depth": DEPTH, "width": WIDTH},
)
configuration, run = SEARCH.configuration, SEARCH.run
