"""The recorded runs of chapter 3.6 on cells: pixel weights, scores, and the rules of a vote."""

import pytest
import torch

from resnorm import data, ledger, segmentation
from resnorm.experiments import generated_cells as experiment
from resnorm.experiments import generated_votes as votes


@pytest.fixture(scope="module")
def tiny():
    return experiment.PageData(*(data.cells(16, 16, per_image=2, seed=s) for s in range(3)))


def empty_record():
    return ledger.open_record(None, "test", "none", "none", {})


def test_weights_have_mean_one_and_the_control_shares_the_balance_of_the_border_weights():
    instances = data.cells(6, 32, per_image=5, seed=0).instances
    share = {}
    for name in experiment.WEIGHTS:
        weights = experiment.pixel_weights(name, instances)
        assert weights.mean().item() == pytest.approx(1, abs=1e-5)
        share[name] = (weights[instances > 0].sum() / weights.sum()).item()
        # Only the border term differs between pixels of one class.
        for part in (instances > 0, instances == 0):
            values = weights[part]
            even = bool(values.max() - values.min() < 1e-5)
            assert even == (name != "border" or part[instances > 0].all())
    assert share["balance"] == pytest.approx(share["border"], abs=1e-5)
    assert share["equal"] == pytest.approx((instances > 0).float().mean().item(), abs=1e-5)
    with pytest.raises(ValueError, match="weights is 'even'; it must be one of equal, balance"):
        experiment.pixel_weights("even", instances)


def test_arms_of_one_network_differ_in_the_rate_alone_and_sizes_agree():
    arms = {}
    for name, arm in experiment.ARMS.items():
        assert name == f"{arm.name}, rate {arm.lr}"
        arms.setdefault(arm.network, set()).add((arm.weights, arm.skips, arm.widths))
    assert len(arms) == 4 and all(len(settings) == 1 for settings in arms.values())
    made = data.cells(16, 16, per_image=2, seed=0)
    size = {
        name: sum(p.numel() for p in model.parameters())
        for name in ("equal weights", "without skips")
        for arm in [next(arm for arm in experiment.ARMS.values() if arm.name == name)]
        for model in [experiment.train_one(arm, made, epochs=0)]
    }
    assert abs(size["without skips"] / size["equal weights"] - 1) < 0.01


def test_found_counts_cells_and_not_regions():
    made = data.cells(2, 24, per_image=3, seed=0)
    cells = sum(int(labels.unique().count_nonzero()) for labels in made.instances)
    each = torch.zeros_like(made.masks)
    each[0][made.instances[0] == made.instances[0].max()] = 1
    assert experiment.cells_found(each, made.instances) == pytest.approx(1 / cells)
    each[1, 0, 0] = 1 - (made.instances[1, 0, 0] > 0).long()  # a region that is no cell
    scores = experiment.judge(each, made)
    assert scores["found"] == pytest.approx(1 / cells, abs=1e-4)
    assert scores["f1"] == pytest.approx(segmentation.object_f1(each, made.instances), abs=1e-4)


def test_a_record_holds_what_the_named_arm_scores(tiny):
    arms = {n: a for n, a in experiment.ARMS.items() if a.name == "border weights"}
    record = empty_record()
    experiment.run(record, tiny, [0, 1, 2], arms, epochs=1)
    assert len([run for run in record.runs if run["seed"] == 0]) == len(arms)
    run = record.runs[0]
    model = experiment.train_one(arms[run["arm"]], tiny.training, seed=run["seed"], epochs=1)
    masks = experiment.segmentation.predict(model, tiny.test.images)
    assert run["results"] | experiment.judge(masks, tiny.test) == run["results"]
    masks = experiment.segmentation.predict(model, tiny.validation.images)
    expected = experiment.judge(masks, tiny.validation)["f1"]
    assert run["results"]["validation f1"] == expected


# --- votes ---------------------------------------------------------------------------------------


def test_the_rules_of_a_vote(tiny):
    g = torch.Generator().manual_seed(0)
    shape = (5, *tiny.test.masks.shape)
    test, validation = torch.rand(2, *shape, generator=g)
    rules = votes.judge_rules(test, validation, tiny)
    assert set(rules) == set(votes.ARMS)
    unanimous = experiment.judge((test.amin(0) > 0.5).long(), tiny.test)
    assert rules["unanimous"] == unanimous | {"threshold": 0.5}
    majority = experiment.judge((test.median(0).values > 0.5).long(), tiny.test)
    assert rules["majority"] == majority | {"threshold": 0.5}
    alone = [experiment.judge((p > 0.5).long(), tiny.test)["f1"] for p in test]
    assert rules["one network"]["f1"] == pytest.approx(sum(alone) / 5, abs=1e-4)


def test_the_threshold_is_chosen_on_the_validation_images(tiny):
    right = tiny.validation.masks.float()
    # At 0.75 the mask is right; below it everything is foreground, above it nothing is.
    found = 0.65 + 0.1 * right
    assert votes.best_threshold(found, tiny.validation) == 0.7
    assert votes.best_threshold(right, tiny.validation) == 0.5  # of equal ones the lowest


def test_a_close_vote_is_one_that_a_single_voter_turns():
    masks = torch.zeros(5, 1, 1, 4, dtype=torch.long)
    masks[:3, 0, 0, 0] = 1  # 3 to 2
    masks[:2, 0, 0, 1] = 1  # 2 to 3
    masks[:4, 0, 0, 2] = 1  # 4 to 1
    truth = torch.tensor([[[0, 0, 1, 1]]])
    assert votes.doubt(masks, truth) == {"close vote error": 50.0, "other error": 50.0}
    truth = torch.tensor([[[0, 1, 1, 0]]])
    assert votes.doubt(masks, truth) == {"close vote error": 100.0, "other error": 0.0}


def test_each_seed_of_the_votes_trains_networks_of_its_own(tiny, monkeypatch):
    seeds = []
    real = votes.train_one
    monkeypatch.setattr(
        votes, "train_one", lambda *a, **k: seeds.append(k["seed"]) or real(*a, **k)
    )
    record = empty_record()
    votes.run(record, tiny, [0, 1], epochs=1)
    votes.run(record, tiny, [0, 1], epochs=1)
    assert seeds == list(range(10))
    assert {run["arm"] for run in record.runs} == set(votes.ARMS) and len(record.runs) == 10
    assert "close vote error" in next(
        run["results"] for run in record.runs if run["arm"] == "majority"
    )
