"""The recorded run of chapter 3.6 on hourglasses: costs, losses and joints found."""

import math

import pytest
import torch
from torch import nn

from resnorm import data, ledger
from resnorm.experiments import generated_chains as experiment
from resnorm.experiments.parts import Parts
from resnorm.probes import outline


class Last(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[-1]


@pytest.fixture(scope="module")
def tiny():
    return Parts(*(data.skeletons(16, 16, noise=0.2, seed=s) for s in range(3)))


def of(name, lr=0.1):
    return experiment.ARMS[f"{name}, rate {lr}"]


def test_networks_cost_the_same_and_have_the_same_rates():
    costs, rates = set(), {}
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.name}, rate {arm.lr}"
        rates.setdefault(arm.network, []).append(arm.lr)
        with torch.device("meta"):
            model = nn.Sequential(Last(experiment.build(arm)))
            costs.add(outline(model, torch.empty(1, 1, 32, 32), ["0"])[0].multiply_adds)
    assert max(costs) / min(costs) < 1.01
    assert set(rates) == set(experiment.NETWORKS)
    assert all(tuple(values) == experiment.RATES for values in rates.values())


def test_the_loss_is_the_entropy_of_the_truth_at_best():
    heat_maps = data.skeletons(2, 16).heat_maps(1.0)
    p = heat_maps.flatten(2) / heat_maps.flatten(2).sum(-1, keepdim=True)
    entropy = -torch.xlogy(p, p).sum(-1).mean()
    best = experiment.map_loss(heat_maps.clamp_min(1e-30).log(), heat_maps)
    assert best == pytest.approx(entropy.item(), rel=1e-4)
    even = experiment.map_loss(torch.zeros_like(heat_maps), heat_maps)
    assert even == pytest.approx(math.log(256), rel=1e-5)


def test_found_counts_joints_within_two_pixels():
    chains = data.skeletons(4, 16, seed=3)
    exact = chains.heat_maps(0.5)
    shifted = exact.roll(5, -1)
    rows = experiment.found(lambda images: [exact, shifted], chains)
    assert rows[0] == [1.0] * 4 and rows[1] == [0.0] * 4


def test_a_loss_on_the_last_stack_does_not_train_the_first_prediction(tiny):
    for name, moves in (("two stacks, a loss on the last", False), ("one stack, wider", True)):
        arm = of(name)
        torch.manual_seed(0)
        start = experiment.build(arm).predict[0].weight.detach().clone()
        model = experiment.train_one(arm, tiny.training, seed=0, epochs=3)
        change = (model.predict[0].weight - start).abs().max().item()
        assert change > 0
        # Its heat maps lead back to the path, so it moves, but by no loss of its own.
        arm_all = of("two stacks, a loss on each")
        if not moves:
            other = experiment.train_one(arm_all, tiny.training, seed=0, epochs=3)
            assert not torch.allclose(other.predict[0].weight, model.predict[0].weight)


def test_a_record_holds_what_the_named_arm_scores(tiny):
    name = "two stacks, a loss on each, rate 0.1"
    arms, record = {name: experiment.ARMS[name]}, ledger.open_record(None, "t", "n", "n", {})
    experiment.run(record, tiny, [1], arms, epochs=2)
    model = experiment.train_one(arms[name], tiny.training, seed=1, epochs=2)
    first, last = experiment.found(model, tiny.test)
    results = record.runs[0]["results"]
    assert results["joints, first stack"] == first
    assert [results[f"joint {i}"] for i in (1, 2, 3, 4)] == last
    assert results["found"] == pytest.approx(sum(last) / 4, abs=1e-4)
