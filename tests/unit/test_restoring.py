"""Measuring leaves a model as it was found: modes of single modules, buffers, parameters."""

import pytest
import torch
from torch import nn

from resnorm import models, norms, probes, restoring, train
from resnorm.blocks import BasicBlock

IMAGES, LABELS = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 3])


def freeze_norms(model):
    """Train, except for the batch norms, as in fine-tuning."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def freeze_a_stage(model):
    """Train, except for the first stage."""
    model.train()
    model.layer1.eval()


def train_a_layer(model):
    """Evaluate, except for the classifier."""
    model.eval()
    model.fc.train()


def freeze_only_the_top(model):
    """The model itself says evaluation, and its children train."""
    model.train()
    model.training = False


def fails(model):
    """A measurement that stops half-way."""
    with pytest.raises(RuntimeError, match="stopped"), restoring.evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("stopped")


MEASUREMENTS = {
    "outline": lambda model: probes.outline(model, IMAGES, ["layer1"]),
    "multiply_adds": lambda model: probes.multiply_adds(model, IMAGES),
    "removable": lambda model: probes.removable(model, IMAGES, BasicBlock),
    "error": lambda model: train.error(model, IMAGES, LABELS),
    "precise_statistics": lambda model: norms.precise_statistics(model, [IMAGES]),
    "layer_statistics": lambda model: probes.layer_statistics(model, IMAGES, loss=torch.sum),
    "a failure": fails,
}


@pytest.mark.parametrize(
    "set_modes", [freeze_norms, freeze_a_stage, train_a_layer, freeze_only_the_top]
)
@pytest.mark.parametrize("measure", MEASUREMENTS)
def test_measuring_leaves_every_module_in_its_mode(measure, set_modes):
    model = models.cifar_resnet(8)
    set_modes(model)
    before = [module.training for module in model.modules()]
    MEASUREMENTS[measure](model)
    assert [module.training for module in model.modules()] == before


def test_a_compiled_model_gets_its_modes_back():
    model = models.cifar_resnet(8)
    freeze_norms(model)
    before = [module.training for module in model.modules()]
    with restoring.evaluation_mode(torch.compile(model)):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before


def test_the_error_is_that_of_evaluation_mode_and_a_failure_restores_the_modes():
    model = models.cifar_resnet(8)
    freeze_norms(model)
    measured = train.error(model, IMAGES, LABELS)
    with torch.no_grad():
        assert measured == 100 * (model.eval()(IMAGES).argmax(1) != LABELS).double().mean()
    freeze_norms(model)
    before = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError):
        train.error(model, torch.zeros(4, 5, 16, 16), LABELS)
    assert [module.training for module in model.modules()] == before


def test_buffers_and_chosen_parameters_are_restored():
    model = models.cifar_resnet(8)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with (
        restoring.buffers_restored(model.layer1, model.bn1),
        restoring.parameters_restored([model.fc.weight]) as (weight,),
    ):
        assert torch.equal(weight, model.fc.weight)
        model(IMAGES)
        nn.init.zeros_(model.fc.weight)
        nn.init.zeros_(model.fc.bias)
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, state[key])}
    assert "fc.bias" in moved or not state["fc.bias"].any()
    assert "layer2.0.bn1.running_mean" in moved and "fc.weight" not in moved
    assert not any(key.startswith(("layer1.", "bn1.")) for key in moved)


class Merging(nn.Module):
    """Adds its update to the weight in evaluation mode, and takes it out in training mode."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))
        self.update = nn.Parameter(torch.ones(3, 3))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            self.weight.data += self.update.data if not mode else -self.update.data
            self.merged = not mode
        return self

    def forward(self, x):
        return x @ (self.weight if self.merged else self.weight + self.update)


class FreezesItsNorm(nn.Sequential):
    def train(self, mode=True):
        super().train(mode)
        self[1].eval()
        return self


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(Merging()),
        lambda: FreezesItsNorm(Merging(), nn.BatchNorm1d(3), Merging()).train(),
        lambda: nn.Sequential(nn.Sequential(Merging(), Merging().eval()), nn.Dropout().eval()),
    ],
)
def test_a_layer_that_changes_with_its_mode_is_changed_back(make):
    model = make()
    x, labels = torch.randn(5, 3), torch.zeros(5, dtype=torch.int64)
    before = [(module.training, getattr(module, "merged", 0)) for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    train.error(model, x, labels)
    after = [(module.training, getattr(module, "merged", 0)) for module in model.modules()]
    assert after == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    model(x).sum().backward()
    assert next(m for m in model.modules() if isinstance(m, Merging)).update.grad is not None
