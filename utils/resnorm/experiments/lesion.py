"""Chapter 3.2: what happens to a trained network when blocks are deleted or trade places?

The lesion study of Veit, Wilber & Belongie (2016), sections 4.1 to 4.3: train a plain network, a
residual network with the same layers, a deep residual network, and the same with stochastic depth.
Then remove or permute blocks and measure the test error.
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
from ..train import error
from .choice import choose
from .seeded import train_seeded


@dataclass(frozen=True)
class Arm:
    """One network and its training.

    Attributes:
        blocks: blocks per stage.
        residual: whether the blocks have shortcuts.
        last_survival: the probability that the branch of the last block is used in a training step;
            below 1 is stochastic depth.
        lr: the learning rate at the start; it falls to 0 along a cosine.
        epochs: passes over the training images.
        batch_size: images per batch.
        weight_decay: the weight decay of all parameters.
    """

    blocks: int
    residual: bool = True
    last_survival: float = 1.0
    lr: float = 0.1
    epochs: int = 7
    batch_size: int = 64
    weight_decay: float = 6e-3


#: Each trains in seconds on :func:`page_data`. ``plain`` and ``residual`` have the same layers; a
#: plain network as deep as ``deep residual`` does not train in that time.
ARMS = {
    "plain": Arm(3, residual=False, lr=0.05, epochs=5, batch_size=32),
    "residual": Arm(3, epochs=5, batch_size=32),
    "deep residual": Arm(9),
    "stochastic depth": Arm(9, last_survival=0.5),
}


def page_data() -> ImageDataset:
    """Generate an easy problem, which shows what a network loses and not what it never learned.

    Returns:
        2048 training and 512 test images of four classes, 12 x 12 pixels.
    """
    return synthetic(train=2048, test=512, size=12, num_classes=4, noise=0.3)


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network whose blocks can be removed.

    Attributes:
        arm: the name of its arm.
        seed: the seed of the run.
        model: the :class:`resnorm.models.SmallResNet`, in evaluation mode.
        error: the test error with all blocks in place, in percent.
        removable: the names of the blocks that can be removed: all but those that change the shape.
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
) -> TrainedNetwork:
    """Train one arm by SGD with momentum 0.9 and a cosine schedule.

    Args:
        arm: a key of ``arms``.
        data: images and labels, see :mod:`resnorm.data`.
        seed: the seed of the weights, of the order of examples and of the choices of stochastic
            depth; torch's global generator is left as it was.
        widths: channels per stage.
        arms: name -> network and training.

    Returns:
        The trained network.

    Raises:
        ValueError: if the arm is unknown.
    """
    chosen = choose("arm", arm, arms)
    model, _ = train_seeded(
        lambda: SmallResNet(
            chosen.blocks,
            widths,
            residual=chosen.residual,
            last_survival=chosen.last_survival,
            in_channels=data.train_images.shape[1],
            num_classes=int(data.train_labels.max()) + 1,
        ),
        data,
        seed,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        weight_decay=chosen.weight_decay,
        schedule=lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    )
    model.eval()
    names = tuple(removable(model, data.test_images[:2], PreActBasicBlock))
    return TrainedNetwork(arm, seed, model, error(model, data.test_images, data.test_labels), names)


def delete(network: TrainedNetwork, data: ImageDataset, names: Sequence[str]) -> float:
    """Measure the test error without the named blocks.

    Args:
        network: the trained network; afterwards it is as it was.
        data: the test images and labels.
        names: the blocks to remove, from ``network.removable``.

    Returns:
        The error in percent.
    """
    with lesion(network.model, names):
        return error(network.model, data.test_images, data.test_labels)


def delete_each(network: TrainedNetwork, data: ImageDataset) -> dict[str, float]:
    """Measure the test error without each removable block in turn.

    Args:
        network: the trained network; afterwards it is as it was.
        data: the test images and labels.

    Returns:
        Block -> error in percent.
    """
    return {name: delete(network, data, [name]) for name in network.removable}


def delete_many(
    network: TrainedNetwork,
    data: ImageDataset,
    sizes: Sequence[int],
    *,
    samples: int = 10,
    seed: int = 0,
) -> Tensor:
    """Measure the test error without random sets of blocks.

    Args:
        network: the trained network; afterwards it is as it was.
        data: the test images and labels.
        sizes: the numbers of blocks to remove.
        samples: the number of different sets per size.
        seed: the seed of the sets.

    Returns:
        Errors in percent, (sizes, samples). Where there are fewer different sets than ``samples``,
        the row is filled up with NaN.

    Raises:
        ValueError: if a size is larger than the number of removable blocks.
    """
    if max(sizes) > len(network.removable):
        raise ValueError(
            f"sizes {list(sizes)}: this network has {len(network.removable)} removable blocks"
        )
    generator = torch.Generator().manual_seed(seed)
    errors = torch.full((len(sizes), samples), float("nan"))
    for row, size in zip(errors, sizes, strict=True):
        for i, names in enumerate(subsets(network.removable, size, samples, generator)):
            row[i] = delete(network, data, names)
    return errors


def permute(
    network: TrainedNetwork,
    data: ImageDataset,
    swaps: Sequence[int],
    *,
    samples: int = 10,
    seed: int = 0,
) -> list[tuple[int, float, float]]:
    """Measure the test error after random swaps of two removable blocks of the same shape.

    Args:
        network: the trained network; afterwards it is as it was.
        data: the test images and labels.
        swaps: the numbers of swaps to try.
        samples: the number of permutations per number of swaps.
        seed: the seed of the swaps.

    Returns:
        For each permutation the number of swaps, Kendall's tau between the new and the old order of
        all removable blocks, and the error in percent.
    """
    from scipy.stats import kendalltau

    names = network.removable
    partners = _blocks_of_the_same_shape(network)
    generator = torch.Generator().manual_seed(seed)
    results = []
    for k in swaps:
        for _ in range(samples):
            order = list(range(len(names)))
            for pick in torch.randint(len(partners), (k,), generator=generator).tolist():
                i, j = partners[pick]
                order[i], order[j] = order[j], order[i]
            places = {names[place]: names[block] for place, block in enumerate(order)}
            with permuted(network.model, places):
                wrong = error(network.model, data.test_images, data.test_labels)
            tau = float(kendalltau(range(len(order)), order).statistic)
            results.append((k, tau, wrong))
    return results


def _blocks_of_the_same_shape(network: TrainedNetwork) -> list[tuple[int, int]]:
    """List the pairs of removable blocks that can trade places, as positions in ``removable``."""
    modules = dict(network.model.named_modules())
    shapes = [
        [tuple(tensor.shape) for tensor in modules[name].state_dict().values()]
        for name in network.removable
    ]
    return [(i, j) for j in range(len(shapes)) for i in range(j) if shapes[i] == shapes[j]]
