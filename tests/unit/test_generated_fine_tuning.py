"""The recorded run on fine-tuning (chapter 4.1): the starts, the images, who chooses the rates."""

import pytest
import torch
from torch import nn

from resnorm import ledger
from resnorm.experiments import cifar, searched
from resnorm.experiments import generated_fine_tuning as experiment
from resnorm.train import error


def convolutions(model):
    return [m.weight.detach().flatten() for m in model.modules() if isinstance(m, nn.Conv2d)]


def norms(model):
    kinds = nn.BatchNorm2d
    return [p.detach() for m in model.modules() if isinstance(m, kinds) for p in m.parameters()]


def equal(first, second):
    return [torch.equal(a, b) for a, b in zip(first, second, strict=True)]


@pytest.fixture(scope="module")
def starts():
    return {start: experiment.starting_network(start, 1) for start in experiment.STARTS}


def test_each_start_is_what_its_name_says(starts):
    shipped = cifar.trained("lesion-short", "residual-20")
    kept = {
        name: equal(convolutions(model), convolutions(shipped)) for name, model in starts.items()
    }
    assert all(kept["shipped"]) and not any(kept["shuffled"]) and not any(kept["random"])
    for ours, theirs in zip(convolutions(starts["shuffled"]), convolutions(shipped), strict=True):
        assert torch.equal(ours.sort().values, theirs.sort().values)
    assert all(equal(norms(starts["shuffled"]), norms(shipped)))
    assert all(bool((p == p[0]).all()) for p in norms(starts["random"]))
    last = [model.classifier.weight for model in starts.values()]
    assert torch.equal(last[0], last[1]) and torch.equal(last[0], last[2])
    assert last[0].shape == (10, 64) and not torch.equal(last[0], shipped.classifier.weight)


def test_a_start_leaves_no_trace_and_an_unknown_one_is_refused():
    before = torch.get_rng_state()
    again = [experiment.starting_network("random", seed) for seed in (1, 1, 2)]
    assert torch.equal(before, torch.get_rng_state())
    first, same, other = (convolutions(model) for model in again)
    assert all(equal(first, same)) and not any(equal(first, other))
    with pytest.raises(ValueError, match="start 'trained'; it must be one of shipped, shuffled"):
        experiment.starting_network("trained", 0)


def test_no_seed_sees_the_images_of_another():
    gratings = experiment.page_data()
    images = [gratings.of(seed) for seed in (2, 3)]
    assert [len(part.train_images) for part in images] == [256, 256]
    assert [len(part.test_images) for part in images] == [1024, 1024]
    assert not (images[0].test_images[:8, None] == images[1].test_images).flatten(2).all(2).any()


def test_a_record_holds_the_error_of_the_trained_network(monkeypatch):
    found = []
    monkeypatch.setattr(
        experiment, "error", lambda *given: found.append(error(*given)) or found[-1]
    )
    arms = {name: experiment.ARMS[name] for name in ("shipped, rate 0.15", "shipped, rate 2.4")}
    record = ledger.open_record(None, "test", "none", "none", {})
    experiment.run(record, experiment.page_data(), [0], arms)
    values = [record.values(name, experiment.MEASURE)[0] for name in arms]
    assert values == [round(value, 2) for value in found]
    assert values[0] < 70 and values[0] != values[1]


def test_the_chosen_rates_of_the_record_lie_inside_of_what_was_tried():
    record = ledger.recorded("fine-tuning-generated")
    for start in experiment.STARTS:
        by_rate = searched.by_rate(
            record, experiment.ARMS, start, experiment.MEASURE, experiment.CHOOSING
        )
        assert tuple(by_rate) == experiment.RATES
        assert min(by_rate, key=by_rate.get) in experiment.RATES[1:-1]
    reported = searched.reported(
        record, experiment.ARMS, *[experiment.MEASURE] * 2, experiment.CHOOSING
    )
    (seeds,) = {len(values) for values in reported.values()}
    assert seeds >= 5
