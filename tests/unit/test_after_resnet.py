"""MobileNet, ShuffleNet, EfficientNet, SE-ResNet and the way to ConvNeXt: counts and agreement."""

import itertools

import pytest
import torch
import torchvision
from torch import nn

from resnorm import models
from resnorm.blocks import Bottleneck, SEBottleneck
from resnorm.models import convnext, mobile, modernization, shufflenet
from resnorm.probes import multiply_adds
from resnorm.regularization import DropPath

COUNTS = {
    "se_resnet50": (models.se_resnet50, 28_088_024, 4_091_699_200),
    "mobilenet_v1": (models.mobilenet_v1, 4_231_976, 568_740_352),
    "mobilenet_v2": (models.mobilenet_v2, 3_504_872, 300_774_272),
    "shufflenet_v2_x1_0": (models.shufflenet_v2_x1_0, 2_278_604, 144_907_992),
    "convnext_tiny": (models.convnext_tiny, 28_589_128, 4_455_531_264),
    "convnext_small": (models.convnext_small, 50_223_688, 8_683_712_256),
    "convnext_base": (models.convnext_base, 88_591_464, 15_354_729_472),
}


def counts(make, side=224):
    with torch.device("meta"):
        model = make()
    x = torch.zeros(1, 3, side, side, device="meta")
    return sum(p.numel() for p in model.parameters()), multiply_adds(model.eval(), x)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_at_224_pixels(name):
    make, parameters, operations = COUNTS[name]
    assert counts(make) == (parameters, operations)


@pytest.mark.parametrize(
    "size, parameters",
    [
        ("b0", 5_288_548),
        ("b1", 7_794_184),
        ("b2", 9_109_994),
        ("b3", 12_233_232),
        ("b4", 19_341_616),
    ],
)
def test_efficientnets_grow_by_the_released_factors(size, parameters):
    assert counts(lambda: models.efficientnet(size))[0] == parameters
    with torch.device("meta"):
        ours, theirs = (
            models.efficientnet(size),
            getattr(torchvision.models, f"efficientnet_{size}")(),
        )
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
    assert list(shapes[0].items()) == list(shapes[1].items())


def test_compound_scaling_doubles_the_arithmetic():
    width, depth, side = models.compound_scaling(1)
    assert depth * width**2 * (side / 224) ** 2 == pytest.approx(1.92027)
    assert models.compound_scaling(0) == (1, 1, 224)


PAIRS = {
    "mobilenet_v2": (models.mobilenet_v2, torchvision.models.mobilenet_v2, {"dropout": 0.0}),
    "shufflenet_v2_x1_0": (models.shufflenet_v2_x1_0, torchvision.models.shufflenet_v2_x1_0, {}),
    "convnext_tiny": (
        lambda: models.convnext_tiny(layer_scale=1.0),
        lambda: torchvision.models.convnext_tiny(stochastic_depth_prob=0.0),
        {},
    ),
    "efficientnet_b0": (
        models.efficientnet,
        lambda: torchvision.models.efficientnet_b0(dropout=0.0, stochastic_depth_prob=0.0),
        {"dropout": 0.0},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_gradients_and_state_dicts_are_torchvisions(name):
    make, make_theirs, options = PAIRS[name]
    torch.manual_seed(0)
    ours, theirs = make(**options).double(), make_theirs().double()
    if name == "mobilenet_v2":
        theirs.classifier[0].p = 0.0
    with torch.no_grad():  # Statistics and shifts that are not those of a new network.
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.normal_(std=0.1)
                module.running_mean.normal_(std=0.1)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    for training in (False, True):
        results = []
        for model in (ours.train(training), theirs.train(training)):
            model.zero_grad()
            output = model(x)
            output.square().mean().backward()
            results.append((output, [p.grad for p in model.parameters()]))
        torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-9, atol=1e-9)
        for mine, reference in zip(results[0][1], results[1][1], strict=True):
            scale = reference.abs().max().clamp_min(1e-12)
            torch.testing.assert_close(mine / scale, reference / scale, rtol=0, atol=1e-7)
    for mine, reference in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize("name", ["convnext_small", "convnext_base"])
def test_larger_convnexts_are_torchvisions(name):
    torch.manual_seed(0)
    ours = getattr(models, name)(layer_scale=1.0).eval()
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)().eval()
    theirs.load_state_dict(ours.state_dict(), assign=True)  # the same tensors, held once
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_another_architecture_is_refused():
    with torch.device("meta"):
        networks = {
            "mobilenet_v2": models.mobilenet_v2(),
            "shufflenet_v2_x1_0": models.shufflenet_v2_x1_0(),
            "convnext_tiny": models.convnext_tiny(),
            "convnext_small": models.convnext_small(),
        }
    for name, other in itertools.permutations(networks, 2):
        with pytest.raises(RuntimeError, match=r"(Missing|Unexpected) key\(s\) in state_dict"):
            networks[name].load_state_dict(networks[other].state_dict(), assign=True)


