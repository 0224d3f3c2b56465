"""Runs whose learning rates are searched: some seeds choose among all rates, the others report.

The seeds that choose run at every rate. The others run at the chosen rate only, so a search costs
little, and no network is judged by the run that its rate was picked for.

An experiment makes its arms with :func:`named` and writes a function that trains one arm and
measures it. :class:`Search` does the rest: it runs the arms, and describes them for the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field
from statistics import mean
from typing import Any, ClassVar, Concatenate, Generic, Protocol, TypeVar

import torch

from ..ledger import Record

#: Unless an experiment says otherwise, the runs with these seeds choose the learning rate; other
#: seeds run at that rate only.
CHOOSING = (0, 1)


class Searched(Protocol):
    """An arm of a search: a dataclass that says which network is trained at which rate."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def network(self) -> str:
        """The name that arms share if they differ in the learning rate only."""

    @property
    def lr(self) -> float:
        """The learning rate."""


@dataclass(frozen=True)
class NamedArm:
    """An arm whose network is known by a name. Experiments add what else makes their arms.

    Attributes:
        name: the name of the network, which arms of different rates share.
        lr: the highest learning rate.
    """

    name: str
    lr: float

    @property
    def network(self) -> str:
        """The name of the network."""
        return self.name


class OnDevice(Protocol):
    """Data that says where it is."""

    @property
    def device(self) -> torch.device:
        """Where the images are."""


AnArm = TypeVar("AnArm", bound=Searched)
SomeData = TypeVar("SomeData", bound=OnDevice)


def named(arms: Iterable[AnArm]) -> dict[str, AnArm]:
    """Name each arm by its network and its learning rate.

    Args:
        arms: the arms, in the order in which they are to run.

    Returns:
        Name -> arm, such as ``"WRN-10-3, rate 0.1"``.
    """
    return {f"{arm.network}, rate {arm.lr}": arm for arm in arms}


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


@dataclass(frozen=True)
class Search(Generic[AnArm, SomeData]):
    """An experiment that gives each network the learning rate that some seeds choose.

    Attributes:
        arms: name -> arm, see :func:`named`.
        measure: the key of the result that decides, as in :func:`chosen_arms`, or several keys. The
            other seeds run at the best rate by each of them.
        results_of: trains an arm on the data with a seed, and returns what is measured.
        constants: what all arms have in common and the numbers depend on, for the record.
        choosing: the seeds that choose.
    """

    arms: Mapping[str, AnArm]
    measure: str | Sequence[str]
    results_of: Callable[Concatenate[AnArm, SomeData, int, ...], dict[str, Any]]
    constants: Mapping[str, Any] = field(default_factory=dict)
    choosing: Sequence[int] = CHOOSING

    @property
    def measures(self) -> Sequence[str]:
        """The keys of the results that decide."""
        return [self.measure] if isinstance(self.measure, str) else self.measure

    def configuration(self) -> dict[str, Any]:
        """Describe everything that decides the numbers, except for the seeds.

        Returns:
            What all arms have in common, and the arms, for the record.
        """
        return {**self.constants, "arms": {name: asdict(arm) for name, arm in self.arms.items()}}

    def best_rates(self, record: Record, arms: Mapping[str, AnArm] | None = None) -> dict[str, str]:
        """Choose the learning rate of each network, by the first measure if there are several.

        Args:
            record: the finished runs.
            arms: name -> arm; those without runs were not part of the search. None takes all.

        Returns:
            The name of each network and the name of its best arm, see :func:`chosen_arms`.
        """
        arms = self.arms if arms is None else arms
        return chosen_arms(record, arms, self.measures[0], self.choosing)

    def run(
        self,
        record: Record,
        data: SomeData,
        seeds: Iterable[int],
        arms: Mapping[str, AnArm] | None = None,
        **changes: Any,
    ) -> None:
        """Train what the record lacks: every arm with the seeds that choose, the best with others.

        Args:
            record: where the runs go, see :func:`resnorm.ledger.open_record`.
            data: what the arms are trained and measured on.
            seeds: the seeds of the weights and of the order of examples.
            arms: name -> arm, those to run; None takes all.
            **changes: further arguments of ``results_of``, such as fewer epochs for a test.

        Raises:
            ValueError: if a further seed is given before the seeds that choose the rates have run.
        """
        arms = self.arms if arms is None else arms
        for seed in sorted(set(seeds), key=lambda seed: (seed not in self.choosing, seed)):
            for name in list(arms) if seed in self.choosing else self._best(record, arms, seed):
                if not record.has(name, seed):
                    with record.run(name, seed, data.device) as results:
                        results |= self.results_of(arms[name], data, seed, **changes)

    def _best(self, record: Record, arms: Mapping[str, AnArm], seed: int) -> list[str]:
        """The arms at the chosen rates, which a further seed runs."""
        if lacking := [s for s in self.choosing for name in arms if not record.has(name, s)]:
            raise ValueError(
                f"seed {seed} runs at the learning rates that seeds {self.choosing} choose, but "
                f"the record has no run of seed {lacking[0]} for some arms; run that seed first"
            )
        best = {
            name
            for measure in self.measures
            for name in chosen_arms(record, arms, measure, self.choosing).values()
        }
        return [name for name in arms if name in best]
