"""Folding: one layer that equals two, for pairs where that is known, and for no others."""

import copy

import pytest
import torch
import torch.nn.functional as F
from batch_norm_pairs import random_parameters
from torch import nn
from torch.nn.utils import parametrizations

from resnorm import norms


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


LAYERS = {
    "Linear": (lambda: nn.Linear(5, 4), (3, 5), 1),
    "Linear without bias": (lambda: nn.Linear(5, 4, bias=False), (3, 5), 1),
    "Conv1d": (lambda: nn.Conv1d(4, 4, 3, stride=2), (2, 4, 9), 1),
    "Conv2d": (lambda: nn.Conv2d(4, 4, 3, padding=1), (2, 4, 5, 5), 2),
    "Conv2d, two groups, no bias": (
        lambda: nn.Conv2d(4, 4, 3, groups=2, bias=False),
        (2, 4, 5, 5),
        2,
    ),
    "Conv2d, depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (2, 4, 5, 5), 2),
    "Conv3d": (lambda: nn.Conv3d(4, 4, 2), (2, 4, 3, 3, 3), 3),
}


def used_norm(kind, affine, generator):
    """A norm in evaluation mode that has seen data."""
    norm = random_parameters(kind(4, affine=affine), generator).double().eval()
    with torch.no_grad():
        norm.running_mean.copy_(torch.randn(4, generator=generator))
        norm.running_var.copy_(torch.rand(4, generator=generator) + 0.1)
    return norm


KINDS = {
    1: (norms.BatchNorm1d, nn.BatchNorm1d),
    2: (norms.BatchNorm2d, nn.BatchNorm2d),
    3: (nn.BatchNorm3d,),
}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "name, kind",
    [(name, kind) for name, (_, _, dimensions) in LAYERS.items() for kind in KINDS[dimensions]],
)
def test_a_folded_layer_equals_the_two_that_it_replaces(name, kind, affine):
    make, shape, _ = LAYERS[name]
    generator = torch.Generator().manual_seed(9)
    torch.manual_seed(9)
    layer = make().double()
    norm = used_norm(kind, affine, generator)
    before = [copy.deepcopy(module.state_dict()) for module in (layer, norm)]
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    folded = norms.fold(layer, norm)
    assert type(folded) is type(layer)
    assert_close(folded(x).detach(), norm(layer(x)).detach())
    for module, state in zip(
        (layer, norm), before, strict=True
    ):  # the arguments are left as they are
        for key, value in module.state_dict().items():
            assert torch.equal(value, state[key])


@pytest.mark.parametrize(
    "layer, norm, error, words",
    [
        (nn.ReLU(), norms.BatchNorm1d(3), TypeError, "cannot fold into ReLU"),
        (
            nn.ConvTranspose2d(3, 3, 1),
            norms.BatchNorm2d(3),
            TypeError,
            "cannot fold into ConvTranspose2d",
        ),
        (nn.Linear(2, 3), nn.LayerNorm(3), TypeError, "only batch norm"),
        (
            nn.Linear(2, 3),
            norms.BatchNorm1d(3, track_running_stats=False),
            ValueError,
            "no running statistics",
        ),
        (nn.Linear(2, 3), norms.BatchNorm1d(4), ValueError, "3 output channels, the norm 4"),
    ],
)
def test_what_cannot_be_folded_is_refused_with_the_reason(layer, norm, error, words):
    with pytest.raises(error, match=words):
        norms.fold(layer, norm)


SHAPE_OF = {nn.Conv1d: (3, 4, 8), nn.Conv2d: (3, 4, 6, 6), nn.Conv3d: (3, 4, 3, 3, 3)}


