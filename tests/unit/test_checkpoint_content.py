"""Checkpoints whose types are right and whose values are not, and files that cannot be written."""

import copy

import pytest
import torch
from torch import nn

from resnorm import data, train

SPLIT = data.synthetic(train=32, test=16, size=8)
NAN = float("nan")


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))


def run(path, model=None, **changes):
    """Train for two epochs of two steps."""
    model = model or make_model()
    options = {"epochs": 2, "batch_size": 16, "lr": 0.01} | changes
    return model, train.fit(model, SPLIT, checkpoint=path, **options)


def set_value(*keys, value):
    def edit(state):
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value(state[keys[-1]]) if callable(value) else value

    return edit


DAMAGES = [
    (set_value("epoch", value=0.5), "the epoch is 0.5"),
    (set_value("epoch", value=-1), "the epoch is -1"),
    (set_value("epoch", value=99), "the epoch is 99, and must be a whole number from 1 to 2"),
    (set_value("epoch", value=True), "the epoch is True"),
    (set_value("optimizer", "state", value={}), "the momentum is missing"),
    (set_value("model", "1.weight", value=lambda w: w * NAN), "weights 1.weight are infinite"),
    (set_value("model", "1.bias", value=lambda b: b + torch.inf), "weights 1.bias are infinite"),
    (set_value("order", value=torch.zeros_like), "a random state is damaged"),
    (set_value("generator", 0, value=torch.zeros_like), "a random state is damaged"),
]


@pytest.mark.parametrize("damage, message", DAMAGES, ids=[message for _, message in DAMAGES])
def test_a_value_that_no_run_has_is_refused_and_nothing_is_applied(tmp_path, damage, message):
    path = tmp_path / "c.pt"
    run(path)
    state = torch.load(path)
    damage(state)
    torch.save(state, path)
    model = make_model()
    before, random_state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with pytest.raises(ValueError, match="the checkpoint c.pt does not fit: ") as caught:
        run(path, model)
    assert message in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


# --- a folder in which nothing can be written -----------------------------------------------------


def below_a_file(folder):
    (folder / "a").write_text("a note")
    return folder / "a" / "c.pt"


def far_below_a_file(folder):
    return below_a_file(folder).parent / "b" / "c.pt"


def with_a_name_too_long(folder):
    return folder / ("c" * 300)


@pytest.mark.parametrize("place", [below_a_file, far_below_a_file, with_a_name_too_long])
def test_a_checkpoint_that_cannot_be_written_fails_before_the_training(tmp_path, place):
    path = place(tmp_path)
    with pytest.raises(OSError):
        run(path, after_step=lambda *_: pytest.fail("trained"))


def test_a_finished_run_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    _, history = run(path)
    monkeypatch.setattr(torch, "save", lambda *_: pytest.fail("written"))
    monkeypatch.setattr("pathlib.Path.touch", lambda *_: pytest.fail("written"))
    assert run(path)[1] == history


# --- weights that are no numbers ------------------------------------------------------------------


def poison_at(last, value):
    """An ``after_step`` that does what a gradient without value does in a step."""

    def poison(step, model):
        if step == last:
            model[1].weight.data[0, 0] = value

    return poison


@pytest.mark.parametrize("value", [NAN, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path, value):
    path = tmp_path / "c.pt"
    with pytest.raises(
        train.DivergedError,
        match=r"a weight is infinite or NaN at step 4 \(epoch 2 of 2, step 2 of 2\).*"
        "the checkpoint c.pt of epoch 1 is kept",
    ):
        run(path, after_step=poison_at(4, value))
    state = torch.load(path)
    assert state["epoch"] == 1 and state["model"]["1.weight"].isfinite().all()
    _, resumed = run(path)
    assert resumed == run(None)[1]


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_that_ends_with_weights_that_are_no_numbers_has_diverged(epochs):
    options = {"epochs": epochs, "after_step": poison_at(2 * epochs, NAN)}
    assert run(None, allow_divergence=True, **options)[1].diverged
    with pytest.raises(train.DivergedError, match="a weight is infinite or NaN"):
        run(None, **options)


def test_a_frozen_parameter_may_have_any_value(tmp_path):
    def frozen():
        model = make_model()
        model.register_parameter("mask", nn.Parameter(torch.tensor(-torch.inf), False))
        return model

    _, history = run(tmp_path / "c.pt", frozen())
    assert not history.diverged and run(tmp_path / "c.pt", frozen())[1] == history
