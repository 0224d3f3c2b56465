"""Choosing the learning rate of each arm from a record that was made on the validation split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from statistics import mean

from ...ledger import Record
from .arms import Arm, Experiment

#: The number of learning rates that a search begins with.
FIRST_RATES = 3


def at_rates(arms: Mapping[str, Arm], rates: tuple[float, ...]) -> dict[str, Arm]:
    """Repeat each arm at each learning rate.

    Args:
        arms: name -> arm; their own rates are not used.
        rates: the learning rates.

    Returns:
        ``"NAME, rate RATE"`` -> arm.
    """
    return {
        f"{name}, rate {rate:g}": replace(arm, training=replace(arm.training, lr=rate))
        for name, arm in arms.items()
        for rate in rates
    }


def families(experiment: Experiment) -> list[dict[float, str]]:
    """Collect the arms that differ only in the learning rate.

    Args:
        experiment: whose arms to collect.

    Returns:
        A dictionary for each group of such arms: learning rate -> name, in rising order.
    """
    found: dict[str, dict[float, str]] = {}  # what arms share -> rate -> name
    for name, arm in experiment.arms.items():
        shared = replace(arm, training=replace(arm.training, lr=0.0))
        found.setdefault(json.dumps(asdict(shared), sort_keys=True), {})[arm.training.lr] = name
    return [dict(sorted(names.items())) for names in found.values()]


def is_search(experiment: Experiment) -> bool:
    """Say whether an experiment has several learning rates for each network, to choose among.

    Args:
        experiment: what to look at.
    """
    return all(len(names) > 1 for names in families(experiment))


def next_of_search(experiment: Experiment, validation: Record) -> list[tuple[str, int]]:
    """Choose what a search for learning rates runs next.

    It begins with the rates in the middle of the table. While the best rate of some network is the
    smallest or the largest that was tried, the next one beyond follows, for every network. Each
    rate gets the seeds that the record has, or seed 0 in a new record.

    Args:
        experiment: a search, see :func:`is_search`.
        validation: the runs of the search so far, on a validation split.

    Returns:
        Names of arms and seeds; none when the search is done, so that :func:`best_rates` can
        choose.

    Raises:
        ValueError: if the record is not one of this search, if the networks do not have the same
            rates, or if the best rate of one is the first or the last of the table.
    """
    _check_search(experiment, validation)
    groups = families(experiment)
    table = list(groups[0])
    if other := [list(names) for names in groups if list(names) != table]:
        raise ValueError(f"a search has the same rates for all; here are {table} and {other[0]}")
    seeds = sorted({run["seed"] for run in validation.runs}) or [0]

    def lacking(rates: Iterable[float]) -> list[tuple[str, int]]:
        arms = [names[rate] for rate in rates for names in groups]
        return [(arm, seed) for arm in arms for seed in seeds if not validation.has(arm, seed)]

    start = max((len(table) - FIRST_RATES) // 2, 0)
    middle = table[start : start + FIRST_RATES]
    tried = {rate for names in groups for rate in _errors(validation, names)}
    if tried <= set(middle):
        tried = set(middle)
    low, high = table.index(min(tried)), table.index(max(tried))
    if unfinished := lacking(rate for rate in table if rate in tried):
        return unfinished
    best = {_best_rate(_errors(validation, names)) for names in groups}
    beyond = []
    for place, end in ((low - 1, low), (high + 1, high)):
        if table[end] in best:
            if not 0 <= place < len(table):
                raise ValueError(
                    f"{validation.name}: the best rate of some network is {table[end]:g}, the "
                    f"{'first' if place < 0 else 'last'} of the table "
                    f"({', '.join(f'{rate:g}' for rate in table)}). Give it more rates"
                )
            beyond.append(table[place])
    return lacking(beyond)


def _check_search(experiment: Experiment, validation: Record) -> None:
    """Refuse a record that is not one of this search."""
    if "validation split" not in validation.data:
        raise ValueError(
            f"{validation.name}: the record is of {validation.data}; learning rates are chosen on "
            "the validation split"
        )
    if validation.configuration != json.loads(json.dumps(experiment.configuration())):
        raise ValueError(f"{validation.name}: the record is of another table of arms")


def _errors(validation: Record, names: Mapping[float, str]) -> dict[float, list[float]]:
    """The errors of a network at each learning rate that was tried."""
    done = {run["arm"] for run in validation.runs}
    return {
        rate: validation.values(name, "test error") for rate, name in names.items() if name in done
    }


def _seeds(validation: Record, name: str) -> list[int]:
    """The seeds of an arm."""
    return sorted(run["seed"] for run in validation.runs if run["arm"] == name)


def _best_rate(errors: Mapping[float, list[float]]) -> float:
    """The learning rate with the smallest mean error; of two equal ones, the smaller rate."""
    return min(errors, key=lambda rate: mean(errors[rate]))


def best_rates(experiment: Experiment, validation: Record) -> list[str]:
    """Choose, among arms that differ only in the learning rate, the one with the smallest error.

    The error is that of the validation split, averaged over the seeds of the record; of two equal
    ones the smaller rate is chosen. Every arm must have been given the same rates and the same
    seeds at each, and the best one must lie between two others, so that the search was wide
    enough.

    Args:
        experiment: its arms differ in the learning rate, among other things.
        validation: a record of this experiment; rates without runs were not part of the search.

    Returns:
        The names of the chosen arms, in the order of the experiment.

    Raises:
        ValueError: if the record is of another experiment or not of a validation split, if the
            search was not the same for every arm, or if the best rate is the smallest or the
            largest that was tried.
    """
    _check_search(experiment, validation)
    chosen, searched = [], set()
    for names in families(experiment):
        errors = _errors(validation, names)
        first = next(iter(names.values()))
        if not errors:
            raise ValueError(f"{validation.name} has no run of {first!r}, at any learning rate")
        best = _best_rate(errors)
        if best in (min(errors), max(errors)):
            raise ValueError(
                f"{validation.name}: {names[best]!r} is best at the edge of the rates that were "
                f"tried ({', '.join(f'{rate:g}' for rate in errors)}). Try more of them, for "
                "every arm"
            )
        chosen.append(names[best])
        searched |= {(tuple(errors), tuple(_seeds(validation, names[rate]))) for rate in errors}
    if len(searched) > 1:
        raise ValueError(
            f"{validation.name}: the arms were not given the same rates and the same seeds at "
            "each. Run what is missing"
        )
    return chosen
