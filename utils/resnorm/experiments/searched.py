"""Learning rates that a record chose: a few seeds try them all, the others take the best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import mean

from ..ledger import Record

#: The runs with these seeds choose the learning rate; other seeds run at that rate only.
CHOOSING = (0, 1)


def best_arms(
    record: Record, groups: Mapping[str, str], key: str, better: Callable[..., str] = min
) -> dict[str, str]:
    """Choose one arm per group, by the mean of a result over the seeds in ``CHOOSING``.

    Args:
        record: the finished runs.
        groups: the name of each arm and of its group; arms without runs are passed over.
        key: the result that decides, measured on data that serve for nothing else.
        better: ``min`` for an error, ``max`` for a score; of equal arms the first is chosen.

    Returns:
        The name of each group and the name of its best arm.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for name, group in groups.items():
        for run in record.runs:
            if run["arm"] == name and run["seed"] in CHOOSING:
                found.setdefault(group, {}).setdefault(name, []).append(run["results"][key])
    return {
        group: better(by_arm, key=lambda name, by_arm=by_arm: mean(by_arm[name]))
        for group, by_arm in found.items()
    }


def runs_to_do(
    record: Record,
    seeds: Iterable[int],
    names: Iterable[str],
    chosen: Callable[[Record], Mapping[str, str]],
) -> Iterable[tuple[str, int]]:
    """Say what to run next: all arms with the seeds in ``CHOOSING``, then the best with the others.

    Args:
        record: the finished runs, which are left out. It may grow while this is read.
        seeds: the seeds of the command.
        names: the names of the arms.
        chosen: maps the record to the best arms, as :func:`best_arms` does.

    Yields:
        Names of arms and seeds.

    Raises:
        ValueError: if a further seed is given before the seeds that choose the rates have run.
    """
    names = list(names)
    for seed in sorted(set(seeds), key=lambda seed: (seed not in CHOOSING, seed)):
        now = names
        if seed not in CHOOSING:
            if lacking := [s for s in CHOOSING for name in names if not record.has(name, s)]:
                raise ValueError(
                    f"seed {seed} runs at the learning rates that seeds {CHOOSING} choose, but the "
                    f"record has no run of seed {lacking[0]} for some arms; run that seed first"
                )
            now = list(chosen(record).values())
        yield from ((name, seed) for name in now if not record.has(name, seed))
