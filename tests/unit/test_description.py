"""What decides a run: models and functions that differ have descriptions that differ."""

import dataclasses
import random
import types

import numpy as np
import pytest
import torch
from torch import nn

from resnorm import models, norms
from resnorm.train.description import architecture, describe


class Scaled(nn.Module):
    """A module that printing does not show."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        return self.k * x


def encoder(**options):
    return nn.TransformerEncoderLayer(8, 2, 16, **options)


def with_forward(function):
    return type("Forward", (nn.Linear,), {"forward": function, "__module__": __name__})(2, 2)


MODELS = {
    "an attribute": lambda i: Scaled([1, 2, 3][i]),
    "SpeedNet, residual": lambda i: models.SpeedNet(residual=i > 0),
    "SpeedNet, flip_average": lambda i: models.SpeedNet(flip_average=i > 0),
    "SpeedNet, shift_average": lambda i: models.SpeedNet(shift_average=i > 0),
    "SpeedNet, activation": lambda i: models.SpeedNet(activation=("relu", "gelu")[i]),
    "SpeedNet, norm_scales": lambda i: models.SpeedNet(norm_scales=i > 0),
    "SpeedNet, whitened": lambda i: models.SpeedNet(whitened=i > 0),
    "SpeedNet, whitening_bias": lambda i: models.SpeedNet(whitening_bias=i > 0),
    "MLP": lambda i: models.MLP(2, 4, 2, ("residual", "residual_scaled")[i]),
    "SmallResNet": lambda i: models.SmallResNet(1, residual=i > 0),
    "noise": lambda i: norms.NoisyBatchNorm2d(3, example_scale=i / 10),
    "eps": lambda i: norms.WeightStandardizedConv2d(3, 3, 3, eps=10.0 ** -(i + 4)),
    "checkpointed": lambda i: models.cifar_densenet(10, 4, checkpointed=i > 0),
    "norm_first": lambda i: encoder(norm_first=i > 0),
    "forward": lambda i: with_forward([lambda self, x: x, lambda self, x: 2 * x][i]),
    "a seed": lambda i: norms.NoisyBatchNorm2d(3, generator=torch.Generator().manual_seed(i)),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_models_that_compute_otherwise_are_described_otherwise(make):
    assert architecture(make(0)) == architecture(make(0))
    assert architecture(make(0)) != architecture(make(1))


def test_training_and_its_weights_are_no_part_of_the_architecture():
    model = models.cifar_resnet(8)
    before = architecture(model)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    assert architecture(model.eval()) == before
    assert architecture(models.cifar_resnet(8)) == before


# --- functions -----------------------------------------------------------------------------------

VALUE = None


@dataclasses.dataclass
class Setting:
    lr: float


def nested(progress):
    def inner():
        return VALUE

    return inner()


READERS = {
    "a global": lambda p: VALUE,
    "in a nested function": nested,
    "in a lambda": lambda p: (lambda: VALUE)(),
    "in a comprehension": lambda p: [VALUE for _ in range(2)],
}
VALUES = {
    "number": (0.1, 0.2),
    "dataclass": (Setting(0.1), Setting(0.2)),
    "namespace": (types.SimpleNamespace(lr=1), types.SimpleNamespace(lr=2)),
    "bytes": (b"1", b"2"),
    "class": (type("C", (), {"lr": 1}), type("C", (), {"lr": 2})),
    "text array": (np.array(["a", "b"]), np.array(["a", "c"])),
    "sparse tensor": (torch.eye(2).to_sparse(), 2 * torch.eye(2).to_sparse()),
    "NumPy's generator": (np.random.default_rng(1), np.random.default_rng(2)),
    "Python's generator": (random.Random(1), random.Random(2)),
    "torch's generator": (torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)),
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("function", READERS.values(), ids=READERS)
def test_what_a_function_reads_decides_the_run(function, value, monkeypatch):
    described = []
    for content in VALUES[value]:
        if isinstance(content, type):
            content.__module__ = __name__
        monkeypatch.setitem(globals(), "VALUE", content)
        described.append(describe(function))
        assert describe(function) == described[-1]
    assert described[0] != described[1]


def test_an_attribute_of_the_name_of_a_global_is_not_that_global(monkeypatch):
    function = lambda p: p.VALUE  # noqa: E731
    before = describe(function)
    monkeypatch.setitem(globals(), "VALUE", 5)
    assert describe(function) == before


class Slotted:
    __slots__ = ("padding",)

    def __init__(self, padding):
        self.padding = padding


def own_class(**body):
    return type("Own", (), body | {"__module__": __name__})()


OBJECTS = {
    "slots": (Slotted(1), Slotted(2)),
    "__call__": (
        own_class(__call__=lambda self, p: p),
        own_class(__call__=lambda self, p: 2 * p),
    ),
    "class attribute": (own_class(padding=1), own_class(padding=2)),
    "static method": (
        own_class(f=staticmethod(lambda: 1)),
        own_class(f=staticmethod(lambda: 2)),
    ),
    "property": (own_class(f=property(lambda self: 1)), own_class(f=property(lambda self: 2))),
}


@pytest.mark.parametrize("first, second", OBJECTS.values(), ids=OBJECTS)
def test_objects_that_act_otherwise_are_described_otherwise(first, second):
    assert describe(first) == describe(first)
    assert describe(first) != describe(second)


@pytest.mark.parametrize("value", [float("nan"), np.float32("nan"), [1.0, float("nan")]])
def test_nan_equals_itself(value):
    assert describe({"lr": value}) == describe({"lr": value})
    assert describe(lambda p: value)["reads"] == {"value": describe(value)}
