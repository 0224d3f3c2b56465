"""The recorded run of chapter 3.6: what a second hourglass and the loss on the first one are worth.

The chains are those of the chapter's page, so the run needs no data. All networks have about the
same number of multiply-adds. Each has several learning rates, and the best one is chosen on images
that serve for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import ImageDataset, Skeletons, skeletons
from ..ledger import Record
from ..models import StackedHourglass
from .searched import run_searched
from .seeded import train_seeded

QUESTION = (
    "At equal multiply-adds, does a second hourglass find more joints than a wider one, and does "
    "it need a loss on the first one?"
)
TIME = "a CPU core, ten minutes"
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4)
#: What chooses the learning rates.
MEASURE = "validation found"
#: name -> stacks, channels, and whether every stack has a loss or only the last one.
NETWORKS: Mapping[str, tuple[int, int, bool]] = {
    "two stacks, a loss on each": (2, 16, True),
    "two stacks, a loss on the last": (2, 16, False),
    "one stack, wider": (1, 24, True),
}


@dataclass(frozen=True)
class Arm:
    """A network, its losses and its learning rate.

    Attributes:
        name: a key of ``NETWORKS``, which arms of different rates share.
        lr: the highest learning rate.
        stacks: number of hourglasses.
        channels: of the feature maps.
        supervise_all: whether every stack has a loss; otherwise only the last one has.
    """

    name: str
    lr: float
    stacks: int
    channels: int
    supervise_all: bool

    @property
    def network(self) -> str:
        """The name of the network and its losses."""
        return self.name


ARMS: Mapping[str, Arm] = {
    f"{name}, rate {lr}": Arm(name, lr, *how) for lr in RATES for name, how in NETWORKS.items()
}


@dataclass(frozen=True)
class PageData:
    """Three sets of chains.

    Attributes:
        training: to train on.
        test: to measure on.
        validation: to choose learning rates on.
    """

    training: Skeletons
    test: Skeletons
    validation: Skeletons

    @property
    def source(self) -> str:
        """What the data is, for the record."""
        return f"{self.training.source} (training), {self.test.source} (test)"

    def to(self, device: str | torch.device) -> PageData:
        """Put images and joints on a device.

        Args:
            device: what to train on.
        """
        parts = (
            Skeletons(part.images.to(device), part.points.to(device), part.source)
            for part in (self.training, self.test, self.validation)
        )
        return PageData(*parts)


def page_data() -> PageData:
    """Generate the chains of the chapter's page, and 128 more to choose learning rates on."""
    return PageData(
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


def train_one(arm: Arm, data: Skeletons, *, seed: int = 0, epochs: int = 7) -> StackedHourglass:
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


def configuration(epochs: int = 7) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        epochs: passes over the training images.

    Returns:
        The settings and the arms, for the record.
    """
    return {"epochs": epochs, "arms": {name: asdict(arm) for name, arm in ARMS.items()}}


def run(
    record: Record,
    data: PageData,
    seeds: Iterable[int],
    arms: Mapping[str, Arm] = ARMS,
    epochs: int = 7,
) -> None:
    """Train what the record lacks, see :func:`resnorm.experiments.searched.run_searched`.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: the images.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
        epochs: passes over the training images.
    """

    def train(arm: Arm, seed: int) -> dict[str, Any]:
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

    run_searched(record, seeds, arms, MEASURE, train, data.training.images.device)
