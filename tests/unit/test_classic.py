"""LeNet-5, AlexNet, VGG and GoogLeNet: counts, equality with torchvision, and bad input."""

import pytest
import torch
import torchvision
from torch import nn

from resnorm import models, norms
from resnorm.probes import multiply_adds

VGGS = [f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")]
WITH_TORCHVISION = ["alexnet", "googlenet", *VGGS]
NAIVE = (128, None, 192, None, 96, None)


def torchvisions(name, **kwargs):
    if name == "googlenet":
        kwargs |= {"aux_logits": False, "init_weights": False}
    return getattr(torchvision.models, name)(**kwargs)


def counts(make, shape=(3, 224, 224)):
    with torch.device("meta"):
        model = make()
        return sum(p.numel() for p in model.parameters()), multiply_adds(
            model, torch.empty(1, *shape)
        )


@pytest.mark.parametrize(
    "make, parameters, operations",
    [
        (models.alexnet, 61_100_840, 714_188_480),
        (lambda: models.alexnet(original=True), 60_965_224, None),
        (models.vgg11, 132_863_336, 7_609_090_048),
        (models.vgg16, 138_357_544, 15_470_264_320),
        (models.vgg19, 143_667_240, 19_632_062_464),
        (models.googlenet, 6_624_904, 1_498_376_192),
        (lambda: models.googlenet(large_kernel=5, norm=None), 6_998_552, None),
    ],
)
def test_counts_at_224_pixels(make, parameters, operations):
    ours = counts(make)
    assert ours[0] == parameters
    assert operations is None or ours[1] == operations


def test_lenets_counts():
    assert counts(models.lenet5, (1, 32, 32)) == (61_706, 416_520)
    small = counts(lambda: models.lenet5(head="global"), (1, 32, 32))
    assert small[0] == 6 * 26 + 16 * 151 + 170


@pytest.mark.parametrize(
    "widths, operations, channels",
    [(NAIVE, 854_196_224, 672), ((128, 64, 192, 64, 96, 64), 271_351_808, 480)],
)
def test_an_inception_module_with_and_without_bottlenecks(widths, operations, channels):
    assert counts(lambda: models.InceptionModule(256, *widths), (256, 28, 28))[1] == operations
    with torch.device("meta"):
        module = models.InceptionModule(256, *widths)
        assert module.out_channels == channels
        assert module(torch.empty(1, 256, 28, 28)).shape == (1, channels, 28, 28)


def test_the_fully_connected_share_of_the_parameters():
    with torch.device("meta"):
        for make, share in ((models.alexnet, 96.0), (models.vgg16, 89.4)):
            model = make()
            head = sum(p.numel() for p in model.classifier.parameters())
            assert round(100 * head / sum(p.numel() for p in model.parameters()), 1) == share


@pytest.mark.parametrize("name", WITH_TORCHVISION)
def test_state_dicts_and_multiply_adds_are_torchvisions(name):
    with torch.device("meta"):
        ours, theirs = getattr(models, name)(), torchvisions(name)
        shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
        assert list(shapes[0].items()) == list(shapes[1].items())
        x = torch.empty(1, 3, 224, 224)
        assert multiply_adds(ours, x) == multiply_adds(theirs, x) > 0


def life(model, x, dy, training):
    """Output, gradients and statistics, with the same draws of dropout for every model."""
    torch.manual_seed(0)
    model.train(training)
    x = x.clone().requires_grad_()
    y = model(x)
    gradients = torch.autograd.grad((y * dy).sum(), [x, *model.parameters()])
    return [y, *gradients, *(b.double() for b in model.buffers())]


def check_equal_lives(ours, theirs, shape, outputs, training):
    theirs.load_state_dict(ours.state_dict())  # there, and back
    ours.load_state_dict(theirs.state_dict())
    g = torch.Generator().manual_seed(2)
    x = torch.randn(2, *shape, generator=g, dtype=torch.float64)
    dy = torch.randn(2, *outputs, generator=g, dtype=torch.float64)
    for a, b in zip(life(ours, x, dy, training), life(theirs, x, dy, training), strict=True):
        scale = max(b.abs().max().item(), 1.0)
        assert (a - b).abs().max().item() <= 1e-9 * scale


def shaken(model):
    """The model in float64 with random biases, scales and statistics."""
    g = torch.Generator().manual_seed(1)
    for key, value in model.double().state_dict().items():
        if value.ndim == 1:
            value.add_(torch.rand(value.shape, generator=g, dtype=value.dtype) - 0.4)
            if "var" in key:
                value.abs_().add_(0.5)
    return model


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "googlenet"])
def test_outputs_gradients_and_statistics_are_torchvisions(name, training):
    torch.manual_seed(0)
    ours = shaken(getattr(models, name)(num_classes=7))
    theirs = torchvisions(name, num_classes=7).double()
    check_equal_lives(ours, theirs, (3, 64, 64), (7,), training)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", [name for name in VGGS if name != "vgg11_bn"])
def test_the_convolutions_of_every_vgg_are_torchvisions(name, training):
    with torch.device("meta"):  # the fully connected layers are those of vgg11_bn
        ours, theirs = getattr(models, name)().features, torchvisions(name).features
    torch.manual_seed(0)
    ours = ours.to_empty(device="cpu")
    for layer in ours:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    check_equal_lives(
        shaken(ours), theirs.to_empty(device="cpu").double(), (3, 32, 32), (512, 1, 1), training
    )


