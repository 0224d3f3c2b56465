"""How long things take beside each other, on a machine that also does other work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def time_ratios(
    calls: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    clock: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    """Time functions in turn, and divide each time by the first function's in the same round.

    Within a round all functions meet the same state of the machine, so that a slow moment changes
    the seconds more than the ratios. A first round, which is not counted, warms up.

    Args:
        calls: name -> a function without arguments, such as one training step. On a GPU it must
            wait for its result, for example by ``.item()``.
        rounds: how often each function is timed, at least 1.
        clock: in seconds. None is ``time.perf_counter``. On a CPU, ``time.process_time`` counts
            what this process computes in all of its threads, and not what it waits for others.

    Returns:
        Name -> one ratio per round. Those of the first function are 1.

    Raises:
        ValueError: if there is no function, or no round.
    """
    if not calls or rounds < 1:
        raise ValueError(
            f"time_ratios of {len(calls)} functions in {rounds} rounds: give at least one of each"
        )
    clock = clock or time.perf_counter
    ratios: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        seconds = {}
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name] = clock() - start
        if number:
            first = next(iter(seconds.values()))
            for name, value in seconds.items():
                ratios[name].append(value / first)
    return ratios
