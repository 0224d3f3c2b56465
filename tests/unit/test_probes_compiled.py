"""Probes of compiled, checkpointed and unusual models: every hook sees every call."""

import pytest
import torch
from torch import nn

from resnorm import models, probes
from resnorm.blocks import BasicBlock, DenseLayer
from resnorm.restoring import parameters_restored

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def resnet():
    torch.manual_seed(0)
    return models.cifar_resnet(8).eval()


def compiled_in_place():
    model = resnet()
    model.compile(backend="eager")
    return model


def compiled_part():
    model = resnet()
    model.layer2.compile(backend="eager")
    return model


def compiled_block():
    model = resnet()
    model.layer3[0].compile(backend="eager")
    return model


BLOCKS = ["layer1.0", "layer2.0", "layer3.0"]


def removed(model):
    with probes.lesion(model, ["layer1.0"]):
        return model(IMAGES).tolist()


MEASUREMENTS = {
    "lesion": removed,
    "statistics": lambda m: probes.layer_statistics(m, IMAGES, BLOCKS),
    "gradients": lambda m: probes.layer_statistics(m, IMAGES, BLOCKS, lambda y: y.square().sum()),
    "removable": lambda m: probes.removable(m, IMAGES, BasicBlock),
    "outline": lambda m: probes.outline(m, IMAGES, BLOCKS),
}


@pytest.mark.parametrize("make", [compiled_in_place, compiled_part, compiled_block])
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_compiled_model_is_measured_as_any_other(name, make):
    model, measure = make(), MEASUREMENTS[name]
    with torch.no_grad():
        before = model(IMAGES)  # compiled without hooks
    assert measure(model) == measure(resnet())
    with torch.no_grad():
        assert torch.equal(model(IMAGES), before)


def test_a_compiled_copy_is_measured_under_its_own_names():
    model = torch.compile(resnet(), backend="eager")
    model(IMAGES)
    kept = probes.removable(model, IMAGES, BasicBlock)
    assert kept == ["_orig_mod." + name for name in probes.removable(resnet(), IMAGES, BasicBlock)]


@pytest.mark.parametrize("layer", ["features.transition1", "classifier", nn.BatchNorm2d])
def test_checkpointed_layers_have_the_gradients_of_the_others(layer):
    def measured(checkpointed):
        torch.manual_seed(0)
        model = models.cifar_densenet(10, 4, checkpointed=checkpointed)
        return probes.layer_statistics(model, IMAGES, [layer], lambda y: y.square().sum())

    ours, expected = measured(True), measured(False)
    assert ours == expected and all(layer.grad_rms is not None for layer in ours)


class Pair(nn.Module):
    """Takes and returns two tensors."""

    def forward(self, a, b):
        return a + b, a - b


class OfPairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, x):
        return sum(self.pair(x, 2 * x))


@pytest.mark.parametrize(
    "model, layer, x",
    [
        (models.cifar_densenet(10, 4), "features.denseblock1.denselayer1", IMAGES),
        (nn.Sequential(nn.LSTM(3, 5)), "0", torch.randn(4, 3)),
        (OfPairs(), "pair", torch.randn(4, 3)),
    ],
    ids=["list", "LSTM", "two inputs"],
)
def test_layers_that_take_or_return_several_tensors(model, layer, x):
    (part,) = probes.outline(model, x, [layer])
    (statistics,) = probes.layer_statistics(model, x, [layer])
    assert (
        part.name == statistics.name == layer
        and part.input_shape == tuple(x.shape[1:])
        or (part.input_shape[1:] == tuple(x.shape[2:]))
    )
    assert statistics.rms > 0
    assert probes.removable(model, x, (DenseLayer, nn.LSTM, Pair)) == []
    with pytest.raises(ValueError, match="cannot be removed"), probes.lesion(model, [layer]):
        model(x)


class Numbers(nn.Module):
    def forward(self, x):
        return float(x.sum())


def test_a_layer_without_tensors_is_named():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.numbers = Numbers()

        def forward(self, x):
            return x * self.numbers(x)

    for probe in (probes.outline, probes.layer_statistics):
        with pytest.raises(ValueError, match="the output of 'numbers' holds no tensor"):
            probe(Around(), torch.randn(2, 3), ["numbers"])


# --- a graph from before ----------------------------------------------------------------------


def walk(model):
    probes.gradient_step_profile(model, lambda m: m(torch.ones(1, 3)).square().sum(), [0.1, 0.2])


def look_around(model):
    directions = [probes.filter_normalized_direction(model)] * 2
    probes.loss_surface(model, lambda m: m(torch.ones(1, 3)).sum(), directions, points=3)


def restore(model):
    with parameters_restored(model.parameters()):
        for parameter in model.parameters():
            parameter.data.zero_()


@pytest.mark.parametrize("probe", [walk, look_around, restore])
def test_a_forward_pass_from_before_can_still_be_differentiated(probe):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(5, 3)
    expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    y = model(x)
    probe(model)
    found = torch.autograd.grad(y.square().sum(), list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
