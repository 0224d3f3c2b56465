"""Folding whole networks: the pairs that one layer can equal, and what happens to the rest."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from resnorm import models, norms


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def random_parameters(layer, generator):
    """Give the layer a scale and a shift that are neither 1 nor 0."""
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.num_features, generator=generator))
        layer.bias.copy_(torch.randn(layer.num_features, generator=generator))


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


@pytest.mark.filterwarnings("ignore::FutureWarning")  # old-style weight norm is deprecated
@pytest.mark.parametrize(
    "compute",
    [
        nn.utils.spectral_norm,
        nn.utils.weight_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["spectral norm", "weight norm", "pruning"],
)
def test_a_network_that_computes_a_weight_folds_its_other_layers(compute):
    torch.manual_seed(19)
    net = nn.Sequential(
        compute(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    ).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    net(x).sum().backward()  # after which the weight has a history
    folded = norms.fold_model(net)
    assert list(folded.meta["not_folded"]) == ["1"] and net.training
    with torch.no_grad():
        assert_close(folded(x), net.eval()(x))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 4), norms.BatchNorm1d(4)

    def forward(self, a, b):
        return self.norm(self.linear(a + b))


def test_an_example_may_have_several_inputs(capfd):
    net, x = TwoInputs(), torch.randn(5, 3)
    assert not norms.fold_model(net, (x, x)).meta["not_folded"]
    for wrong in (x, (x, torch.randn(5, 2)), (x.double(), x.double())):
        with pytest.raises(ValueError, match=r"TwoInputs cannot take the example \(\(5, 3\) torch"):
            norms.fold_model(net, wrong)
    assert capfd.readouterr() == ("", "")  # torch prints no traceback beside the message


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
