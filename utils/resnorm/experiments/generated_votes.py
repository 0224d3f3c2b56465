"""The recorded run of chapter 3.6: do five networks find more cells than a stricter one?

Each seed of the record is a group of five U-Nets of its own, trained on the cells of the chapter's
page with equal weights and at the rate that :mod:`resnorm.experiments.generated_cells` chose. The
group votes in several ways, and the control is a single network with a stricter threshold.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Cells
from ..ledger import Record
from ..segmentation import object_f1, vote
from . import generated_cells
from .generated_cells import EPOCHS, judge, page_data, train_one
from .parts import Parts

__all__ = ["page_data"]

QUESTION = (
    "On generated cells, do five U-Nets that vote find more cells than one of them, and is it the "
    "vote or a stricter threshold that finds them?"
)
TIME = "a CPU core, four minutes"
MEMBERS = 5
#: The best of the recorded rates for equal weights.
RATE = 1.6
#: From which the stricter masks choose, by the F1 of objects on the validation images.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: name -> how the mask is made.
ARMS: Mapping[str, str] = {
    "one network": "the mean result of the five",
    "one network, stricter": "the same, each with a threshold of its own",
    "majority": "a pixel belongs to a cell if at least three say so",
    "unanimous": "a pixel belongs to a cell if all five say so",
    "mean probability, stricter": "the mean of the five probabilities with a threshold",
}


def member_seeds(group: int) -> range:
    """List the seeds of a group's networks; none of them has chosen the rate.

    Args:
        group: the number of the group, from 0.

    Returns:
        Five seeds, from 5 on.
    """
    return range(MEMBERS * (group + 1), MEMBERS * (group + 2))


@torch.no_grad()
def probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Compute the probability that a pixel belongs to a cell.

    Args:
        model: a network with two classes, in evaluation mode.
        images: (n, 1, H, W).

    Returns:
        (n, H, W), on the CPU.
    """
    return torch.cat([model(part).softmax(1)[:, 1] for part in images.split(8)]).cpu()


def best_threshold(chance: Tensor, data: Cells) -> float:
    """Choose the threshold with the best F1 of objects; of equal ones the lowest.

    Args:
        chance: (n, H, W), probabilities.
        data: the images that choose, with their cells.

    Returns:
        One of ``THRESHOLDS``.
    """
    return max(THRESHOLDS, key=lambda t: object_f1((chance > t).long(), data.instances))


def ballots(chance: Tensor, check: Tensor, data: Parts[Cells]) -> dict[str, dict[str, float]]:
    """Judge the masks that a group of networks gives.

    Args:
        chance: (members, n, H, W), each network's probabilities on the test images.
        check: the same on the validation images.
        data: the images.

    Returns:
        A key of ``ARMS`` -> its results on the test images.
    """
    masks = (chance > 0.5).long()
    own = [best_threshold(part, data.validation) for part in check]
    of_mean = best_threshold(check.mean(0), data.validation)
    majority = vote(masks)
    doubtful = (masks.sum(0) * 2 - len(masks)).abs() == 1
    wrong = (majority != data.test.masks).float()
    single = [judge(mask, data.test) for mask in masks]
    strict = [judge((p > t).long(), data.test) for p, t in zip(chance, own, strict=True)]
    return {
        "one network": _mean_of(single) | {"threshold": 0.5},
        "one network, stricter": _mean_of(strict) | {"threshold": mean(own)},
        "majority": judge(majority, data.test)
        | {
            "threshold": 0.5,
            "wrong, % where the vote is 3 to 2": round(100 * wrong[doubtful].mean().item(), 2),
            "wrong, % elsewhere": round(100 * wrong[~doubtful].mean().item(), 2),
        },
        "unanimous": judge(masks.amin(0), data.test) | {"threshold": 0.5},
        "mean probability, stricter": judge((chance.mean(0) > of_mean).long(), data.test)
        | {"threshold": of_mean},
    }


def _mean_of(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(mean(result[key] for result in results), 4) for key in results[0]}


def configuration(epochs: int = EPOCHS) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        epochs: passes over the training images.

    Returns:
        The settings and the arms, for the record.
    """
    return {
        "epochs": epochs,
        "lr": RATE,
        "members": MEMBERS,
        "thresholds": THRESHOLDS,
        "arms": dict(ARMS),
    }


def run(
    record: Record,
    data: Parts[Cells],
    seeds: Iterable[int],
    arms: Mapping[str, str] = ARMS,
    epochs: int = EPOCHS,
) -> None:
    """Train the groups that the record lacks, and record every kind of mask.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: the images.
        seeds: the numbers of the groups.
        arms: those to record. All are computed from the same five networks.
        epochs: passes over the training images.
    """
    arm = generated_cells.ARMS[f"equal weights, rate {RATE}"]
    for group in sorted(set(seeds)):
        if all(record.has(name, group) for name in arms):
            continue
        start = time.perf_counter()
        models = [
            train_one(arm, data.training, seed=seed, epochs=epochs) for seed in member_seeds(group)
        ]
        chance, check = (
            torch.stack([probabilities(model, part.images) for model in models])
            for part in (data.test, data.validation)
        )
        results = ballots(chance, check, data)
        seconds = time.perf_counter() - start
        for name in arms:
            record.add(name, group, results[name], seconds, data.device)
