"""What a trained network's error becomes when blocks are removed or trade places (chapter 3.2)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...blocks import BasicBlock, PreActBasicBlock
from ...data import ImageDataset
from ...probes import lesion, removable
from ...train import error
from ..lesion import TrainedNetwork, delete_many, permute

#: Fractions of the removable blocks that are removed together.
FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
#: Numbers of swaps of two blocks of the same shape.
SWAPS = (1, 2, 4, 8, 16)


def errors_without_blocks(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Measure the error without each removable basic block in turn.

    Args:
        model: the trained network; afterwards it is as it was.
        images: (N, C, H, W).
        labels: (N,).

    Returns:
        Block -> error in percent; the entry ``"none"`` is the error of the whole network.

    Source:
        Veit, Wilber & Belongie (2016), section 4.1.
    """
    errors = {"none": round(error(model, images, labels), 2)}
    for name in removable(model, images[:2], (BasicBlock, PreActBasicBlock)):
        with lesion(model, [name]):
            errors[name] = round(error(model, images, labels), 2)
    return errors


def errors_of_sets(
    model: nn.Module, data: ImageDataset, samples: int, seed: int = 0
) -> dict[str, Any]:
    """Measure the error without random sets of blocks, and with blocks in another order.

    Args:
        model: the trained network; afterwards it is as it was.
        data: its test images are used.
        samples: number of sets per size, and of orders per number of swaps.
        seed: the seed of the choices.

    Returns:
        ``"without blocks"``: number of removed blocks -> errors in percent, of fewer sets where
        there are not so many; ``"permuted"``: for each order its number of swaps, Kendall's tau
        between the new and the old order, and the error in percent.

    Source:
        Veit, Wilber & Belongie (2016), sections 4.2 and 4.3.
    """
    names = tuple(removable(model, data.test_images[:2], (BasicBlock, PreActBasicBlock)))
    network = TrainedNetwork("", seed, model, float("nan"), names)
    sizes = sorted({max(1, round(fraction * len(names))) for fraction in FRACTIONS})
    errors = delete_many(network, data, sizes, samples=samples, seed=seed)
    orders = permute(network, data, SWAPS, samples=samples, seed=seed)
    return {
        "without blocks": {
            str(size): [round(value, 2) for value in row if value == value]  # NaN fills up a row
            for size, row in zip(sizes, errors.tolist(), strict=True)
        },
        "permuted": [[swaps, round(tau, 3), round(wrong, 2)] for swaps, tau, wrong in orders],
    }
