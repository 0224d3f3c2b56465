"""The recorded run of chapter 3.8: what it trains, measures and chooses."""

import pytest
import torch
import torch.nn.functional as F

from resnorm import data, ledger
from resnorm.experiments import generated_masks as experiment
from resnorm.experiments.parts import Parts

TINY = experiment.Recipe(widths=(4, 4, 4, 4), steps=3, batch_size=2)


@pytest.fixture(scope="module")
def tiny():
    parts = [data.scenes(n, 32, sides=(0.3, 0.6), seed=seed) for seed, n in enumerate((5, 3, 4))]
    return Parts(*parts)


def empty_record():
    return ledger.open_record(None, "masks-generated", "none", "none", {})


def test_both_starts_differ_in_the_transposed_convolutions_alone():
    models = []
    for interpolate in (True, False):
        torch.manual_seed(0)
        models.append(experiment.build(experiment.Arm(8, 0.01, interpolate), TINY))
    first, second = (model.state_dict() for model in models)
    different = {name for name in first if not torch.equal(first[name], second[name])}
    assert different == {"doubles.0.weight", "doubles.1.weight"}


def test_training_repeats_itself_and_leaves_the_global_generator_alone(tiny):
    state = torch.get_rng_state()
    arm = experiment.Arm(16, 0.01)
    (first, losses), (second, again) = (
        experiment.train_one(arm, tiny.training, seed=1, recipe=TINY) for _ in range(2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert losses == again and len(losses) == 3 and not first.training
    _, other = experiment.train_one(arm, tiny.training, seed=2, recipe=TINY)
    assert other != losses


def test_the_mean_iou_of_the_true_mask_is_one_and_of_an_empty_one_the_background_s(tiny):
    truth = F.one_hot(tiny.test.masks, experiment.NUM_CLASSES).movedim(-1, 1).float()
    assert experiment.mean_iou(lambda images: truth, tiny.test) == 1.0
    empty = torch.zeros_like(truth)
    background = (tiny.test.masks == 0).float().mean().item()
    found = experiment.mean_iou(lambda images: empty, tiny.test)
    present = len(tiny.test.masks.unique())
    absent = experiment.NUM_CLASSES - present  # has an IoU of 1: nothing to find, nothing found
    assert found == pytest.approx((background + absent) / experiment.NUM_CLASSES)


def test_the_first_seeds_choose_the_rate_of_the_others(tiny):
    arms = {f"{s}, {lr}": experiment.Arm(s, lr) for s in (32, 8) for lr in (0.001, 0.1)}
    record = empty_record()
    experiment.run(record, tiny, [0, 1], arms, recipe=TINY)
    assert len(record.runs) == 8
    for run in record.runs:  # as if the larger rate were better for 32, the smaller one for 8
        run["results"]["validation iou"] = float(run["arm"] in ("32, 0.1", "8, 0.001"))
    assert experiment.best_rates(record, arms) == {"FCN-32s": "32, 0.1", "FCN-8s": "8, 0.001"}
    experiment.run(record, tiny, [2, 0], arms, recipe=TINY)
    assert {run["arm"] for run in record.runs if run["seed"] == 2} == {"32, 0.1", "8, 0.001"}
    run = next(run for run in record.runs if run["seed"] == 2 and run["arm"] == "32, 0.1")
    model, losses = experiment.train_one(arms["32, 0.1"], tiny.training, seed=2, recipe=TINY)
    assert run["results"]["iou"] == round(experiment.mean_iou(model, tiny.test), 4)
    assert run["results"]["losses"] == [round(sum(losses) / 3, 4)]
    assert run["results"]["steps"] == 3
    record.add("32, 0.001", 2, {"validation iou": 9.0}, 1.0)  # of a seed that does not choose
    assert experiment.best_rates(record, arms)["FCN-32s"] == "32, 0.1"


def test_a_seed_that_lacks_the_choice_of_its_rate_is_refused(tiny):
    with pytest.raises(ValueError, match="seed 4 runs at the learning rates.*run that seed first"):
        experiment.run(empty_record(), tiny, [4], {"a": experiment.Arm(32, 0.1)}, recipe=TINY)


def test_each_arm_is_named_by_what_it_is_and_every_network_has_the_same_rates():
    rates = {}
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.network}, rate {arm.lr}"
        rates.setdefault(arm.network, []).append(arm.lr)
    assert len(rates) == 4 and len({tuple(sorted(values)) for values in rates.values()}) == 1
    assert "FCN-8s from random, rate 0.03" in experiment.ARMS
