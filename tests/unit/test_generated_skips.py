"""The recorded runs of chapter 3.6 on skips and on votes: networks, trainings and masks."""

import pytest
import torch

from resnorm import data, ledger, segmentation
from resnorm.experiments import generated_cells, generated_skips, generated_votes
from resnorm.experiments.parts import Parts


@pytest.fixture(scope="module")
def tiny():
    return Parts(*(data.cells(16, 16, per_image=2, seed=s) for s in range(3)))


def empty_record():
    return ledger.open_record(None, "test", "none", "none", {})


def test_both_networks_have_the_same_rates_and_nearly_the_same_size():
    rates = {}
    for name, arm in generated_skips.ARMS.items():
        assert name == f"{arm.network}, rate {arm.lr}"
        rates.setdefault(arm.training, {}).setdefault(arm.skips, []).append(arm.lr)
    assert set(rates) == set(generated_skips.TRAININGS)
    assert all(pair[True] == pair[False] for pair in rates.values())
    size = {
        skips: sum(p.numel() for p in generated_skips.build(skips).parameters())
        for skips in (True, False)
    }
    assert size[True] != size[False] and abs(size[False] / size[True] - 1) < 0.01


def test_clipping_bounds_the_first_step(tiny):
    """By SGD, a step is at most as long as the clipped gradients that it sums, times the rate."""
    training = generated_skips.TRAININGS["SGD, clipped"]
    assert training.clip and not generated_skips.TRAININGS["Adam"].clip
    arm = generated_skips.Arm(True, "SGD, clipped", 0.4)
    torch.manual_seed(0)
    start = generated_skips.build(True)
    trained = generated_skips.train_one(arm, tiny.training, seed=0, epochs=2)  # two steps
    moved = torch.cat(
        [(p - q).flatten() for p, q in zip(trained.parameters(), start.parameters(), strict=True)]
    )
    # The first step has the rate 0. The second one goes along its gradient and 0.9 of the first.
    longest = (1 + 0.9) * generated_skips.LONGEST_GRADIENT
    assert 0 < moved.norm() <= 0.4 * (0.5 / 0.9 + 0.011) * longest
    with pytest.raises(ValueError, match="optimizer is 'adamw'; it must be 'sgd' or 'adam'"):
        generated_skips.make_optimizer(generated_skips.Training("adamw", ()), start, 0.1)


def test_a_record_holds_what_the_named_arm_scores(tiny):
    name = "without skips, Adam, rate 0.01"
    arms, record = {name: generated_skips.ARMS[name]}, empty_record()
    generated_skips.run(record, tiny, [0, 1], arms, epochs=4)
    model = generated_skips.train_one(arms[name], tiny.training, seed=1, epochs=4)
    results = next(run["results"] for run in record.runs if run["seed"] == 1)
    for key, part in (
        ("validation iou", tiny.validation),
        ("training iou", tiny.training),
        ("iou", tiny.test),
    ):
        mask = generated_skips.segmentation.predict(model, part.images)
        assert results[key] == pytest.approx(segmentation.iou(mask, part.masks), abs=1e-4)


def test_groups_share_no_network_and_none_has_chosen_the_rate():
    seeds = [seed for group in range(5) for seed in generated_votes.member_seeds(group)]
    assert seeds == list(range(5, 30))
    record, arms = ledger.recorded("cells-generated"), generated_cells.ARMS
    for measure in generated_cells.MEASURES:
        best = generated_cells_best(record, arms, measure)
        assert best == f"equal weights, rate {generated_votes.RATE}"


def generated_cells_best(record, arms, measure):
    from resnorm.experiments import searched

    return searched.chosen_arms(record, arms, measure)["equal weights"]


def test_masks_of_a_group_are_those_that_their_names_say(tiny):
    """Three networks are sure of all cells, one of none, and one doubts."""
    truth = tiny.test.masks.float()
    test = torch.stack([truth * 0.99] * 3 + [truth * 0, truth * 0.6])
    check_truth = tiny.validation.masks.float()
    check = torch.stack([check_truth * 0.99] * 3 + [check_truth * 0, check_truth * 0.6])
    results = generated_votes.ballots(test, check, tiny)
    assert set(results) == set(generated_votes.ARMS)
    assert results["majority"]["iou"] == 1 and results["unanimous"]["iou"] == 0
    assert results["one network"]["iou"] == pytest.approx(0.8, abs=1e-4)
    assert results["mean probability, stricter"]["threshold"] == 0.5
    assert results["majority"]["wrong, % elsewhere"] == 0


def test_where_three_of_five_err_is_where_the_vote_is_divided(tiny):
    truth = tiny.test.masks.float()
    test = torch.stack([truth] * 2 + [1 - truth] * 3)
    check = torch.stack([tiny.validation.masks.float()] * 5)
    majority = generated_votes.ballots(test, check, tiny)["majority"]
    assert majority["iou"] == 0 and majority["wrong, % where the vote is 3 to 2"] == 100


def test_a_group_is_recorded_once_for_every_kind_of_mask(tiny):
    record = empty_record()
    generated_votes.run(record, tiny, [0], epochs=1)
    assert {run["arm"] for run in record.runs} == set(generated_votes.ARMS)
    before = list(record.runs)
    generated_votes.run(record, tiny, [0], epochs=1)
    assert record.runs == before
