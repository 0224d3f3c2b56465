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
    families: dict[str, dict[float, str]] = {}  # what arms share -> rate -> name
    for name, arm in experiment.arms.items():
        family = replace(arm, training=replace(arm.training, lr=0.0))
        families.setdefault(json.dumps(asdict(family), sort_keys=True), {})[arm.training.lr] = name
    chosen, searched = [], set()
    for names in families.values():
        errors = {
            rate: validation.values(name, "test error")
            for rate, name in sorted(names.items())
            if any(run["arm"] == name for run in validation.runs)
        }
        first = next(iter(names.values()))
        if not errors:
            raise ValueError(f"{validation.name} has no run of {first!r}, at any learning rate")
        best = min(errors, key=lambda rate: mean(errors[rate]))
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
