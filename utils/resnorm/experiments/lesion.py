"""What happens to a trained network when blocks are deleted or trade places? (chapter 3.2)

The lesion study of Veit, Wilber & Belongie (2016), sections 4.1 and 4.2: train a plain net, a
residual net of the same layers, a deep residual net, and the same with stochastic depth; then
remove or permute blocks and measure the test error. Plain data out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks import PreActBasicBlock
from ..data import ImageDataset, synthetic
from ..models import SmallResNet
from ..probes import lesion, permuted, removable, subsets
from ..train import error, fit


@dataclass(frozen=True)
class Arm:
    """One network and how it is trained.

    Attributes:
        blocks: a stage.
        residual: with shortcuts.
        last_survival: of the last block's branch in training; below 1 is stochastic depth.
        lr: at the start; it falls to 0 along a cosine.
        epochs, batch_size, weight_decay: of :func:`resnorm.train.fit`.
    """

    blocks: int
    residual: bool = True
    last_survival: float = 1.0
    lr: float = 0.1
    epochs: int = 7
    batch_size: int = 64
    weight_decay: float = 6e-3


#: At page scale each trains in seconds on :func:`page_data`. ``plain`` and ``residual`` have the same
#: layers; a plain net as deep as ``deep residual`` does not train in that time.
ARMS = {
    "plain": Arm(3, residual=False, lr=0.05, epochs=5, batch_size=32),
    "residual": Arm(3, epochs=5, batch_size=32),
    "deep residual": Arm(9),
    "stochastic depth": Arm(9, last_survival=0.5),
}


def page_data() -> ImageDataset:
    """An easy problem, so that a lesion shows what the network loses and not what it never learned."""
    return synthetic(train=2048, test=512, size=12, num_classes=4, noise=0.3)


@dataclass(frozen=True)
class Patient:
    """A trained network, in evaluation mode.

    Attributes:
        arm, seed: what was trained.
        model: see :class:`resnorm.models.SmallResNet`.
        error: percent wrong on the test images, all blocks in place.
        removable: names of the blocks that can be deleted: all but those that change the shape.
    """

    arm: str
    seed: int
    model: nn.Module
    error: float
    removable: tuple[str, ...]


def train_arm(
    arm: str,
    data: ImageDataset,
    *,
    seed: int = 0,
    widths: tuple[int, ...] = (8, 16),
    arms: Mapping[str, Arm] = ARMS,
) -> Patient:
    """Train one arm by SGD with momentum 0.9 and a cosine schedule.

    The seed fixes weights, order of examples and the coins of stochastic depth, and leaves
    torch's global generator as it was.

    Args:
        arm: a key of ``arms``.
        data: see :mod:`resnorm.data`.
        seed: of everything random.
        widths: channels a stage.
        arms: name -> network.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in arms:
        raise ValueError(f"arm is {arm!r}; it must be one of {', '.join(arms)}")
    chosen = arms[arm]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallResNet(
            chosen.blocks,
            widths,
            residual=chosen.residual,
            last_survival=chosen.last_survival,
            in_channels=data.train_images.shape[1],
            num_classes=int(data.train_labels.max()) + 1,
        ).to(data.train_images.device, memory_format=torch.channels_last)
        fit(
            model,
            data,
            epochs=chosen.epochs,
            batch_size=chosen.batch_size,
            lr=chosen.lr,
            weight_decay=chosen.weight_decay,
            seed=seed,
            schedule=lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
            evaluate=False,
        )
    model.eval()
    names = removable(model, data.test_images[:2], PreActBasicBlock)
    return Patient(arm, seed, model, error(model, data.test_images, data.test_labels), tuple(names))


def delete(patient: Patient, data: ImageDataset, names: Sequence[str]) -> float:
    """Test error in percent without the named blocks."""
    with lesion(patient.model, names):
        return error(patient.model, data.test_images, data.test_labels)


def delete_each(patient: Patient, data: ImageDataset) -> dict[str, float]:
    """Test error in percent without each removable block in turn."""
    return {name: delete(patient, data, [name]) for name in patient.removable}


def delete_many(
    patient: Patient, data: ImageDataset, sizes: Sequence[int], *, samples: int = 10, seed: int = 0
) -> Tensor:
    """Test error without random sets of blocks.

    Args:
        sizes: how many blocks to remove.
        samples: sets a size; fewer where there are fewer.
        seed: of the sets.

    Returns:
        (sizes, samples) percent; where there are fewer sets the row is filled up with NaN.

    Raises:
        ValueError: more blocks than can be removed.
    """
    if max(sizes) > len(patient.removable):
        raise ValueError(
            f"sizes {list(sizes)}: this network has {len(patient.removable)} removable blocks"
        )
    generator = torch.Generator().manual_seed(seed)
    errors = torch.full((len(sizes), samples), float("nan"))
    for row, size in zip(errors, sizes):
        for i, names in enumerate(subsets(patient.removable, size, samples, generator)):
            row[i] = delete(patient, data, names)
    return errors


def kendall_tau(order: Sequence[int]) -> float:
    """Kendall's rank correlation of an order of 0..n-1 with the natural one: 1 the same, -1 reversed."""
    pairs = [(i, j) for j in range(len(order)) for i in range(j)]
    return sum(1 if order[i] < order[j] else -1 for i, j in pairs) / len(pairs)


def permute(
    patient: Patient, data: ImageDataset, swaps: Sequence[int], *, samples: int = 10, seed: int = 0
) -> list[tuple[int, float, float]]:
    """Test error after random swaps of two removable blocks of the same shape.

    Args:
        swaps: numbers of swaps to try.
        samples: permutations a number.
        seed: of the swaps.

    Returns:
        (swaps, Kendall's tau of the order of all removable blocks, percent wrong) for each.
    """
    names = list(patient.removable)
    modules = dict(patient.model.named_modules())
    shape = {name: [tuple(t.shape) for t in modules[name].state_dict().values()] for name in names}
    partners = [
        (i, j) for j in range(len(names)) for i in range(j) if shape[names[i]] == shape[names[j]]
    ]
    generator = torch.Generator().manual_seed(seed)
    results = []
    for k in swaps:
        for _ in range(samples):
            order = list(range(len(names)))
            for pick in torch.randint(len(partners), (k,), generator=generator).tolist():
                i, j = partners[pick]
                order[i], order[j] = order[j], order[i]
            with permuted(
                patient.model, {names[place]: names[block] for place, block in enumerate(order)}
            ):
                wrong = error(patient.model, data.test_images, data.test_labels)
            results.append((k, kendall_tau(order), wrong))
    return results
