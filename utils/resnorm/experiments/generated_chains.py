"""The recorded run of chapter 3.6: what a second hourglass and the loss on the first one are worth.

The chains are those of the chapter's page, so the run needs no data. All networks have about the
same number of multiply-adds. Each has several learning rates, and the best one is chosen on images
that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import ImageDataset, Skeletons, skeletons
from ..models import StackedHourglass
from .parts import Parts
from .searched import NamedArm, Search, named
from .seeded import train_seeded

QUESTION = (
    "At equal multiply-adds, does a second hourglass find more joints than a wider one, and does "
    "it need a loss on the first one?"
)
TIME = "a CPU core, ten minutes"
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4)
#: What chooses the learning rates.
MEASURE = "validation found"
#: Passes over the training images.
EPOCHS = 7
#: name -> stacks, channels, and whether every stack has a loss or only the last one.
NETWORKS: Mapping[str, tuple[int, int, bool]] = {
    "two stacks, a loss on each": (2, 16, True),
    "two stacks, a loss on the last": (2, 16, False),
    "one stack, wider": (1, 24, True),
}


@dataclass(frozen=True)
class Arm(NamedArm):
    """A network, its losses and its learning rate.

    Attributes:
        name: a key of ``NETWORKS``.
        lr: the highest learning rate.
        stacks: number of hourglasses.
        channels: of the feature maps.
        supervise_all: whether every stack has a loss; otherwise only the last one has.
    """

    stacks: int
    channels: int
    supervise_all: bool


ARMS: Mapping[str, Arm] = named(
    Arm(name, lr, *how) for lr in RATES for name, how in NETWORKS.items()
)


def page_data() -> Parts[Skeletons]:
    """Generate the chains of the chapter's page, and 128 more to choose learning rates on."""
    return Parts(
        skeletons(448, noise=0.2, seed=0),
        skeletons(128, noise=0.2, seed=1),
        skeletons(128, noise=0.2, seed=2),
    )


def build(arm: Arm) -> StackedHourglass:
    """Build the network of an arm, from torch's global generator.

    Args:
        arm: decides stacks and channels.

    Returns:
        The untrained network, with four heat maps.
    """
    return StackedHourglass(1, 4, arm.stacks, channels=arm.channels)


def map_loss(maps: Tensor, heat_maps: Tensor) -> Tensor:
    """Compute the cross-entropy between maps, read as distributions over positions.

    Args:
        maps: (N, joints, H, W), the predicted ones before the softmax.
        heat_maps: (N, joints, H, W), the true ones, not negative.

    Returns:
        The mean over examples and joints, a scalar.
    """
    target = heat_maps.flatten(2)
    target = target / target.sum(-1, keepdim=True)
    return -(target * F.log_softmax(maps.flatten(2), dim=-1)).sum(-1).mean()


@torch.no_grad()
def found(model: nn.Module, data: Skeletons, within: float = 2.0) -> list[list[float]]:
    """Compute the share of joints whose map is highest within some pixels of the truth.

    Args:
        model: returns a list of maps (N, joints, H, W), one per stack.
        data: images and joints.
        within: the largest distance that counts, in pixels.

    Returns:
        A row per stack, a share per joint.
    """
    size, rows = data.images.shape[-1], []
    for maps in model(data.images):
        peak = maps.flatten(2).argmax(-1)
        places = torch.stack([peak // size, peak % size], dim=-1)
        near = (places - data.points).norm(dim=-1) <= within
        rows.append([round(share, 4) for share in near.float().mean(0).tolist()])
    return rows


def train_one(
    arm: Arm, data: Skeletons, *, seed: int = 0, epochs: int = EPOCHS
) -> StackedHourglass:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network, its losses and its learning rate.
        data: the training images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images.

    Returns:
        The network, in evaluation mode.
    """
    judged = slice(None) if arm.supervise_all else slice(-1, None)

    def loss(predictions: list[Tensor], heat_maps: Tensor) -> Tensor:
        return torch.stack([map_loss(maps, heat_maps) for maps in predictions[judged]]).sum()

    model, _ = train_seeded(
        lambda: build(arm),
        ImageDataset(data.images, data.heat_maps(1.0), data.images[:0], data.points[:0], ""),
        seed,
        epochs=epochs,
        batch_size=16,
        lr=arm.lr,
        schedule=lambda progress: min(1.0, progress / 0.1, (1 - progress) / 0.9 + 0.01),
        loss=loss,
        allow_divergence=True,
    )
    return model.eval()


def results_of(arm: Arm, data: Parts[Skeletons], seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Train a network and count the joints that it finds.

    Args:
        arm: the network, its losses and its learning rate.
        data: the images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images.

    Returns:
        The shares of joints found by the last stack, on validation and test images, and by the
        first one, on test images, also joint by joint.
    """
    model = train_one(arm, data.training, seed=seed, epochs=epochs)
    validation, test = (found(model, part) for part in (data.validation, data.test))
    last, first = test[-1], test[0]
    return {
        MEASURE: round(sum(validation[-1]) / len(validation[-1]), 4),
        "found": round(sum(last) / len(last), 4),
        "found by the first stack": round(sum(first) / len(first), 4),
        **{f"joint {i}": share for i, share in enumerate(last, 1)},
        "joints, first stack": first,
    }


SEARCH = Search(ARMS, MEASURE, results_of, constants={"epochs": EPOCHS})
configuration, run = SEARCH.configuration, SEARCH.run
