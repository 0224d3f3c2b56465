"""Choosing the learning rate of each arm from a record that was made on the validation split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from statistics import mean

from ...ledger import Record
from .arms import Arm, Experiment


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


def next_of_search(experiment: Experiment, validation: Record, first: int = 3) -> list[str]:
    """Choose what a search for learning rates runs next.

    It begins with the rates in the middle of the table. While the best rate of some network is the
    smallest or the largest that was tried, the next one beyond follows, for every network.

    Args:
        experiment: a search, see :func:`is_search`.
        validation: the runs of the search so far, on a validation split.
        first: the number of rates to begin with.

    Returns:
        The names of arms; none when the search is done, so that :func:`best_rates` can choose.

    Raises:
        ValueError: if the networks do not have the same rates, if the best rate of one is the first
            or the last of the table, or if :func:`best_rates` refuses the runs for another reason.
    """
    try:
        best_rates(experiment, validation)
    except ValueError as problem:
        refused = problem
    else:
        return []
    groups = families(experiment)
    table = list(groups[0])
    if other := [list(names) for names in groups if list(names) != table]:
        raise ValueError(f"a search has the same rates for all; here are {table} and {other[0]}")
    done = {run["arm"] for run in validation.runs}
    start = max((len(table) - first) // 2, 0)
    tried = {rate for names in groups for rate, name in names.items() if name in done}
    tried |= set(table[start : start + first])
    rates = [rate for rate in table if rate in tried]
    if lacking := [names[r] for r in rates for names in groups if names[r] not in done]:
        return lacking
    best = {_best_rate(_errors(validation, names)) for names in groups}
    beyond = [table.index(rates[0]) - 1] * (rates[0] in best)
    beyond += [table.index(rates[-1]) + 1] * (rates[-1] in best)
    if not beyond:
        raise refused
    if not all(0 <= place < len(table) for place in beyond):
        end = table[0] if -1 in beyond else table[-1]
        names = next(n for n in groups if _best_rate(_errors(validation, n)) == end)
        raise ValueError(
            f"{validation.name}: {names[end]!r} is best, and the table has no rate beyond "
            f"({', '.join(f'{rate:g}' for rate in table)}). Give it more rates"
        )
    return [names[table[place]] for place in beyond for names in groups]


def _errors(validation: Record, names: Mapping[float, str]) -> dict[float, list[float]]:
    """The errors of a network at each learning rate that was tried."""
    done = {run["arm"] for run in validation.runs}
    return {
        rate: validation.values(name, "test error") for rate, name in names.items() if name in done
    }


def _best_rate(errors: Mapping[float, list[float]]) -> float:
    """The learning rate with the smallest mean error; of two equal ones, the smaller rate."""
    return min(errors, key=lambda rate: mean(errors[rate]))


def best_rates(experiment: Experiment, validation: Record) -> list[str]:
    """Choose, among arms that differ only in the learning rate, the one with the smallest error.

    The error is that of the validation split, averaged over the seeds of the record; of two equal
    ones the smaller rate is chosen. Every arm must have been given the same rates and the same
    number of seeds, and the best one must lie between two others, so that the search was wide
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
    if "validation split" not in validation.data:
        raise ValueError(
            f"{validation.name}: the record is of {validation.data}; learning rates are chosen on "
            "the validation split"
        )
    if validation.configuration != json.loads(json.dumps(experiment.configuration())):
        raise ValueError(f"{validation.name}: the record is of another table of arms")
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
        searched.add(tuple((rate, len(found)) for rate, found in errors.items()))
    if len(searched) > 1:
        raise ValueError(
            f"{validation.name}: the arms were not given the same rates and the same number of "
            "seeds. Run what is missing"
        )
    return chosen
