"""The experiment on depth: what it trains and measures. Chapter 1.2 asserts the finding."""

import pytest
import torch

from resnorm import data, ledger, train
from resnorm.experiments import degradation, generated_depth

ONE = degradation.Recipe(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def tiny():
    return data.synthetic(train=64, test=32, size=8)


def test_a_result_holds_losses_and_both_errors_of_the_trained_network(tiny):
    state = torch.get_rng_state()
    first, second = (
        degradation.train_one("residual", 8, tiny, seed=1, recipe=ONE) for _ in range(2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert len(first.losses) == 4 and first.losses == second.losses
    assert not first.model.training
    assert first.train_error == train.error(first.model, tiny.train_images, tiny.train_labels)
    assert first.test_error == train.error(first.model, tiny.test_images, tiny.test_labels)
    assert first.train_error != first.test_error


def test_a_network_can_be_trained_further(tiny):
    first = degradation.train_one("plain", 8, tiny, recipe=ONE)
    before = [p.clone() for p in first.model.parameters()]
    further = degradation.train_one("plain", 8, tiny, recipe=ONE, model=first.model)
    assert further.model is first.model
    assert not all(
        torch.equal(a, b) for a, b in zip(before, further.model.parameters(), strict=True)
    )


def test_plain_and_residual_networks_start_from_the_same_parameters(tiny):
    plain, residual = (
        dict(degradation.build(kind, 14, tiny, 0).named_parameters()) for kind in degradation.KINDS
    )
    assert plain.keys() == residual.keys()
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


def test_bad_input_is_named(tiny):
    with pytest.raises(ValueError, match="kind is 'dense'; it must be one of plain, residual"):
        degradation.build("dense", 8, tiny, 0)
    with pytest.raises(ValueError, match="6n \\+ 2"):
        degradation.build("plain", 10, tiny, 0)


def test_a_recorded_run_is_the_training_of_the_page_and_is_not_repeated(tiny):
    arm = generated_depth.Arm("plain", 8, ONE)
    arms = {generated_depth.name_of(arm): arm}
    record = ledger.open_record(None, "degradation-generated", "none", tiny.source, {})
    generated_depth.run(record, tiny, [1, 1], arms)
    (run,) = record.runs
    alone = degradation.train_one("plain", 8, tiny, seed=1, recipe=ONE)
    assert run["results"]["losses"] == [round(loss, 4) for loss in alone.losses]
    assert run["results"]["train error"] == round(alone.train_error, 2)
    assert run["results"]["test error"] == round(alone.test_error, 2)
    assert run["results"]["steps"] == 4


def test_each_recorded_arm_is_named_by_what_it_does():
    for name, arm in generated_depth.ARMS.items():
        steps = arm.recipe.epochs * len(degradation.page_data().train_labels) // 64
        assert name == f"{arm.kind}-{arm.depth}, {steps} steps, rate {arm.recipe.lr}"
    assert "plain-20, 48 steps, rate 0.1" in generated_depth.ARMS
