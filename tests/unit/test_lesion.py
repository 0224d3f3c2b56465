"""The lesion study: its measures, and the finding of chapter 3.2 on further seeds."""

import contextlib
import dataclasses
import itertools
import statistics

import pytest
import torch

from resnorm import data, train
from resnorm.experiments import lesion
from resnorm.probes import lesion as without


@pytest.fixture(scope="module")
def tiny():
    """A deep residual net after a few steps: enough to measure on."""
    small = data.synthetic(train=128, test=64, size=8)
    arms = {"tiny": dataclasses.replace(lesion.ARMS["residual"], epochs=1)}
    return lesion.train_arm("tiny", small, arms=arms), small


#: Chapter 3.2 trains seed 0 of each, and seed 1 of "residual", and asserts the same.
FURTHER_SEEDS = {1: ("plain", "deep residual"), 2: ("plain", "residual", "deep residual")}


@pytest.mark.parametrize("seed", FURTHER_SEEDS)
def test_a_deletion_costs_a_deep_residual_net_a_few_points_and_the_plain_net_nearly_all(seed):
    images = lesion.page_data()
    costs = {}
    for arm in FURTHER_SEEDS[seed]:
        network = lesion.train_arm(arm, images, seed=seed)
        assert network.error < 3  # all have learned; chance is 75
        costs[arm] = [
            error - network.error for error in lesion.delete_each(network, images).values()
        ]
    assert len(costs["deep residual"]) == 17 and len(costs["plain"]) == 5
    assert max(costs["deep residual"]) < 6 and statistics.median(costs["deep residual"]) < 2
    assert min(costs["plain"]) > 20 and min(costs["plain"]) > 4 * max(costs["deep residual"])
    assert statistics.median(costs["plain"]) > 40
    if "residual" in costs:  # the same layers as the plain network
        assert len(costs["residual"]) == 5
        assert statistics.median(costs["residual"]) < 0.5 * statistics.median(costs["plain"])


def test_random_sets_are_deleted_together(tiny):
    network, small = tiny
    each = lesion.delete_each(network, small)
    none, single, everything = lesion.delete_many(network, small, [0, 1, 5], samples=5)
    assert none[0] == network.error
    assert sorted(single.tolist()) == pytest.approx(sorted(each.values()))
    with without(network.model, list(network.removable)):
        assert everything[0] == train.error(network.model, small.test_images, small.test_labels)


def test_blocks_that_change_the_shape_are_not_removable(tiny):
    network, _ = tiny
    assert len(network.removable) == 5 and "blocks.3" not in network.removable
    assert not network.model.training


def test_measuring_leaves_the_network_and_the_global_generator_alone(tiny):
    network, small = tiny
    before = {k: v.clone() for k, v in network.model.state_dict().items()}
    names = [name for name, _ in network.model.named_modules()]
    state = torch.get_rng_state()
    lesion.delete_each(network, small)
    lesion.delete_many(network, small, [1, 2], samples=3)
    lesion.permute(network, small, [1, 3], samples=2)
    assert torch.equal(state, torch.get_rng_state())
    assert names == [name for name, _ in network.model.named_modules()]
    assert all(torch.equal(v, before[k]) for k, v in network.model.state_dict().items())
    assert lesion.delete(network, small, []) == network.error


def test_sets_that_do_not_exist_are_nan_and_too_many_blocks_are_refused(tiny):
    network, small = tiny
    errors = lesion.delete_many(network, small, [1, 5], samples=8)
    assert errors.isfinite().sum(1).tolist() == [5, 1]
    with pytest.raises(ValueError, match="5 removable"):
        lesion.delete_many(network, small, [6])
    with pytest.raises(ValueError, match="one of plain, residual"):
        lesion.train_arm("vgg", small)


def test_swaps_and_their_rank_correlation(tiny, monkeypatch):
    network, small = tiny
    (_, tau, wrong), *others = lesion.permute(network, small, [0, 2], samples=3)
    assert tau == pytest.approx(1) and wrong == network.error and len(others) == 5

    orders = []

    @contextlib.contextmanager
    def permuted(model, places):
        orders.append([network.removable.index(block) for block in places.values()])
        assert tuple(places) == network.removable
        yield

    monkeypatch.setattr(lesion, "permuted", permuted)
    results = lesion.permute(network, small, [1, 4], samples=4)
    for order, (_, tau, _) in zip(orders, results, strict=True):
        pairs = list(itertools.combinations(order, 2))
        concordant = sum(a < b for a, b in pairs)
        assert tau == pytest.approx((2 * concordant - len(pairs)) / len(pairs))
    assert min(tau for _, tau, _ in results) < 1
