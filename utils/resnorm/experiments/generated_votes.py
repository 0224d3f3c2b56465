"""The recorded run of chapter 3.6 on votes: five U-Nets that differ in their seeds alone.

A unanimous vote marks fewer pixels than one network does. Whether it is the vote that finds more
cells, or only the stricter rule, is decided by a control: one network, and the mean of the five,
with a threshold that is chosen on images that serve for nothing else.
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
from .generated_cells import Arm, PageData, judge, page_data, train_one

__all__ = ["ARMS", "configuration", "judge_rules", "page_data", "probabilities", "run"]

QUESTION = (
    "Does a unanimous vote of five U-Nets find more cells than one network with a threshold that "
    "is as strict?"
)
TIME = "a CPU core, two minutes"
MEMBERS = 5
NETWORK = Arm("equal weights", 0.2)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: Each rule makes masks from the same five networks.
ARMS: Mapping[str, dict[str, Any]] = {
    "one network": {"voters": 1, "threshold": 0.5},
    "one network, threshold chosen": {"voters": 1, "threshold": "chosen"},
    "majority": {"voters": MEMBERS, "threshold": 0.5},
    "unanimous": {"voters": MEMBERS, "threshold": 0.5},
    "mean probability, threshold chosen": {"voters": MEMBERS, "threshold": "chosen"},
}


@torch.no_grad()
def probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Compute the probability that a pixel belongs to a cell.

    Args:
        model: a network with two classes, in evaluation mode.
        images: (n, channels, H, W).

    Returns:
        (n, H, W), on the CPU.
    """
    return torch.cat([model(part).softmax(1)[:, 1].cpu() for part in images.split(8)])


def best_threshold(found: Tensor, data: Cells) -> float:
    """Choose the threshold whose masks have the highest F1 of objects.

    Args:
        found: the probability of each pixel, (n, H, W).
        data: the images with their cells.

    Returns:
        One of ``THRESHOLDS``; of equal ones the lowest.
    """
    return max(THRESHOLDS, key=lambda t: object_f1((found > t).long(), data.instances))


def judge_rules(test: Tensor, validation: Tensor, data: PageData) -> dict[str, dict[str, float]]:
    """Judge the masks of all rules.

    Args:
        test: the probabilities of each network, (members, n, H, W).
        validation: likewise, on the validation images.
        data: the images with their cells.

    Returns:
        For each of ``ARMS`` what :func:`resnorm.experiments.generated_cells.judge` returns, and the
        threshold; of single networks the mean over the members.
    """
    masks = (test > 0.5).long()
    strict = [best_threshold(found, data.validation) for found in validation]
    of_mean = best_threshold(validation.mean(0), data.validation)
    return {
        "one network": _averaged([_judged(found, 0.5, data.test) for found in test]),
        "one network, threshold chosen": _averaged(
            [_judged(found, t, data.test) for found, t in zip(test, strict, strict=True)]
        ),
        "majority": judge(vote(masks), data.test) | {"threshold": 0.5},
        "unanimous": judge(masks.amin(0), data.test) | {"threshold": 0.5},
        "mean probability, threshold chosen": _judged(test.mean(0), of_mean, data.test),
    }


def _judged(found: Tensor, threshold: float, data: Cells) -> dict[str, float]:
    return judge((found > threshold).long(), data) | {"threshold": threshold}


def _averaged(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(mean(result[key] for result in results), 4) for key in results[0]}


def doubt(masks: Tensor, truth: Tensor) -> dict[str, float]:
    """Compare the errors of the majority where the vote is close with those elsewhere.

    Args:
        masks: an odd number of masks, (members, n, H, W) of 0 and 1.
        truth: (n, H, W) of 0 and 1.

    Returns:
        The share of wrong pixels, in percent, where one voter would turn the vote, and elsewhere.
    """
    wrong = vote(masks) != truth
    close = (2 * masks.sum(0) - len(masks)).abs() == 1
    return {
        "close vote error": round(100 * wrong[close].float().mean().item(), 2),
        "other error": round(100 * wrong[~close].float().mean().item(), 2),
    }


def configuration(epochs: int = 14) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        epochs: passes over the training images.

    Returns:
        The settings and the rules, for the record.
    """
    settings = {"epochs": epochs, "lr": NETWORK.lr, "members": MEMBERS, "thresholds": THRESHOLDS}
    return settings | {"arms": dict(ARMS)}


def run(
    record: Record,
    data: PageData,
    seeds: Iterable[int],
    arms: Mapping[str, dict[str, Any]] = ARMS,
    epochs: int = 14,
) -> None:
    """Train five networks per seed that the record lacks, and judge the rules.

    Args:
        record: where the results go, see :func:`resnorm.ledger.open_record`.
        data: the images.
        seeds: each stands for five networks of its own.
        arms: name -> rule; all rules are judged from the same networks.
        epochs: passes over the training images.
    """
    device = data.training.images.device
    for seed in seeds:
        if all(record.has(name, seed) for name in arms):
            continue
        start = time.perf_counter()
        networks = [
            train_one(NETWORK, data.training, seed=MEMBERS * seed + i, epochs=epochs)
            for i in range(MEMBERS)
        ]
        test, validation = (
            torch.stack([probabilities(model, part.images) for model in networks])
            for part in (data.test, data.validation)
        )
        results = judge_rules(test, validation, data)
        results["majority"] |= doubt((test > 0.5).long(), data.test.masks)
        seconds = time.perf_counter() - start
        for name in arms:
            record.add(name, seed, results[name], seconds, device)
