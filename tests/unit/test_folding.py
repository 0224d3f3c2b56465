"""Folding: one layer that equals two, for pairs where that is known, and for no others."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from resnorm import models, norms


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def random_parameters(layer, generator):
    """Give the layer a scale and a shift that are neither 1 nor 0."""
    if layer.affine:
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.num_features, generator=generator))
            layer.bias.copy_(torch.randn(layer.num_features, generator=generator))
    return layer


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


class Residual(nn.Module):
    """One conv that feeds its norm and the skip, and a pair that can be folded."""

    def __init__(self, kind):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.norm = kind(4)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), kind(4), nn.ReLU())

    def forward(self, x):
        x = self.stem(x)
        return x + self.branch(self.norm(x))


class Shared(nn.Module):
    """One conv used twice with two norms: no single weight can serve both."""

    def __init__(self, kind):
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), kind(3), kind(3)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x))))


class Nested(nn.Module):
    """Pairs at several depths, one norm after an activation, one before the first layer."""

    def __init__(self, kind):
        super().__init__()
        self.first = kind(3)
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), kind(4), nn.ReLU()),
            nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1), kind(4)), nn.ReLU(), kind(4)),
        )

    def forward(self, x):
        return self.blocks(self.first(x))


@pytest.mark.parametrize("kind", [norms.BatchNorm2d, nn.BatchNorm2d], ids=["ours", "torch's"])
@pytest.mark.parametrize("model, left", [(Residual, 1), (Shared, 2), (Nested, 2)])
def test_fold_model_folds_what_it_may_and_leaves_the_rest(model, left, kind):
    torch.manual_seed(10)
    net = model(kind).double()
    generator = torch.Generator().manual_seed(10)
    for module in net.modules():
        if isinstance(module, kind):
            random_parameters(module, generator)
    for _ in range(3):  # statistics that are not 0 and 1
        net(2 * torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64) + 1)
    before = copy.deepcopy(net.state_dict())
    x = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    folded = norms.fold_model(net)
    assert net.training  # the model is left as it is
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert sum(isinstance(module, kind) for module in folded.modules()) == left
    with torch.no_grad():
        assert_close(folded(x), net.eval()(x))


def test_fold_model_keeps_a_norm_that_has_no_running_statistics():
    torch.manual_seed(11)
    net = nn.Sequential(nn.Linear(3, 4), norms.BatchNorm1d(4, track_running_stats=False)).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    assert_close(norms.fold_model(net)(x).detach(), net.eval()(x).detach())


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


# --- whole networks -----------------------------------------------------------------------------

WIDTHS = [(4, 4), (8, 8)]
NETWORKS = {  # name -> (network, batch norms in it, how many of them stay)
    "U-Net": (lambda: models.UNet(3, 2, WIDTHS, 0.5, norm=norms.BatchNorm2d), 0),
    "U-Net, same": (
        lambda: models.UNet(3, 2, WIDTHS, 0.5, norm=nn.BatchNorm2d, padding="same"),
        0,
    ),
    "hourglass": (lambda: models.StackedHourglass(3, 2, 2, 1, 8), 10),
    "ResNet": (lambda: models.cifar_resnet(8, norm=norms.BatchNorm2d), 0),
    "DenseNet": (lambda: models.cifar_densenet(10, 4, True, norm=nn.BatchNorm2d), 6),
    "group norm": (lambda: models.cifar_resnet(8, norm=lambda c: norms.GroupNorm(4, c)), 0),
    "instance norm": (lambda: models.cifar_resnet(8, norm=norms.InstanceNorm2d), 0),
    "group norm and batch norm": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), norms.GroupNorm(2, 4), nn.Conv2d(4, 4, 3), norms.BatchNorm2d(4)
        ),
        0,
    ),
    "layer norm and batch norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), norms.LayerNorm(22)),
        0,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_our_networks_fold(name):
    make, left = NETWORKS[name]
    torch.manual_seed(18)
    net = make().double()
    x = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    net(x)
    folded = norms.fold_model(net)
    outputs = [model(x) for model in (folded, net.eval())]
    for ours, expected in zip(*(y if isinstance(y, list) else [y] for y in outputs)):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
    kinds = (norms.BatchNorm2d, nn.BatchNorm2d)
    stay = {name for name, module in folded.named_modules() if isinstance(module, kinds)}
    assert stay == set(folded.meta["not_folded"]) and len(stay) == left


@pytest.mark.parametrize("side", [14, 15])
def test_a_folded_network_still_refuses_an_image_that_does_not_fit(side):
    unet = norms.fold_model(models.UNet(3, 2, [*WIDTHS, (8, 8)], 0.5, padding="same"))
    hourglass = norms.fold_model(models.StackedHourglass(3, 2, 1, 2, 8))
    for net, words in ((unet, f"side of {side} does not fit"), (hourglass, "multiples of 4")):
        with pytest.raises(ValueError, match=words):
            net(torch.randn(1, 3, side, side))


class Undecided(nn.Module):
    """Its forward asks for values, so that it cannot be traced."""

    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x):
        return self.part(x) if x.sum() > 0 else self.part(-x)


def test_a_model_that_cannot_be_traced_is_refused_with_advice_that_works():
    net = Undecided().eval()
    with pytest.raises(ValueError, match=r"Undecided.*model\.part = fold_model\(model\.part\)"):
        norms.fold_model(net)
    x = torch.randn(2, 3, 8, 8)
    before = net(x)
    net.part = norms.fold_model(net.part)
    torch.testing.assert_close(net(x), before)