@pytest.mark.parametrize(
    "layer, kind",
    [
        (nn.Conv2d, norms.GhostBatchNorm2d),
        (nn.Conv2d, norms.BatchRenorm2d),
        (nn.Conv2d, norms.SyncBatchNorm2d),
        (nn.Conv1d, nn.SyncBatchNorm),
        (nn.Conv2d, nn.SyncBatchNorm),
        (nn.Conv3d, nn.SyncBatchNorm),
    ],
)
def test_every_batch_norm_folds(layer, kind):
    torch.manual_seed(14)
    options = {"ghost_size": 2} if kind is norms.GhostBatchNorm2d else {}
    norm = kind(4, **options).double()
    with torch.no_grad():
        norm.running_mean.normal_(), norm.running_var.uniform_(0.1, 2)
        norm.weight.normal_(), norm.bias.normal_()
    net = nn.Sequential(layer(4, 4, 2).double(), norm).eval()
    x = torch.randn(SHAPE_OF[layer], dtype=torch.float64)
    with torch.no_grad():
        expected = F.batch_norm(
            net[0](x), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        assert_close(norms.fold(*net)(x), expected)
        folded = norms.fold_model(net, x)
        assert_close(folded(x), expected)
    assert not folded.meta["not_folded"] and len(list(folded.children())) == 1


@pytest.mark.parametrize("frozen", [(0, 1), (0,), (1,), ()])
def test_a_folded_layer_is_frozen_if_both_are(frozen):
    net = nn.Sequential(nn.Linear(3, 4), norms.BatchNorm1d(4))
    for i in frozen:
        net[i].requires_grad_(False)
    folded = norms.fold(*net)
    assert {p.requires_grad for p in folded.parameters()} == {len(frozen) < 2}


@pytest.mark.parametrize(
    "layer, x",
    [(nn.Linear(4, 4), torch.randn(3, 4)), (nn.Conv1d(4, 4, 1), torch.randn(2, 4, 5))],
    ids=["linear", "conv"],
)
def test_a_folded_layer_takes_its_input_by_name(layer, x):
    torch.manual_seed(14)
    folded = norms.fold(layer, nn.BatchNorm1d(4).eval())
    assert torch.equal(folded(input=x), folded(x))
    with pytest.raises(ValueError, match="Use the two unfolded layers"):
        folded(input=torch.randn(2, 4, 4) if x.ndim == 2 else torch.randn(4, 4))


# --- only what is known to be exact -------------------------------------------------------------


class ScaledConv(nn.Conv2d):
    """A convolution with a forward of its own."""

    def forward(self, x):
        return 2 * super().forward(x)


class WeightNormConv(nn.Conv2d):
    """A convolution that convolves with other weights than its parameters."""

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight / weight.norm(), bias)


def hooked(module):
    module.register_forward_hook(lambda module, inputs, output: output + 1)
    return module


def pre_hooked(module):
    module.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    return module


def with_own_forward(module):
    original = module.forward
    module.forward = lambda x: original(x) + 1
    return module


def used2d(kind=norms.BatchNorm2d):
    return used_norm(kind, True, torch.Generator().manual_seed(15))


UNFOLDABLE = {
    "weight-standardized conv": lambda: [norms.WeightStandardizedConv2d(4, 4, 3), used2d()],
    "conv with a forward of its own": lambda: [ScaledConv(4, 4, 3), used2d()],
    "conv with weights of its own": lambda: [WeightNormConv(4, 4, 3), used2d(nn.BatchNorm2d)],
    "noisy batch norm": lambda: [nn.Conv2d(4, 4, 3), used2d(norms.NoisyBatchNorm2d)],
    "weight norm": lambda: [parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), used2d()],
    "spectral norm": lambda: [parametrizations.spectral_norm(nn.Conv2d(4, 4, 3)), used2d()],
    "hook on the conv": lambda: [hooked(nn.Conv2d(4, 4, 3)), used2d()],
    "hook on the norm": lambda: [nn.Conv2d(4, 4, 3), hooked(used2d(nn.BatchNorm2d))],
    "pre-hook on the conv": lambda: [pre_hooked(nn.Conv2d(4, 4, 3)), used2d()],
    "pre-hook on the norm": lambda: [nn.Conv2d(4, 4, 3), pre_hooked(used2d())],
    "no statistics": lambda: [
        nn.Conv2d(4, 4, 3),
        norms.BatchNorm2d(4, track_running_stats=False),
    ],
    "linear before 2-D norm": lambda: [nn.Linear(4, 4), used2d()],
}


