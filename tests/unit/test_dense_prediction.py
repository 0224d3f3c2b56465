"""FCN and YOLO: counts, equality with torchvision, interpolation, and bad input."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from resnorm import models
from resnorm.blocks import BasicBlock, Bottleneck
from resnorm.models.fcn import bilinear_kernel, stage_maps

SMALL = (BasicBlock, (1, 1, 1, 1), (4, 6, 8, 10))


def torchvisions(**kwargs):
    return torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, aux_loss=False, **kwargs
    )


def test_fcn_resnet50_has_torchvisions_parameters():
    with torch.device("meta"):
        ours, theirs = models.fcn_resnet50(), torchvisions(num_classes=21)
        shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
        assert list(shapes[0].items()) == list(shapes[1].items())
        assert sum(p.numel() for p in ours.parameters()) == 32_957_013
        assert ours(torch.empty(1, 3, 64, 96)).shape == (1, 21, 64, 96)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_torchvisions_weights_give_torchvisions_outputs_and_gradients(training):
    torch.manual_seed(1)
    ours, theirs = models.fcn_resnet50(5).double(), torchvisions(num_classes=5).double()
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    results = []
    for model in (ours, theirs):
        model.train(training)
        model.classifier[3].p = 0.0  # dropout draws from the global generator
        y = model(x)
        y = y if model is ours else y["out"]
        gradients = torch.autograd.grad(y.square().mean(), list(model.parameters()))
        results.append([y, *gradients, *(b.double() for b in model.buffers())])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() <= 1e-9 * max(b.abs().max().item(), 1.0)


@pytest.mark.parametrize("bias", [True, False])
def test_a_fully_connected_layer_is_a_convolution(bias):
    linear = nn.Linear(6 * 3 * 4, 7, bias=bias).double()
    convolution = models.as_convolution(linear, 6, 3, 4)
    x = torch.randn(2, 6, 5, 9, dtype=torch.float64)
    y = convolution(x)
    assert y.shape == (2, 7, 3, 6)
    for i in range(3):
        for j in range(6):
            window = x[:, :, i : i + 3, j : j + 4].flatten(1)
            torch.testing.assert_close(y[:, :, i, j], linear(window), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="72 inputs, but a map of 6 x 3 x 3 has 54 numbers"):
        models.as_convolution(linear, 6, 3, 3)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_transposed_convolution_interpolates(factor):
    layer = models.bilinear_upsampling(3, factor).double()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    y = layer(x)
    wanted = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    assert y.shape == wanted.shape and not layer.weight.requires_grad
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(y[inside], wanted[inside], rtol=1e-6, atol=1e-6)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")  # what interpolation sees at the border
    torch.testing.assert_close(layer(padded)[inside], wanted, rtol=1e-6, atol=1e-6)
    sums = F.conv_transpose2d(
        torch.ones(1, 1, 4, 4), bilinear_kernel(factor)[None, None], stride=factor
    )
    middle = sums[0, 0, factor:-factor, factor:-factor]
    torch.testing.assert_close(middle, torch.ones_like(middle))


def test_interpolation_needs_an_even_factor():
    with pytest.raises(ValueError, match="factor is 3"):
        models.bilinear_upsampling(2, 3)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_an_fcn_starts_with_the_coarsest_scores_alone(stride):
    torch.manual_seed(0)
    model = models.FCN(*SMALL, 4, stride).eval()
    x = torch.randn(2, 3, 96, 128)
    scores = model.score(stage_maps(model.backbone, x)[-1])
    assert scores.shape == (2, 4, 3, 4)
    assert len(model.skips) == {32: 0, 16: 1, 8: 2}[stride]
    for _ in model.skips:
        scores = models.bilinear_upsampling(4, 2)(scores)
    wanted = F.interpolate(scores, size=(96, 128), mode="bilinear")
    torch.testing.assert_close(model(x), wanted, rtol=1e-5, atol=1e-5)


def test_every_parameter_of_an_fcn_gets_a_gradient_after_a_step():
    torch.manual_seed(0)
    model = models.FCN(Bottleneck, (1, 1, 1, 1), (4, 4, 4, 4), 3, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = torch.randn(2, 3, 64, 64), torch.randint(3, (2, 64, 64))
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert all((p.grad != 0).any() for p in model.parameters())


def test_bad_fcns_are_refused():
    for call, message in (
        (lambda: models.FCN(*SMALL, 4, 4), "stride is 4"),
        (lambda: models.FCN(BasicBlock, (1, 1, 1), (4, 4, 4), 4), "four stages"),
        (lambda: models.FCN(*SMALL, 4)(torch.zeros(1, 3, 48, 64)), "multiples of 32"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# --- YOLO ----------------------------------------------------------------------------------------


def test_the_published_yolo():
    with torch.device("meta"):
        model = models.yolo_v1()
        y = model(torch.empty(1, 3, 448, 448))
    assert y.shape == (1, 30, 7, 7) and y.numel() == 7 * 7 * 30 == 1_470
    kinds = [type(module) for module in model]
    assert kinds.count(nn.Conv2d) == 24 and kinds.count(nn.Linear) == 2
    channels = 3
    for module in model:
        if isinstance(module, nn.Conv2d):
            assert module.in_channels == channels
            channels = module.out_channels


def test_a_small_yolo_describes_every_cell():
    model = models.YOLO(3)
    assert model.cell == 8
    assert model(torch.randn(2, 3, 48, 64)).shape == (2, 13, 6, 8)
    assert models.YOLO(5, boxes=1, widths=(4, 8))(torch.randn(1, 3, 8, 8)).shape == (1, 10, 2, 2)


def test_bad_yolos_are_refused():
    for call, message in (
        (lambda: models.YOLO(3, widths=()), "give a width for the stem"),
        (lambda: models.YOLO(0), "num_classes 0"),
        (lambda: models.YOLO(3)(torch.zeros(1, 3, 44, 48)), "the grid does not divide the image"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