# Liu et al. (2022), table 10: multiply-adds in units of 10^9.
TABLE_10 = (4.09, 4.53, 4.42, 2.35, 5.27, 4.64, 4.07, 4.15, 4.15, 4.15, 4.15, 4.46, 4.49)


def test_the_way_to_convnext_costs_what_the_paper_says():
    ways = modernization.designs()
    ours = {name: counts(lambda: models.DesignedNet(ways[name])) for name in ways}  # noqa: B023
    for (name, (_, operations)), published in zip(ours.items(), TABLE_10, strict=True):
        if name not in ("layer norm", "downsampling layers"):  # the chapter says why
            assert operations / 1e9 == pytest.approx(published, abs=0.0051), name
    assert ours["ResNet-50"] == counts(models.resnet50)
    parameters, operations = ours["downsampling layers"]
    scales = 3 * 96 + 3 * 192 + 9 * 384 + 3 * 768
    assert parameters + scales == 28_589_128 and operations == 4_455_531_264


def test_the_last_step_is_convnext_with_scales_of_one():
    torch.manual_seed(0)
    design = list(modernization.designs().values())[-1]
    step = models.DesignedNet(design, num_classes=10).double().eval()
    ours = models.convnext_tiny(num_classes=10, layer_scale=1.0).double().eval()
    # The parameters come in the same order, up to the scales; linear layers are 1x1 convolutions.
    mine = [(n, p) for n, p in ours.named_parameters() if "layer_scale" not in n]
    with torch.no_grad():
        for (_, p), q in zip(mine, step.parameters(), strict=True):
            p.copy_(q.reshape(p.shape))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(step(x), ours(x), rtol=1e-9, atol=1e-9)


def test_gates_of_one_half_leave_half_of_the_branch():
    torch.manual_seed(0)
    gated = SEBottleneck(64, 16).eval()
    nn.init.zeros_(gated.se.fc2.weight)
    nn.init.zeros_(gated.se.fc2.bias)
    plain = Bottleneck(64, 16).eval()
    plain.load_state_dict({k: v for k, v in gated.state_dict().items() if not k.startswith("se.")})
    x = torch.randn(2, 64, 5, 5)
    torch.testing.assert_close(gated.branch(x), plain.branch(x) / 2)
    torch.testing.assert_close(gated(x), torch.relu(x + plain.branch(x) / 2))
    assert SEBottleneck(64, 16, reduction=4).se.fc1.out_channels == 16


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_a_shuffle_interleaves_and_can_be_undone(groups):
    x = torch.arange(6.0).view(1, 6, 1, 1)
    shuffled = models.channel_shuffle(x, groups)
    assert shuffled.flatten().tolist() == x.view(groups, -1).t().flatten().tolist()
    assert torch.equal(models.channel_shuffle(shuffled, 6 // groups), x)


def test_half_of_the_channels_pass_a_shuffle_unit():
    torch.manual_seed(0)
    unit = shufflenet.ShuffleUnit(8, 8).eval()
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(unit(x)[:, ::2], x[:, :4])


def test_depth_is_dropped_linearly_more_towards_the_end():
    net = convnext.ConvNeXt((1, 1, 2), (4, 8, 16), drop_path=DropPath, drop_rate=0.3)
    rates = [m.p for m in net.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    net.train()(torch.zeros(2, 3, 32, 32)).sum().backward()


@pytest.mark.parametrize("make", [models.mobilenet_v1, models.mobilenet_v2])
def test_narrow_networks(make):
    with torch.device("meta"):
        assert make(width=0.25, num_classes=7)(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize(
    "given, rounded", [(16, 16), (19, 24), (20, 24), (17.6, 16), (1, 8), (12, 16), (11.9, 16)]
)
def test_multiples_of_8_do_not_fall_below_nine_tenths(given, rounded):
    assert models.layers.multiple_of_8(given) == rounded


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: models.mobilenet_v2(width=0), "width is 0; it multiplies the channels"),
        (lambda: models.mobilenet_v1(width=0.01), "width is 0.01; .* 0.75, 0.5 or 0.25"),
        (lambda: models.mobilenet_v2(norm=nn.BatchNorm2d(8)), "must make a layer from a number"),
        (lambda: mobile.InvertedResidual(8, 8, stride=3), "stride is 3; .* stride 1 or 2"),
        (lambda: models.channel_shuffle(torch.zeros(1, 6, 1, 1), 4), "groups is 4, .* 6 channels"),
        (lambda: shufflenet.ShuffleUnit(8, 9, 2), "out_channels is 9"),
        (lambda: shufflenet.ShuffleUnit(8, 12, 1), "stride 1 keeps an even number of channels"),
        (lambda: models.efficientnet("b9"), "size is 'b9'; it must be one of 'b0', 'b1', 'b2'"),
        (lambda: models.EfficientNet(depth=0), "width is 1.0 and depth is 0; both must be above 0"),
        (lambda: models.ConvNeXt((1, 1), (8,)), "layers has 2 entries, .* widths has 1"),
        (lambda: models.convnext_tiny(drop_rate=1), "drop_rate is 1; it is the probability"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
