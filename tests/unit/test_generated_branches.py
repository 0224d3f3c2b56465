"""The recorded run of chapter 3.1: how the branches start, and what is recorded of a divergence."""

import math

import pytest
import torch

from resnorm import ledger
from resnorm.experiments import generated_branches as experiment


@pytest.fixture(scope="module")
def images():
    return experiment.page_data()


def of(name, lr=0.1):
    return experiment.ARMS[f"{name}, rate {lr}"]


@pytest.mark.parametrize(
    "name, start",
    [
        ("ReLU-linear, SkipInit", lambda x: x),
        ("post-activation, zero γ", torch.relu),
        ("post-activation", None),
        ("ReLU-linear, strength 1/√24", None),
    ],
)
def test_where_the_blocks_start(name, start):
    model = experiment.build(of(name), 192, seed=0)
    assert len(model.blocks) == experiment.DEPTH
    x = torch.randn(8, experiment.WIDTH)
    with torch.no_grad():
        y = model.blocks[0](x)
    if start is not None:
        assert torch.equal(y, start(x))
    else:
        assert not torch.allclose(y, x) and not torch.allclose(y, torch.relu(x))


def test_the_strength_keeps_the_second_moment_within_a_factor_of_e():
    model = experiment.build(of("ReLU-linear, strength 1/√24"), 192, seed=0)
    x = torch.randn(256, experiment.WIDTH)
    with torch.no_grad():
        growth = model.blocks(x).square().mean() / x.square().mean()
    assert 1.5 < growth < 2 * math.e


def test_a_network_depends_on_its_seed_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, again, other = (
        experiment.build(of("batch norm first"), 192, seed).embed.weight for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_diverged_run_is_recorded_with_the_largest_loss(images):
    assert experiment.bounded(math.inf) == experiment.bounded(math.nan) == 10.0
    assert experiment.bounded(1.23456) == 1.2346
    record = ledger.open_record(None, "test", "none", "none", {})
    arms = {name: of(name) for name in ("linear-ReLU", "post-activation, zero γ")}
    experiment.run(record, images, [0], arms, epochs=1)
    bad, good = (record.values(name, "training loss")[0] for name in arms)
    assert bad == record.values("linear-ReLU", "validation loss")[0] == 10.0
    model, losses = experiment.train_one(arms["post-activation, zero γ"], images, epochs=1)
    assert good == pytest.approx(sum(losses) / 8, abs=1e-4)
    with torch.no_grad():
        logits = model(images.test_images)
    held_out = torch.nn.functional.cross_entropy(logits, images.test_labels).item()
    found = record.values("post-activation, zero γ", "validation loss")[0]
    assert found == pytest.approx(held_out, abs=1e-4)


def test_every_kind_has_the_same_rates():
    rates = {}
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.name}, rate {arm.lr}"
        rates.setdefault(arm.network, []).append(arm.lr)
    assert set(rates) == set(experiment.KINDS)
    assert len({tuple(values) for values in rates.values()}) == 1
