"""The lesion study: its measures, and the finding of chapter 3.2 over seeds."""

import dataclasses
import statistics

import pytest
import torch

from resnorm import data
from resnorm.experiments import lesion


@pytest.fixture(scope="module")
def images():
    return data.synthetic(train=2048, test=512, size=12)


@pytest.fixture(scope="module")
def tiny():
    """A deep residual net after a few steps: enough to measure on."""
    small = data.synthetic(train=128, test=64, size=8)
    arms = {"tiny": dataclasses.replace(lesion.ARMS["residual"], epochs=1)}
    return lesion.train_arm("tiny", small, arms=arms), small


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_residual_net_survives_deletions_that_destroy_the_plain_net_of_the_same_layers(images, seed):
    costs, errors = {}, {}
    for arm in ("plain", "residual"):
        patient = lesion.train_arm(arm, images, seed=seed)
        errors[arm] = patient.error
        costs[arm] = list(lesion.delete_each(patient, images).values())
    assert errors["residual"] < 5 and errors["plain"] < 40  # both have learned; chance is 90
    assert min(costs["plain"]) > 60
    assert statistics.median(costs["residual"]) < 0.6 * statistics.median(costs["plain"])
    assert min(costs["residual"]) < 25


@pytest.mark.parametrize("seed", [0, 1])
def test_in_a_deep_residual_net_most_single_deletions_are_cheap_and_the_error_rises_smoothly(images, seed):
    patient = lesion.train_arm("deep residual", images, seed=seed)
    assert patient.error < 5 and len(patient.removable) == 17
    assert statistics.median(lesion.delete_each(patient, images).values()) < 20
    means = lesion.delete_many(patient, images, [1, 3, 6, 12], samples=6).nanmean(1).tolist()
    assert means == sorted(means) and means[-1] > 70


def test_blocks_that_change_the_shape_are_not_removable(tiny):
    patient, _ = tiny
    assert len(patient.removable) == 5 and "blocks.3" not in patient.removable
    assert not patient.model.training


def test_measuring_leaves_the_network_and_the_global_generator_alone(tiny):
    patient, small = tiny
    before = {k: v.clone() for k, v in patient.model.state_dict().items()}
    names = [name for name, _ in patient.model.named_modules()]
    state = torch.get_rng_state()
    lesion.delete_each(patient, small)
    lesion.delete_many(patient, small, [1, 2], samples=3)
    lesion.permute(patient, small, [1, 3], samples=2)
    assert torch.equal(state, torch.get_rng_state())
    assert names == [name for name, _ in patient.model.named_modules()]
    assert all(torch.equal(v, before[k]) for k, v in patient.model.state_dict().items())
    assert lesion.delete(patient, small, []) == patient.error


def test_sets_that_do_not_exist_are_nan_and_too_many_blocks_are_refused(tiny):
    patient, small = tiny
    errors = lesion.delete_many(patient, small, [1, 5], samples=8)
    assert errors.isfinite().sum(1).tolist() == [5, 1]
    with pytest.raises(ValueError, match="5 removable"):
        lesion.delete_many(patient, small, [6])
    with pytest.raises(ValueError, match="one of plain, residual"):
        lesion.train_arm("vgg", small)


def test_kendall_tau_and_swaps(tiny):
    assert lesion.kendall_tau([0, 1, 2, 3]) == 1 and lesion.kendall_tau([3, 2, 1, 0]) == -1
    assert lesion.kendall_tau([1, 0, 2]) == pytest.approx(1 / 3)
    patient, small = tiny
    (_, tau, wrong), *others = lesion.permute(patient, small, [0, 2], samples=3)
    assert tau == 1 and wrong == patient.error and len(others) == 5
    assert all(-1 <= tau <= 1 for _, tau, _ in others)
