"""Searches over a recorded table: what they visit, what they propose, and what they lose."""

import numpy as np
import pytest
import torch

from resnorm import ledger
from resnorm.experiments import architecture_search as search
from resnorm.experiments import cifar

SHAPE = (3, 2, 3, 3, 2, 2)


@pytest.fixture
def errors():
    rng = np.random.default_rng(0)
    effects = [rng.normal(0, 2, size) for size in SHAPE]
    table = 55 + sum(
        e.reshape([-1 if a == i else 1 for a in range(6)]) for i, e in enumerate(effects)
    )
    return table + rng.normal(0, 0.5, SHAPE)


def test_random_search_sees_every_network_once(errors):
    seen = search.random_search(errors, errors.size, 5, np.random.default_rng(1))
    flat = np.ravel_multi_index(tuple(np.moveaxis(seen, -1, 0)), SHAPE)
    assert all(sorted(row) == list(range(errors.size)) for row in flat)
    assert not np.array_equal(flat[0], flat[1])


def test_children_differ_from_a_living_parent_in_one_decision(errors):
    seen = search.evolution(errors, 60, 20, np.random.default_rng(1), population=8, sample=3)
    assert seen.shape == (20, 60, 6) and (seen < SHAPE).all() and (seen >= 0).all()
    for t in range(8, 60):
        distance = (seen[:, t, None] != seen[:, t - 8 : t]).sum(axis=-1)
        assert (distance == 1).any(axis=1).all()


def test_a_sample_of_the_whole_population_takes_the_best_parent(errors):
    seen = search.evolution(errors, 30, 20, np.random.default_rng(1), population=8, sample=8)
    value = errors[tuple(np.moveaxis(seen, -1, 0))]
    best = value[:, 10:18].argmin(axis=1)
    parent = seen[np.arange(20), 10 + best]
    assert ((seen[:, 18] != parent).sum(axis=-1) == 1).all()


def test_the_controllers_gradient_is_that_of_the_expected_reward(errors):
    # One decision: over all choices, p (onehot - p) reward sums to the gradient of the mean reward.
    logits = torch.randn(3, dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    p = logits.softmax(0)
    (gradient,) = torch.autograd.grad((p * reward).sum(), logits)
    by_hand = sum(p[i] * reward[i] * (torch.eye(3)[i] - p) for i in range(3))
    torch.testing.assert_close(gradient, by_hand)


def test_the_controller_learns_which_choices_are_good(errors):
    rng = np.random.default_rng(1)
    seen = search.reinforce(errors, 400, 50, rng, rate=0.2)
    value = errors[tuple(np.moveaxis(seen, -1, 0))]
    assert value[:, -50:].mean() < value[:, :50].mean() - 2
    still = search.reinforce(errors, 400, 50, np.random.default_rng(1), rate=0.0)
    value = errors[tuple(np.moveaxis(still, -1, 0))]
    assert abs(value.mean() - errors.mean()) < 0.2


def test_regret_is_counted_on_what_the_search_has_not_seen():
    chosen_by = np.array([[5.0, 4.0], [3.0, 2.0]])
    counted_on = np.array([[6.0, 1.0], [2.0, 4.0]])
    seen = np.array([[[0, 0], [0, 1], [1, 1], [1, 0]]])
    lost = search.regret(seen, chosen_by, counted_on)
    assert lost.tolist() == [[5.0, 0.0, 3.0, 3.0]]


def test_main_effects():
    table = np.array([[1.0, 3.0], [5.0, 7.0]])
    assert search.main_effects(table) == [[2.0, 6.0], [3.0, 5.0]]


def test_the_table_has_one_axis_per_decision_and_lacks_nothing():
    experiment = cifar.EXPERIMENTS["space-short"]
    record = ledger.open_record(None, "space-short", "none", "x", experiment.configuration())
    for i, arm in enumerate(experiment.arms):
        with record.run(arm, 0, torch.device("cpu")) as results:
            results["test error"] = float(i)
    table = search.table_of(record, "test error")
    assert table.shape == SHAPE and table.flatten().tolist() == list(range(216))
    choice = cifar.space.choices()[100]
    index = [v.index(choice[k]) for k, v in search.DECISIONS.items()]
    assert table[tuple(index)] == 100
    name = record.runs.pop()["arm"]
    with pytest.raises(ValueError, match=f"lacks 1 of 216 networks with seed 0, such as '{name}'"):
        search.table_of(record, "test error")
