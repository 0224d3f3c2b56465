"""The recorded runs of chapter 3.6 on cells: pixel weights, arms and scores."""

import pytest
import torch

from resnorm import data, ledger, segmentation
from resnorm.experiments import generated_cells as experiment
from resnorm.experiments.parts import Parts


@pytest.fixture(scope="module")
def tiny():
    return Parts(*(data.cells(16, 16, per_image=2, seed=s) for s in range(3)))


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
