"""Runs whose learning rates are searched: some seeds choose among all rates, the others report.

The seeds that choose run at every rate. The others run at the chosen rate only, so a search costs
little, and no network is judged by the run that its rate was picked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean
from typing import Any, Protocol, TypeVar

import torch

from ..ledger import Record

#: Unless an experiment says otherwise, the runs with these seeds choose the learning rate; other
#: seeds run at that rate only.
CHOOSING = (0, 1)


class Searched(Protocol):
    """An arm of a search: a network at one learning rate."""

    @property
    def network(self) -> str:
        """The name that arms share if they differ in the learning rate only."""

    @property
    def lr(self) -> float:
        """The learning rate."""


AnArm = TypeVar("AnArm", bound=Searched)


def chosen_arms(
    record: Record,
    arms: Mapping[str, Searched],
    measure: str,
    choosing: Sequence[int] = CHOOSING,
) -> dict[str, str]:
    """Choose the learning rate of each network by its mean result over the seeds that choose.

    Args:
        record: the finished runs.
        arms: name -> arm; those without runs were not part of the search.
        measure: the key of the result that decides. One that ends in "loss" or "error" is to be
            small, any other is to be large.
        choosing: the seeds that choose.

    Returns:
        The name of each network and the name of its best arm; of equal ones the first.
    """
    sign = -1 if measure.endswith(("loss", "error")) else 1
    found: dict[str, dict[str, float]] = {}
    for name, arm in arms.items():
        if values := _choosing(record, name, measure, choosing):
            found.setdefault(arm.network, {})[name] = sign * mean(values)
    return {
        network: max(by_name, key=lambda name: by_name[name]) for network, by_name in found.items()
    }


def by_rate(
    record: Record,
    arms: Mapping[str, Searched],
    network: str,
    measure: str,
    choosing: Sequence[int] = CHOOSING,
) -> dict[float, float]:
    """Collect what decides between the learning rates of a network.

    Args:
        record: the finished runs.
        arms: name -> arm.
        network: the name that the arms of the network share.
        measure: the key of the result that decides, see :func:`chosen_arms`.
        choosing: the seeds that choose.

    Returns:
        Each learning rate that has runs, in rising order, and the mean result over the seeds that
        choose.

    Raises:
        ValueError: if the record has no such run of the network.
    """
    mine = sorted((arm.lr, name) for name, arm in arms.items() if arm.network == network)
    found = {
        lr: mean(values)
        for lr, name in mine
        if (values := _choosing(record, name, measure, choosing))
    }
    if not found:
        known = sorted({arm.network for arm in arms.values()})
        raise ValueError(
            f"no run of seeds {choosing} for network {network!r}; the networks are {known}"
        )
    return found


def _choosing(record: Record, name: str, measure: str, seeds: Sequence[int]) -> list[float]:
    """The results of an arm with the seeds that choose."""
    return [
        run["results"][measure]
        for run in record.runs
        if run["arm"] == name and run["seed"] in seeds
    ]


def reported(
    record: Record,
    arms: Mapping[str, Searched],
    measure: str,
    key: str,
    choosing: Sequence[int] = CHOOSING,
) -> dict[str, list[float]]:
    """Collect a result at the chosen rates, over the seeds that did not choose.

    Args:
        record: the finished runs.
        arms: name -> arm.
        measure: the key of the result that decides, see :func:`chosen_arms`.
        key: the key of the result to collect.
        choosing: the seeds that choose.

    Returns:
        The name of each network and its results, in the order of the seeds.
    """
    return {
        network: [
            run["results"][key]
            for run in sorted(record.runs, key=lambda run: run["seed"])
            if run["arm"] == name and run["seed"] not in choosing
        ]
        for network, name in chosen_arms(record, arms, measure, choosing).items()
    }


def run_searched(
    record: Record,
    seeds: Iterable[int],
    arms: Mapping[str, AnArm],
    measures: str | Sequence[str],
    train: Callable[[AnArm, int], dict[str, Any]],
    device: str | torch.device = "cpu",
    choosing: Sequence[int] = CHOOSING,
) -> None:
    """Train what the record lacks: every arm with the seeds that choose, the best with others.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
        measures: the key of the result that decides, as in :func:`chosen_arms`, or several keys.
            The other seeds run at the best rate by each of them.
        train: trains an arm with a seed and returns its results.
        device: what it trains on, for the record.
        choosing: the seeds that choose.

    Raises:
        ValueError: if a further seed is given before the seeds that choose the rates have run.
    """
    keys = [measures] if isinstance(measures, str) else measures
    for seed in sorted(set(seeds), key=lambda seed: (seed not in choosing, seed)):
        names = list(arms)
        if seed not in choosing:
            if lacking := [s for s in choosing for name in names if not record.has(name, s)]:
                raise ValueError(
                    f"seed {seed} runs at the learning rates that seeds {choosing} choose, but the "
                    f"record has no run of seed {lacking[0]} for some arms; run that seed first"
                )
            best = {
                name for key in keys for name in chosen_arms(record, arms, key, choosing).values()
            }
            names = [name for name in names if name in best]
        for name in names:
            if not record.has(name, seed):
                with record.run(name, seed, device) as results:
                    results |= train(arms[name], seed)
