"""Side-by-side timing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    arms: Mapping[str, Callable[[], object]], reference: str, rounds: int
) -> dict[str, tuple[float, float]]:
    """Time every arm once a round, in turn, and compare within the round.

    Whatever else the machine does slows all arms of a round alike, so the median over rounds of
    the ratio is steady where seconds are not. The order turns from round to round.

    Args:
        arms: name -> what to time; each has run before, so that nothing is compiled in a round.
        reference: name of the arm that the others are divided by.
        rounds: how many; odd numbers have a round in the middle.

    Returns:
        name -> (median ratio, half the range between the quartiles of the ratio).
    """
    ratios: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for i in range(rounds):
        seconds = {}
        for name in names[i % len(names) :] + names[: i % len(names)]:
            start = time.perf_counter()
            arms[name]()
            seconds[name] = time.perf_counter() - start
        for name in names:
            ratios[name].append(seconds[name] / seconds[reference])

    def summary(values):
        low, middle, high = statistics.quantiles(values, n=4)
        return middle, (high - low) / 2

    return {name: summary(values) for name, values in ratios.items()}
