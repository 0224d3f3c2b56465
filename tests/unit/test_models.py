"""The model families: published counts, equality with torchvision, and bad input."""

import copy

import pytest
import torch
import torchvision
from torch import nn

from resnorm import blocks, models, norms
from resnorm.models.u_net import center_crop
from resnorm.probes import multiply_adds


def parameters(make):
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


COUNTS = {
    "resnet18": (models.resnet18, 11_689_512),
    "resnet34": (models.resnet34, 21_797_672),
    "resnet50": (models.resnet50, 25_557_032),
    "resnet101": (models.resnet101, 44_549_160),
    "resnet152": (models.resnet152, 60_192_808),
    "resnext50_32x4d": (models.resnext50_32x4d, 25_028_904),
    "resnext101_32x8d": (models.resnext101_32x8d, 88_791_336),
    "wide_resnet50_2": (models.wide_resnet50_2, 68_883_240),
    "densenet121": (models.densenet121, 7_978_856),
    "densenet161": (models.densenet161, 28_681_000),
    "densenet169": (models.densenet169, 14_149_480),
    "densenet201": (models.densenet201, 20_013_928),
    "CIFAR ResNet-20": (lambda: models.cifar_resnet(20), 269_722),
    "CIFAR ResNet-32": (lambda: models.cifar_resnet(32), 464_154),
    "CIFAR ResNet-44": (lambda: models.cifar_resnet(44), 658_586),
    "CIFAR ResNet-56": (lambda: models.cifar_resnet(56), 853_018),
    "CIFAR ResNet-110": (lambda: models.cifar_resnet(110), 1_727_962),
    "CIFAR ResNet-1202": (lambda: models.cifar_resnet(1202), 19_421_274),
    "CIFAR ResNet-20, option B": (lambda: models.cifar_resnet(20, "B"), 269_722 + 2_752),
    "plain-20": (lambda: models.cifar_plain(20), 269_722),
    "pre-activation ResNet-110": (lambda: models.cifar_preact_resnet(110), 1_730_522),
    "pre-activation ResNet-164": (lambda: models.cifar_preact_resnet(164), 1_703_258),
    "pre-activation ResNet-1001": (lambda: models.cifar_preact_resnet(1001), 10_327_706),
    "WRN-28-10": (lambda: models.cifar_wide_resnet(28, 10), 36_479_194),
    "WRN-40-4": (lambda: models.cifar_wide_resnet(40, 4), 8_949_210),
    "WRN-16-8": (lambda: models.cifar_wide_resnet(16, 8), 10_961_370),
    "WRN-22-8": (lambda: models.cifar_wide_resnet(22, 8), 17_158_106),
    "ResNeXt-29 8x64d": (lambda: models.cifar_resnext(29, 8, 64), 34_426_698),
    "ResNeXt-29 16x64d": (lambda: models.cifar_resnext(29, 16, 64), 68_155_210),
    "DenseNet 40-12": (lambda: models.cifar_densenet(40, 12), 1_019_722),
    "DenseNet 100-12": (lambda: models.cifar_densenet(100, 12), 6_979_642),
    "DenseNet 100-24": (lambda: models.cifar_densenet(100, 24), 27_249_082),
    "DenseNet-BC 100-12": (lambda: models.cifar_densenet(100, 12, True, 0.5), 769_162),
    "DenseNet-BC 250-24": (lambda: models.cifar_densenet(250, 24, True, 0.5), 15_324_406),
    "DenseNet-BC 190-40": (lambda: models.cifar_densenet(190, 40, True, 0.5), 25_624_430),
    "U-Net": (lambda: models.unet(1, 2), 31_030_658),
    "3-D U-Net": (lambda: models.unet(3, 3, dims=3), 19_075_523),
}

WITH_TORCHVISION = [name for name in COUNTS if hasattr(torchvision.models, name)]


@pytest.mark.parametrize("name", COUNTS)
def test_published_parameters(name):
    make, expected = COUNTS[name]
    assert parameters(make) == expected


