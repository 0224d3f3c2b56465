"""Three ways to search a space whose networks were all trained before, many searches at a time.

A network is a choice for each decision, as numbers. ``errors[choice]`` is its validation error, so
an evaluation is a look into the table. Every function runs many independent searches side by side
and returns, for each of them, the networks in the order in which it evaluated them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..ledger import Record
from ..models.search_space import DECISIONS
from .cifar.space import choices, name_of

Array = NDArray[np.float64]
Choices = NDArray[np.int64]


def table_of(record: Record, result: str, seed: int = 0) -> Array:
    """Read the errors of all networks of the space from its record.

    Args:
        record: the record of ``space-short``.
        result: what to read, ``"validation error"`` or ``"test error"``.
        seed: the seed of the runs.

    Returns:
        Errors in percent, one axis for each decision, in the order of ``DECISIONS``.

    Raises:
        ValueError: the record lacks a network.
    """
    found = {run["arm"]: run["results"][result] for run in record.runs if run["seed"] == seed}
    names = [name_of(choice) for choice in choices()]
    if missing := [name for name in names if name not in found]:
        raise ValueError(
            f"{record.name} lacks {len(missing)} of {len(names)} networks with seed {seed}, such "
            f"as {missing[0]!r}; finish the run first"
        )
    sizes = [len(values) for values in DECISIONS.values()]
    return np.array([found[name] for name in names]).reshape(sizes)


def random_search(
    errors: Array, evaluations: int, repetitions: int, rng: np.random.Generator
) -> Choices:
    """Evaluate networks in a random order, none of them twice.

    Args:
        errors: validation error of each choice, one axis per decision.
        evaluations: networks per search, at most as many as there are.
        repetitions: number of searches.
        rng: the source of randomness.

    Returns:
        The choices, (repetitions, evaluations, decisions).
    """
    every = np.tile(np.arange(errors.size), (repetitions, 1))
    order = rng.permuted(every, axis=1)[:, :evaluations]
    return np.stack(np.unravel_index(order, errors.shape), axis=-1)


def evolution(
    errors: Array,
    evaluations: int,
    repetitions: int,
    rng: np.random.Generator,
    population: int = 16,
    sample: int = 4,
) -> Choices:
    """Search by regularized evolution: the child of a good parent replaces the oldest network.

    Args:
        errors: validation error of each choice, one axis per decision.
        evaluations: networks per search, the first population included.
        repetitions: number of searches.
        rng: the source of randomness.
        population: number of networks that are alive.
        sample: number of networks among which the best one becomes the parent.

    Returns:
        The choices, (repetitions, evaluations, decisions).

    Source:
        Real et al. (2019), algorithm 1.
    """
    sizes, each = np.array(errors.shape), np.arange(repetitions)
    seen = rng.integers(0, sizes, (repetitions, evaluations, len(sizes)))
    for t in range(population, evaluations):
        alive = seen[:, t - population : t]  # the youngest; whatever is older has died
        drawn = np.argsort(rng.random((repetitions, population)), axis=1)[:, :sample]
        candidates = alive[each[:, None], drawn]  # (repetitions, sample, decisions)
        best = errors[tuple(np.moveaxis(candidates, -1, 0))].argmin(axis=1)
        child = candidates[each, best].copy()
        place = rng.integers(0, len(sizes), repetitions)  # the decision that mutates
        step = rng.integers(1, sizes[place])  # to another value, never to the same
        child[each, place] = (child[each, place] + step) % sizes[place]
        seen[:, t] = child
    return seen


def reinforce(
    errors: Array,
    evaluations: int,
    repetitions: int,
    rng: np.random.Generator,
    rate: float = 0.1,
    memory: float = 0.9,
) -> Choices:
    """Search by a controller: one softmax per decision, trained by REINFORCE with a baseline.

    The gradient of the log-probability of a choice by its logits is the one-hot vector of the
    choice minus the probabilities.

    Args:
        errors: validation error of each choice in percent, one axis per decision.
        evaluations: networks per search.
        repetitions: number of searches.
        rng: the source of randomness.
        rate: learning rate, for rewards in percent.
        memory: of the moving average of the reward, which is the baseline.

    Returns:
        The choices, (repetitions, evaluations, decisions).

    Source:
        Williams (1992), equation 11, as Zoph & Le (2017), section 3.2, use it; their controller is
        a recurrent network, so that a decision can depend on those before.
    """
    sizes = errors.shape
    seen = np.zeros((repetitions, evaluations, len(sizes)), dtype=np.int64)
    logits = [np.zeros((repetitions, size)) for size in sizes]
    baseline = None
    for t in range(evaluations):
        odds = [np.exp(z - z.max(axis=1, keepdims=True)) for z in logits]
        probabilities = [o / o.sum(axis=1, keepdims=True) for o in odds]
        for d, p in enumerate(probabilities):
            u = rng.random((repetitions, 1))
            seen[:, t, d] = np.minimum((p.cumsum(axis=1) < u).sum(axis=1), sizes[d] - 1)
        reward = -errors[tuple(seen[:, t].T)]
        baseline = reward if baseline is None else memory * baseline + (1 - memory) * reward
        advantage = (reward - baseline)[:, None]
        for d, p in enumerate(probabilities):
            logits[d] += rate * advantage * (np.eye(sizes[d])[seen[:, t, d]] - p)
    return seen


def regret(seen: Choices, chosen_by: Array, counted_on: Array) -> Array:
    """Compute how far each search is from the best network, after each evaluation.

    The search proposes the network with the smallest error in ``chosen_by`` that it has evaluated.
    What it loses is counted in ``counted_on``.

    Args:
        seen: choices in the order of their evaluation, (repetitions, evaluations, decisions).
        chosen_by: errors that the search has seen, one axis per decision.
        counted_on: errors that it has not seen; the best network has the smallest of these.

    Returns:
        Error of the proposed network minus that of the best one, (repetitions, evaluations).
    """
    index = tuple(np.moveaxis(seen, -1, 0))
    known, true = chosen_by[index], counted_on[index]
    proposal = np.zeros(known.shape, dtype=np.int64)
    for t in range(1, known.shape[1]):
        before = proposal[:, t - 1]
        better = known[:, t] < np.take_along_axis(known, before[:, None], 1)[:, 0]
        proposal[:, t] = np.where(better, t, before)
    return np.take_along_axis(true, proposal, 1) - counted_on.min()


def main_effects(errors: Array) -> list[Sequence[float]]:
    """Average the errors over everything but one decision, for each decision.

    Args:
        errors: one axis per decision.

    Returns:
        For each decision, the mean error of each of its values.
    """
    axes = range(errors.ndim)
    return [errors.mean(axis=tuple(a for a in axes if a != axis)).tolist() for axis in axes]
