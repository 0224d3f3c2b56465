"""The lesion study: its measures, and the finding of chapter 3.2 over seeds."""

import dataclasses
import statistics

import pytest
import torch
from resnorm import data
from resnorm.experiments import lesion


@pytest.fixture(scope="module")
def images():
    return lesion.page_data()


@pytest.fixture(scope="module")
def tiny():
    """A deep residual net after a few steps: enough to measure on."""
    small = data.synthetic(train=128, test=64, size=8)
    arms = {"tiny": dataclasses.replace(lesion.ARMS["residual"], epochs=1)}
    return lesion.train_arm("tiny", small, arms=arms), small


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_deletion_costs_a_deep_residual_net_a_few_points_and_the_plain_net_nearly_all(
    images, seed
):
    costs = {}
    for arm in ("plain", "residual", "deep residual"):
        patient = lesion.train_arm(arm, images, seed=seed)
        assert patient.error < 3  # all have learned; chance is 75
        costs[arm] = [
            error - patient.error for error in lesion.delete_each(patient, images).values()
        ]
    assert len(costs["deep residual"]) == 17 and len(costs["plain"]) == len(costs["residual"]) == 5
    assert max(costs["deep residual"]) < 6 and statistics.median(costs["deep residual"]) < 2
    assert min(costs["plain"]) > 20 and min(costs["plain"]) > 4 * max(costs["deep residual"])
    assert statistics.median(costs["plain"]) > 40
    assert statistics.median(costs["residual"]) < 0.5 * statistics.median(
        costs["plain"]
    )  # the same layers


@pytest.mark.parametrize("seed", [0])
def test_the_error_rises_smoothly_with_the_number_of_blocks_removed_and_of_swaps(images, seed):
    patient = lesion.train_arm("deep residual", images, seed=seed)
    means = lesion.delete_many(patient, images, [1, 4, 8, 14], samples=6).nanmean(1).tolist()
    assert means == sorted(means) and means[0] < 5 and means[-1] > 30
    swapped = lesion.permute(patient, images, [1, 8], samples=5)
    by_swaps = {
        k: statistics.mean(error for swaps, _, error in swapped if swaps == k) for k in (1, 8)
    }
    assert by_swaps[1] < by_swaps[8]


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
