"""The experiment on depth: what it trains and measures. Chapter 1.2 asserts the finding."""

import pytest
import torch

from resnorm import data, train
from resnorm.experiments import degradation

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