@pytest.mark.parametrize("name", UNFOLDABLE)
def test_a_pair_that_is_not_known_to_be_exact_is_left_and_named(name):
    torch.manual_seed(15)
    net = nn.Sequential(*UNFOLDABLE[name]()).double().eval()
    x = torch.randn(4, 4, 4, 4, dtype=torch.float64)
    folded = norms.fold_model(net)
    assert_close(folded(x), net(x))
    assert list(folded.meta["not_folded"]) == ["1"]
    with pytest.raises((TypeError, ValueError)):
        norms.fold(net[0], net[1])


@pytest.mark.parametrize("which", [0, 1])
def test_a_forward_that_was_put_into_one_module_is_refused(which):
    pair = [nn.Conv2d(4, 4, 3), used2d()]
    with_own_forward(pair[which])
    with pytest.raises(ValueError, match="a forward of its own"):
        norms.fold(*pair)


def test_a_parametrized_layer_is_refused_with_advice():
    layer = parametrizations.weight_norm(nn.Linear(2, 3))
    with pytest.raises(TypeError, match="remove_parametrizations"):
        norms.fold(layer, norms.BatchNorm1d(3))


CLASHES = {  # the last axis has as many positions as there are channels, so shapes do not clash
    "linear": (lambda: nn.Linear(4, 4), (3, 4), (3, 4, 4)),
    "conv": (lambda: nn.Conv1d(4, 4, 3, padding=1), (3, 4, 4), (4, 4)),
}


@pytest.mark.parametrize("kind", [norms.BatchNorm1d, nn.BatchNorm1d], ids=["ours", "torch's"])
@pytest.mark.parametrize("name", CLASHES)
def test_a_norm_over_another_axis_is_not_folded(name, kind):
    make, right, wrong = CLASHES[name]
    torch.manual_seed(16)
    layer, norm = make().double(), used_norm(kind, True, torch.Generator().manual_seed(16))
    net = nn.Sequential(layer, norm)
    for shape in (right, wrong):
        x = torch.randn(shape, dtype=torch.float64)
        for folded in (norms.fold_model(net), norms.fold_model(net, x)):
            assert_close(folded(x), net(x))
    assert not norms.fold_model(net, torch.randn(right, dtype=torch.float64)).meta["not_folded"]
    assert "give fold_model an example" in norms.fold_model(net).meta["not_folded"]["1"]
    with pytest.raises(ValueError, match="Use the two unfolded layers"):
        norms.fold(layer, norm)(torch.randn(wrong, dtype=torch.float64))


class Tied(nn.Module):
    """Uses the weight of its convolution a second time, in one of several ways."""

    def __init__(self, way):
        super().__init__()
        self.conv, self.norm, self.way = nn.Conv2d(4, 4, 3, padding=1), used2d(), way
        self.other = nn.Sequential(self.conv) if way == "same module" else nn.Conv2d(4, 4, 3)
        if way == "same parameter":
            self.other.weight = self.conv.weight

    def forward(self, x):
        x = self.norm(self.conv(x))
        if self.way == "weight":
            return F.conv2d(x, self.conv.weight)
        if self.way == "penalty":
            return x + self.conv.weight.square().sum()
        return self.other(x)


@pytest.mark.parametrize("way", ["weight", "penalty", "same module", "same parameter"])
def test_a_convolution_whose_weight_is_used_elsewhere_stays_exact(way):
    torch.manual_seed(17)
    net = Tied(way).double().eval()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    folded = norms.fold_model(net)
    assert_close(folded(x), net(x))
    assert ("norm" in folded.meta["not_folded"]) == (way != "same parameter")
