"""Residual networks without norms: the factor of an activation, the filters, the variance."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnorm import blocks, models, norms, train

DOUBLE = {"dtype": torch.float64}


# --- the factor of an activation ------------------------------------------------------------------


def test_the_factor_of_relu_is_the_closed_form():
    assert norms.variance_gain(torch.relu) == pytest.approx((2 / (1 - 1 / math.pi)) ** 0.5, 1e-7)


def test_the_factor_of_a_linear_map_is_its_inverse_slope():
    assert norms.variance_gain(lambda z: 4 * z + 3) == pytest.approx(0.25, 1e-9)


@pytest.mark.parametrize("activation", [F.gelu, F.silu, torch.tanh, F.softplus])
def test_the_factor_gives_variance_one(activation):
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(0), **DOUBLE)
    variance = (norms.variance_gain(activation) * activation(z)).var()
    assert variance == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("activation", [torch.zeros_like, lambda z: z / 0])
def test_a_constant_activation_has_no_factor(activation):
    with pytest.raises(ValueError, match="must be positive and finite"):
        norms.variance_gain(activation)


# --- scaled weight standardization ----------------------------------------------------------------


def layer(**options):
    torch.manual_seed(0)
    return norms.ScaledWeightStandardizedConv2d(4, 6, 3, **options, **DOUBLE)


def images(n=2):
    return torch.randn(n, 4, 5, 5, generator=torch.Generator().manual_seed(1), **DOUBLE)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}, {"gamma": 3}])
def test_the_filters_are_those_of_the_equation(options):
    conv = layer(eps=0.0, **options)
    conv.gain.data = torch.rand(6, **DOUBLE) + 0.5
    fan_in = conv.weight[0].numel()
    mean = conv.weight.mean((1, 2, 3), keepdim=True)
    std = conv.weight.std((1, 2, 3), keepdim=True, correction=0)
    weight = conv.gamma * (conv.weight - mean) / (std * math.sqrt(fan_in))
    weight = conv.gain.view(-1, 1, 1, 1) * weight
    expected = F.conv2d(
        images(), weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )
    torch.testing.assert_close(conv(images()), expected, rtol=1e-12, atol=1e-12)


def test_gradients_of_the_standardized_convolution():
    conv = layer(gamma=1.7)
    names = [name for name, _ in conv.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(conv, dict(zip(names, parameters)), (x,))

    inputs = (images().requires_grad_(), *conv.parameters())
    assert torch.autograd.gradcheck(function, inputs)


def test_weights_of_torchs_convolution_can_be_loaded_but_for_the_gain():
    theirs = nn.Conv2d(4, 6, 3, **DOUBLE)
    missing, unexpected = layer().load_state_dict(theirs.state_dict(), strict=False)
    assert missing == ["gain"] and unexpected == []
    theirs.load_state_dict(layer().state_dict(), strict=False)


@pytest.mark.parametrize("gamma", [0, -1.0, float("nan")])
def test_a_factor_must_be_positive(gamma):
    with pytest.raises(ValueError, match="gamma is .* must be positive"):
        layer(gamma=gamma)


# --- blocks and networks --------------------------------------------------------------------------


def test_the_streams_variance_grows_as_designed():
    torch.manual_seed(0)
    x, beta = torch.randn(16, 64, 8, 8), 1.0
    for _ in range(6):
        block = blocks.NormFreeBlock(64, 64, alpha=0.5, beta=beta)
        for conv in (block.conv1, block.conv2):
            conv.padding_mode = "circular"  # zeros at the border would take some of the variance
        x, beta = block(x), block.output_std
    assert beta**2 == pytest.approx(1 + 6 * 0.25)
    assert x.var((0, 2, 3), correction=0).mean().item() == pytest.approx(beta**2, rel=0.06)


def test_a_block_is_its_formula():
    block = blocks.NormFreeBlock(4, 4, alpha=0.3, beta=1.5).double()
    inner = block.conv2(block.conv1((images() / 1.5).relu()).relu())
    torch.testing.assert_close(block(images()), images() + 0.3 * inner)


def test_a_change_of_shape_resets_the_design_variance():
    block = blocks.NormFreeBlock(4, 8, 2, alpha=0.5, beta=3.0).double()
    assert block(images()).shape == (2, 8, 3, 3)
    assert block.output_std == pytest.approx(1.25**0.5)


def test_skip_init_makes_the_block_the_identity():
    block = blocks.NormFreeBlock(4, 4, skip_init=True).double()
    assert torch.equal(block(images()), images())
    block(images()).sum().backward()
    assert block.skip_scale.grad != 0


@pytest.mark.parametrize("options", [{"alpha": 0}, {"beta": -1.0}])
def test_a_block_refuses_factors_that_are_not_positive(options):
    with pytest.raises(ValueError, match="must be a positive number"):
        blocks.NormFreeBlock(4, 4, **options)


def test_the_network_has_the_convolutions_of_the_preactivation_network():
    def weights(model):
        shapes = [m.weight.shape for m in model.modules() if isinstance(m, nn.Conv2d)]
        return sorted(shapes)

    ours = models.cifar_nf_resnet(20)
    theirs = models.cifar_preact_resnet(20, "basic")
    assert weights(ours) == weights(theirs)
    assert ours(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    betas = [m.beta for m in ours.modules() if isinstance(m, blocks.NormFreeBlock)]
    steps = [1 + 0.04 * k for k in (0, 1, 2, 3, 1, 2, 3, 1, 2)]
    assert [beta**2 for beta in betas] == pytest.approx(steps)


def test_an_image_does_not_depend_on_its_batch():
    model = models.NFResNet((1, 1), (4, 8)).double().train()
    x = torch.randn(5, 3, 8, 8, **DOUBLE)
    torch.testing.assert_close(model(x)[:1], model(x[:1]), rtol=1e-12, atol=1e-12)


def test_the_network_refuses_a_depth_that_is_not_of_its_family():
    with pytest.raises(ValueError, match="6n \\+ 2"):
        models.cifar_nf_resnet(21)


# --- adaptive gradient clipping -------------------------------------------------------------------


def parameter(value, gradient):
    made = nn.Parameter(torch.tensor(value, **DOUBLE))
    made.grad = torch.tensor(gradient, **DOUBLE)
    return made


def test_only_long_gradients_are_shortened_unit_by_unit():
    weight = parameter([[3.0, 4.0], [3.0, 4.0]], [[0.3, 0.4], [0.003, 0.004]])
    assert train.clip_gradients_adaptively(weight, clipping=0.01) == 0.5
    torch.testing.assert_close(
        weight.grad, torch.tensor([[0.03, 0.04], [0.003, 0.004]], **DOUBLE), rtol=1e-12, atol=0
    )


def test_a_bias_counts_as_one_unit_and_zeros_can_grow():
    bias = parameter([0.0, 0.0], [3.0, 4.0])
    assert train.clip_gradients_adaptively([bias], clipping=0.5, eps=0.1) == 1
    torch.testing.assert_close(bias.grad.norm(), torch.tensor(0.05, **DOUBLE))


def test_filters_are_clipped_by_their_whole_fan_in():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3)
    conv(torch.randn(2, 3, 6, 6)).square().sum().backward()
    train.clip_gradients_adaptively(conv.parameters(), 0.02)
    ratio = conv.weight.grad.flatten(1).norm(dim=1) / conv.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(ratio, torch.full((5,), 0.02))


def test_parameters_without_a_gradient_are_passed_over():
    frozen = nn.Parameter(torch.ones(3))
    assert train.clip_gradients_adaptively([frozen]) == 0 and frozen.grad is None


@pytest.mark.parametrize("options", [{"clipping": 0}, {"eps": 0.0}, {"clipping": -1}])
def test_thresholds_must_be_positive(options):
    with pytest.raises(ValueError, match="both must be positive"):
        train.clip_gradients_adaptively(nn.Parameter(torch.ones(1)), **options)