def test_local_response_normalization_is_that_of_the_paper():
    model = models.alexnet(original=True)
    layer = next(m for m in model.features if isinstance(m, nn.LocalResponseNorm))
    a = 30 * torch.rand(2, 96, 3, 3)
    expected = torch.empty_like(a)
    for i in range(96):
        near = a[:, max(0, i - 2) : i + 3]
        expected[:, i] = a[:, i] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    torch.testing.assert_close(layer(a), expected)


def test_the_original_alexnet_has_two_groups_where_its_gpus_did_not_talk():
    groups = [m.groups for m in models.alexnet(original=True).features if hasattr(m, "groups")]
    assert groups == [1, 2, 1, 2, 2]


def test_an_inception_module_concatenates_its_branches_in_order():
    torch.manual_seed(0)
    module = models.InceptionModule(6, 2, 3, 4, 3, 5, 7).double().eval()
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    y = module(x)
    assert y.shape[1] == module.out_channels == 18
    for part, branch in zip(y.split((2, 4, 5, 7), 1), ("branch1", "branch2", "branch3", "branch4")):
        assert torch.equal(part, getattr(module, branch)(x))
    assert torch.autograd.gradcheck(module, x[:1, :, :3, :3].requires_grad_())


def test_an_inception_resnet_block_adds_a_scaled_branch():
    torch.manual_seed(0)
    block = models.InceptionResNetBlock(8, 4, scale=0.3).double().eval()
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    branches = torch.cat([block.branch1(x), block.branch2(x), block.branch3(x)], 1)
    torch.testing.assert_close(block(x), (x + 0.3 * block.project(branches)).relu())
    block.scale = 0.0
    assert torch.equal(block(x), x.relu())
    assert torch.autograd.gradcheck(block.requires_grad_(), x[:1, :, :3, :3].requires_grad_())


@pytest.mark.parametrize(
    "options, kinds",
    [
        ({}, {nn.Tanh, nn.AvgPool2d}),
        ({"activation": "relu"}, {nn.ReLU, nn.AvgPool2d}),
        ({"pooling": "max"}, {nn.Tanh, nn.MaxPool2d}),
        ({"head": "global"}, {nn.Tanh, nn.AvgPool2d, nn.AdaptiveAvgPool2d}),
    ],
)
def test_lenets_ingredients_change_one_at_a_time(options, kinds):
    model = models.lenet5(**options)
    found = {type(m) for m in model.modules() if not any(m.children())}
    assert found - {nn.Conv2d, nn.Linear} == kinds


def test_our_norms_fit_and_none_gives_biases():
    kinds = {type(m) for m in models.vgg11_bn(norm=norms.BatchNorm2d).features}
    assert norms.BatchNorm2d in kinds and nn.BatchNorm2d not in kinds
    plain = models.InceptionModule(4, 1, 1, 1, 1, 1, 1, norm=None)
    assert all(m.bias is not None for m in plain.modules() if isinstance(m, nn.Conv2d))


def on_meta(make, *sides):
    with torch.device("meta"):
        model = make().eval()
        channels = 1 if isinstance(model, models.LeNet5) else 3
        return model(torch.empty(1, channels, *sides))


@pytest.mark.parametrize(
    "make, smallest", [(models.alexnet, 63), (models.vgg11, 32), (models.googlenet, 15)]
)
def test_the_smallest_image_works_and_a_smaller_one_is_refused(make, smallest):
    assert on_meta(make, smallest, smallest).shape == (1, 1000)
    below = smallest - 1
    message = f"images are {below} x 300; .* needs {smallest} x {smallest} or more"
    with pytest.raises(ValueError, match=message):
        on_meta(make, below, 300)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: on_meta(models.lenet5, 28, 28), "28 x 28; LeNet-5 needs 32 x 32. Resize"),
        (lambda: on_meta(models.lenet5, 32, 40), "32 x 40; LeNet-5 needs 32 x 32. Resize"),
        (lambda: on_meta(lambda: models.lenet5(head="global"), 13, 13), "14 x 14 or more"),
        (lambda: models.lenet5(activation="sigmoid"), "'tanh', 'relu'"),
        (lambda: models.lenet5(pooling="min"), "'average', 'max'"),
        (lambda: models.lenet5(head="narrow"), "'wide', 'global'"),
        (lambda: models.vgg(12), "depth is 12; it must be one of 11, 13, 16, 19"),
        (lambda: models.VGG((1, 1), (8,)), "layers has 2 entries.* widths has 1"),
        (lambda: models.vgg11(norm="batch"), "such as nn.BatchNorm2d"),
        (lambda: models.googlenet(norm=3), "it must make a layer"),
        (lambda: models.alexnet(dropout=1.0), r"dropout is 1.0; .* in \[0, 1\)"),
        (lambda: models.vgg11(dropout=-0.1), r"in \[0, 1\)"),
        (lambda: models.googlenet(dropout=2), r"in \[0, 1\)"),
    ],
)
def test_bad_input_names_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        make()
