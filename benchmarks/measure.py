"""Timing of several arms side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

Arm = TypeVar("Arm", bound=Hashable)


def interleaved(
    arms: Mapping[Arm, Callable[[], object]], reference: Arm, rounds: int
) -> dict[Arm, tuple[float, float]]:
    """Time every arm once per round and compare it with the reference of the same round.

    Whatever else the machine does slows all arms of a round alike. The median ratio over the
    rounds is therefore steady where the seconds are not. Each round starts with another arm.

    Args:
        arms: From name to the function to time. Call each function once beforehand, so that no
            round includes its compilation.
        reference: Name of the arm by whose time the others are divided.
        rounds: Number of rounds, at least 2. With an odd number the median is a measured ratio.

    Returns:
        From name to (median ratio, half the interquartile range of the ratio).
    """
    ratios: dict[Arm, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for i in range(rounds):
        seconds: dict[Arm, float] = {}
        for name in names[i % len(names) :] + names[: i % len(names)]:
            start = time.perf_counter()
            arms[name]()
            seconds[name] = time.perf_counter() - start
        for name in names:
            ratios[name].append(seconds[name] / seconds[reference])

    def summary(values: Sequence[float]) -> tuple[float, float]:
        low, middle, high = statistics.quantiles(values, n=4)
        return middle, (high - low) / 2

    return {name: summary(values) for name, values in ratios.items()}