@pytest.mark.parametrize("name", WITH_TORCHVISION)
def test_state_dicts_have_torchvisions_keys_and_shapes(name):
    with torch.device("meta"):
        ours, theirs = getattr(models, name)(), getattr(torchvision.models, name)()
    shapes = [
        {key: value.shape for key, value in model.state_dict().items()} for model in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", WITH_TORCHVISION)
def test_multiply_adds_are_torchvisions(name):
    counts = []
    with torch.device("meta"):
        for make in (getattr(models, name), getattr(torchvision.models, name)):
            counts.append(multiply_adds(make(), torch.empty(1, 3, 224, 224)))
    assert counts[0] == counts[1] > 0


def rerandomized(model, seed):
    """Every tensor of the state dict random, statistics of norms included."""
    g = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for key, value in state.items():
        if "running_var" in key:
            value.uniform_(0.5, 2.0, generator=g)
        elif "num_batches" not in key:
            value.normal_(
                std=0.3 if value.ndim == 1 else (2 / value[0].numel()) ** 0.5, generator=g
            )
            if key.endswith("weight") and value.ndim == 1:
                value.add_(1.0)
    return state


def life(model, x, dy, training):
    model.train(training)
    x = x.clone().requires_grad_()
    y = model(x)
    gradients = torch.autograd.grad((y * dy).sum(), [x, *model.parameters()])
    return [y, *gradients, *(b.clone() for b in model.buffers())]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", WITH_TORCHVISION)
def test_torchvisions_weights_give_torchvisions_outputs_gradients_and_statistics(name, training):
    ours, theirs = (
        getattr(models, name)(num_classes=7).double(),
        getattr(torchvision.models, name)(num_classes=7).double(),
    )
    state = rerandomized(theirs, seed=1)
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    g = torch.Generator().manual_seed(2)
    x = torch.randn(2, 3, 64, 64, generator=g, dtype=torch.float64)
    dy = torch.randn(2, 7, generator=g, dtype=torch.float64)
    for a, b in zip(life(ours, x, dy, training), life(theirs, x, dy, training), strict=True):
        scale = max(b.double().abs().max().item(), 1.0)
        assert (a.double() - b.double()).abs().max().item() <= 1e-9 * scale


@pytest.mark.parametrize(
    "make",
    [
        lambda norm: models.cifar_resnet(8, norm=norm),
        lambda norm: models.cifar_preact_resnet(11, "bottleneck", norm=norm),
        lambda norm: models.cifar_wide_resnet(10, 2, norm=norm),
        lambda norm: models.cifar_densenet(10, 4, True, 0.5, norm=norm),
    ],
    ids=["resnet", "preact", "wide", "densenet"],
)
def test_a_model_of_our_own_norms_is_the_same_model(make):
    ours, torchs = make(norms.BatchNorm2d).double(), make(nn.BatchNorm2d).double()
    ours.load_state_dict(rerandomized(torchs, seed=3))
    torchs.load_state_dict(ours.state_dict())
    g = torch.Generator().manual_seed(4)
    x, dy = (
        torch.randn(4, 3, 16, 16, generator=g, dtype=torch.float64),
        torch.randn(4, 10, generator=g, dtype=torch.float64),
    )
    for a, b in zip(life(ours, x, dy, True), life(torchs, x, dy, True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    kinds = {
        type(module) for module in make(lambda channels: norms.GroupNorm(1, channels)).modules()
    }
    assert norms.GroupNorm in kinds and not kinds & {nn.BatchNorm2d, norms.BatchNorm2d}


def test_shortcut_a_subsamples_and_pads():
    x = torch.arange(32.0).view(1, 2, 4, 4)
    y = blocks.SubsampleAndPad(2, 5, 2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert torch.equal(y[:, :2], x[:, :, ::2, ::2]) and not y[:, 2:].any()


def test_the_published_110_layers_are_basic_blocks_and_any_depth_may_be_asked_for():
    with torch.device("meta"):
        basic, bottleneck, small = (
            models.cifar_preact_resnet(110),
            models.cifar_preact_resnet(110, "bottleneck"),
            models.cifar_preact_resnet(20, "basic"),
        )
    assert {type(block) for stage in basic.stages for block in stage} == {blocks.PreActBasicBlock}
    assert sum(p.numel() for p in bottleneck.parameters()) == 1_146_842
    assert [len(stage) for model in (basic, bottleneck, small) for stage in model.stages] == [
        *(18, 18, 18),
        *(12, 12, 12),
        *(3, 3, 3),
    ]


def test_without_norms_the_skip_reads_the_raw_input():
    torch.manual_seed(0)
    model = models.cifar_preact_resnet(20, "bottleneck", norm=lambda channels: nn.Identity())
    block = model.stages[0][1]
    for convolution in (block.conv1, block.conv2, block.conv3):
        nn.init.zeros_(convolution.weight)
    x = torch.randn(2, 64, 8, 8)
    assert torch.equal(block(x.clone()), x)


@pytest.mark.parametrize("name", ["BasicBlock", "Bottleneck"])
def test_a_block_without_downsample_is_torchvisions_and_a_plain_one_has_no_sum(name):
    torch.manual_seed(0)
    channels = 8 // getattr(blocks, name).expansion
    ours = getattr(blocks, name)(8, channels).eval()
    plain = getattr(blocks, name)(8, channels, residual=False).eval()
    theirs = getattr(torchvision.models.resnet, name)(8, channels).eval()
    state = rerandomized(theirs, seed=5)
    for block in (ours, plain, theirs):
        block.load_state_dict(state)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    theirs.downsample = nn.Conv2d(8, 8, 1)
    for parameter in theirs.downsample.parameters():
        nn.init.zeros_(parameter)  # a shortcut of zeros
    torch.testing.assert_close(plain(x), theirs(x))
    assert not torch.equal(plain(x), ours(x))


@pytest.mark.parametrize("make", [models.resnet18, models.resnet50])
def test_zero_init_makes_every_block_its_shortcut(make):
    model = make(num_classes=4, stem="cifar")
    model.load_state_dict(rerandomized(model, seed=6))
    model.zero_init_residual().eval()
    checked = 0

    def check(block, inputs, output):
        nonlocal checked
        checked += 1
        (x,) = inputs
        shortcut = x if block.downsample is None else block.downsample(x)
        last = block.bn3 if isinstance(block, blocks.Bottleneck) else block.bn2
        torch.testing.assert_close(output, (shortcut + last.bias.view(-1, 1, 1)).relu())

    for block in model.modules():
        if isinstance(block, blocks.BasicBlock | blocks.Bottleneck):
            block.register_forward_hook(check)
    model(torch.rand(2, 3, 16, 16))
    assert checked == {models.resnet18: 8, models.resnet50: 16}[make]


def test_checkpointing_changes_neither_outputs_nor_gradients_nor_statistics():
    torch.manual_seed(0)
    kept, recomputed = (
        models.cifar_densenet(22, 6, True, 0.5, checkpointed=c).double() for c in (False, True)
    )
    recomputed.load_state_dict(kept.state_dict())
    x, dy = torch.randn(2, 3, 16, 16, dtype=torch.float64), torch.randn(2, 10, dtype=torch.float64)
    for a, b in zip(life(kept, x, dy, True), life(recomputed, x, dy, True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "bottleneck, norm",
    [(True, nn.BatchNorm2d), (False, nn.BatchNorm2d), (True, norms.BatchNorm2d)],
    ids=["bottleneck", "no bottleneck", "our norm"],
)
def test_a_checkpointed_densenet_compiles_to_the_same_network(bottleneck, norm):
    torch.manual_seed(0)
    model = models.cifar_densenet(
        10, 4, bottleneck, compression=0.5, checkpointed=True, norm=norm
    ).double()
    twin = copy.deepcopy(model)
    x, dy = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randn(2, 10, dtype=torch.float64)
    compiled = torch.compile(twin, backend="aot_eager", fullgraph=True)
    for a, b in zip(life(compiled, x, dy, True), life(model, x, dy, True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_unet_sizes():
    with torch.device("meta"):
        flat, solid = models.unet(1, 2), models.unet(3, 3, dims=3)
        assert flat(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        assert flat.output_size((572, 572)) == (388, 388)
        assert solid(torch.empty(1, 3, 132, 132, 116)).shape == (1, 3, 44, 44, 28)
        same = models.unet(1, 2, padding="same")
        assert same(torch.empty(1, 1, 64, 96)).shape == (1, 2, 64, 96)


def test_the_crop_is_the_middle():
    x = torch.arange(36.0).view(1, 1, 6, 6)
    assert torch.equal(center_crop(x, (2, 4)), x[:, :, 2:4, 1:5])


def test_stacked_hourglass_supervises_every_stack():
    model = models.stacked_hourglass(1, 3, channels=8)
    maps = model(torch.randn(2, 1, 16, 16))
    assert [m.shape for m in maps] == [(2, 3, 16, 16)] * 2
    sum(m.square().mean() for m in maps).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: models.cifar_resnet(21), r"6n \+ 2 layers, such as 20 or 26"),
        (
            lambda: models.cifar_preact_resnet(100, "bottleneck"),
            r"9n \+ 2 layers, such as 92 or 101",
        ),
        (
            lambda: models.cifar_preact_resnet(164 - 9, "basic"),
            r"6n \+ 2 layers, such as 152 or 158",
        ),
        (lambda: models.cifar_preact_resnet(20), r"110 \(basic\), .* give a block: 'basic' for 6n"),
        (lambda: models.cifar_preact_resnet(56), r"110 \(basic\), .* give a block: 'basic' for 6n"),
        (lambda: models.cifar_preact_resnet(110, "wide"), "'basic', 'bottleneck'"),
        (lambda: models.ResNet(blocks.BasicBlock, (2,) * 5), "layers has 5 entries.* widths has 4"),
        (lambda: models.ResNet(blocks.Bottleneck, (1, 1), (8, 16, 32)), "2 entries.* widths has 3"),
        (
            lambda: models.PreActResNet(blocks.PreActBasicBlock, (1, 1, 1, 1), (8, 16, 32), 8),
            "layers has 4 entries.* widths has 3",
        ),
        (
            lambda: models.ResNet(blocks.BasicBlock, (2, 0), (8, 16)),
            "every stage must have 1 block",
        ),
        (lambda: models.PreActResNet(blocks.PreActBasicBlock, (), (), 8), "every stage must have"),
        (lambda: models.cifar_wide_resnet(27, 2), r"6n \+ 4"),
        (lambda: models.cifar_wide_resnet(28, 0), "1 or more"),
        (lambda: models.cifar_densenet(41, 12), r"3n \+ 4 layers, such as 40 or 43"),
        (lambda: models.cifar_resnet(3), r"such as 8 or 14"),
        (lambda: models.cifar_resnet(20, "C"), "'A', 'B', 'none'"),
        (lambda: models.resnet18(stem="mnist"), "'imagenet', 'cifar'"),
        (lambda: models.resnet18(groups=2), "only bottleneck blocks have groups"),
        (lambda: models.resnet50(groups=0), "groups is 0; it must be at least 1"),
        (lambda: blocks.Bottleneck(16, 4, width_per_group=4), "0.25 channels; it must be a whole"),
        (lambda: models.DenseNet(4, (2,), 8, compression=0), "in \\(0, 1\\]"),
        (lambda: models.unet(1, 2, padding="reflect"), "'valid', 'same'"),
        (lambda: models.unet(1, 2, dims=4), "2 or 3"),
        (lambda: models.unet(1, 2).output_size((100, 572)), "sides near it that fit: .*1"),
        (lambda: models.stacked_hourglass(1, 3, channels=10), "multiple of 4"),
        (
            lambda: models.stacked_hourglass(1, 3, channels=8)(torch.zeros(1, 1, 20, 16)),
            "multiples of 8",
        ),
        (lambda: models.cifar_resnet(8, norm="batch"), "such as nn.BatchNorm2d"),
        (lambda: models.cifar_wide_resnet(10, 2, norm=nn.BatchNorm2d(16)), "it must make a layer"),
        (lambda: models.cifar_densenet(10, 4, norm=None), "it must make a layer"),
        (lambda: models.unet(1, 2, norm=3), "it must make a layer"),
        (lambda: models.stacked_hourglass(1, 2, norm="group"), "it must make a layer"),
        (
            lambda: models.cifar_resnet(8, norm=lambda c: norms.GroupNorm(3, c)),
            "num_groups may be one of",
        ),
    ],
)
def test_bad_input_names_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()
