"""Arms that differ in their learning rate: two seeds choose the rate of each network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import mean
from typing import Any, Protocol, TypeVar

import torch

from ..ledger import Record

#: The runs with these seeds choose the learning rate; other seeds run at that rate only.
CHOOSING = (0, 1)


class Searched(Protocol):
    """An arm of such an experiment."""

    @property
    def network(self) -> str:
        """The name that arms of different rates share."""


AnArm = TypeVar("AnArm", bound=Searched)


def chosen_arms(record: Record, arms: Mapping[str, Searched], measure: str) -> dict[str, str]:
    """Choose the learning rate of each network by its mean result on validation data.

    Only the seeds in ``CHOOSING`` count, because the other seeds run at the chosen rate only.

    Args:
        record: the finished runs.
        arms: name -> arm; those without runs were not part of the search.
        measure: the result that decides; the larger, the better.

    Returns:
        The name of each network and the name of its best arm; of equal ones the first.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for name, arm in arms.items():
        for run in record.runs:
            if run["arm"] == name and run["seed"] in CHOOSING:
                values = found.setdefault(arm.network, {}).setdefault(name, [])
                values.append(run["results"][measure])
    return {
        network: max(by_rate, key=lambda name: mean(by_rate[name]))
        for network, by_rate in found.items()
    }


def run_searched(
    record: Record,
    seeds: Iterable[int],
    arms: Mapping[str, AnArm],
    measure: str,
    train: Callable[[AnArm, int], dict[str, Any]],
    device: str | torch.device = "cpu",
) -> None:
    """Train what the record lacks: every arm with the seeds in ``CHOOSING``, the best with others.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
        measure: the result that decides, as in :func:`chosen_arms`.
        train: trains an arm with a seed and returns its results.
        device: what it trains on, for the record.

    Raises:
        ValueError: if a further seed is given before the seeds that choose the rates have run.
    """
    for seed in sorted(set(seeds), key=lambda seed: (seed not in CHOOSING, seed)):
        names = list(arms)
        if seed not in CHOOSING:
            if lacking := [s for s in CHOOSING for name in names if not record.has(name, s)]:
                raise ValueError(
                    f"seed {seed} runs at the learning rates that seeds {CHOOSING} choose, but the "
                    f"record has no run of seed {lacking[0]} for some arms; run that seed first"
                )
            names = list(chosen_arms(record, arms, measure).values())
        for name in names:
            if not record.has(name, seed):
                with record.run(name, seed, device) as results:
                    results |= train(arms[name], seed)
