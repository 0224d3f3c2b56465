"""The recorded run of chapters 3.4 and 3.5, and how records choose learning rates."""

import pytest
import torch

from resnorm import data, ledger, train
from resnorm.experiments import generated_families as experiment
from resnorm.experiments import searched
from resnorm.probes import multiply_adds


def empty_record():
    return ledger.open_record(None, "families-generated", "none", "none", {})


@pytest.fixture
def small(monkeypatch):
    """Eight images to choose on, sixteen to measure on, and networks that train in no time."""
    monkeypatch.setattr(experiment, "CHOOSE_ON", 8)

    def tiny():
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))

    monkeypatch.setattr(experiment, "NETWORKS", {"a": tiny, "b": tiny})
    return data.synthetic(train=128, test=24, size=8)


def test_equal_multiply_adds_are_equal_and_so_are_equal_parameters():
    x = torch.randn(1, 3, 8, 8)
    models = {name: make() for name, make in experiment.NETWORKS.items()}
    work = {name: multiply_adds(model, x) for name, model in models.items()}
    size = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    assert work["WRN-46-1"] == pytest.approx(work["WRN-10-3"], rel=0.03)
    assert work["DenseNet-19"] == pytest.approx(work["ResNet-20"], rel=0.05)
    assert size["WRN-46-1"] == pytest.approx(size["WRN-10-3"], rel=0.03)
    assert size["DenseNet-22"] == pytest.approx(size["ResNet-20"], rel=0.01)


def test_every_network_has_the_same_rates_and_an_arm_is_named_by_what_it_is():
    rates = {}
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.group}, rate {arm.lr}"
        rates.setdefault(arm.group, set()).add(arm.lr)
    assert {group.split(",")[0] for group in rates} == set(experiment.NETWORKS)
    assert len(set(map(frozenset, rates.values()))) == 1


def test_the_images_that_choose_do_not_measure(small):
    arms = {f"a, rate {lr}": experiment.Arm("a", 1, lr) for lr in (0.01, 0.1)}
    record = empty_record()
    experiment.run(record, small, [0, 1], arms)
    by_run = {(run["arm"], run["seed"]): run["results"] for run in record.runs}
    assert set(by_run) == {(name, seed) for seed in (0, 1) for name in arms}
    model = experiment.train_one(arms["a, rate 0.1"], small, seed=1)
    results = by_run["a, rate 0.1", 1]
    images, labels = small.test_images, small.test_labels
    assert results["validation error"] == round(train.error(model, images[:8], labels[:8]), 2)
    assert results["test error"] == round(train.error(model, images[8:], labels[8:]), 2)
    assert results["steps"] == 8  # whatever the data: the recorded run has 512 images


def test_training_repeats_itself_and_leaves_the_global_generator_alone(small):
    state, arm = torch.get_rng_state(), experiment.Arm("a", 1, 0.1)
    first, second, other = (experiment.train_one(arm, small, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first[1].weight, second[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)


def test_the_first_seeds_choose_the_rate_of_the_others(small):
    arms = {
        f"{network}, rate {lr}": experiment.Arm(network, 1, lr)
        for network in "ab"
        for lr in (0.01, 0.1)
    }
    record = empty_record()
    experiment.run(record, small, [0, 1], arms)
    for run in record.runs:  # as if the larger rate were better for a, the smaller one for b
        good = run["arm"] in ("a, rate 0.1", "b, rate 0.01")
        run["results"]["validation error"] = 10.0 if good else 20.0
    best = {"a, 8 steps": "a, rate 0.1", "b, 8 steps": "b, rate 0.01"}
    assert experiment.best_rates(record, arms) == best
    experiment.run(record, small, [2, 0], arms)
    assert {run["arm"] for run in record.runs if run["seed"] == 2} == set(best.values())
    record.add("a, rate 0.01", 2, {"validation error": 0.0}, 1.0)  # of a seed that does not choose
    assert experiment.best_rates(record, arms) == best


def test_a_seed_that_lacks_the_choice_of_its_rate_is_refused(small):
    arms = {"a": experiment.Arm("a", 1, 0.1)}
    with pytest.raises(ValueError, match="seed 4 runs at the learning rates.*run that seed first"):
        experiment.run(empty_record(), small, [4], arms)


def test_of_equal_arms_the_first_is_chosen_and_a_score_is_maximized():
    record = empty_record()
    for arm, value in (("x", 1.0), ("y", 3.0), ("z", 3.0)):
        record.add(arm, 0, {"score": value}, 1.0)
    groups = dict.fromkeys("xyz", "all")
    assert searched.best_arms(record, groups, "score") == {"all": "x"}
    assert searched.best_arms(record, groups, "score", max) == {"all": "y"}
