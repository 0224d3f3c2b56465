"""Probes of signals, gradients and loss surfaces: they measure what they say and leave no trace."""

import math

import pytest
import torch
from torch import nn

from resnorm import models, norms, probes
from resnorm.blocks import BasicBlock


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), norms.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)).double()


def batch(n=32, d=4, seed=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- half precision -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("value", [300.0, 3e4, 1e-5])
def test_the_rms_of_half_precision_neither_overflows_nor_vanishes(dtype, value):
    x = torch.full((2, 3), value, dtype=dtype)
    (found,) = probes.layer_statistics(nn.Sequential(nn.Identity()), x, ["0"])
    assert found.rms == pytest.approx(x[0, 0].item(), rel=1e-3)


def test_the_length_of_a_float16_gradient_does_not_overflow():
    model = nn.Linear(4, 1, bias=False).half()
    nn.init.ones_(model.weight)
    profile = probes.gradient_step_profile(
        model, lambda m: (1000 * m.weight.square()).sum(), [2.5e-4]
    )
    assert profile.gradient_changes == pytest.approx(
        [2000.0], rel=1e-2
    )  # each of 4: from 2000 to 1000
    assert profile.beta_smoothness == pytest.approx(2000.0, rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [3.0, 300.0, 3e4])
def test_gradients_in_half_precision_are_summed_in_single(size, dtype):
    assert probes.mean_pairwise_cosine(torch.full((300, 4), size).to(dtype)) == pytest.approx(1)
    series = torch.tensor([size, -size] * 50).to(dtype)
    assert probes.autocorrelation(series, 2).tolist() == pytest.approx([1, -0.99, 0.98])
    profile = probes.gradient_by_path_length(
        [nn.Identity()], torch.zeros(1, 64, dtype=dtype), torch.full((1, 64), size).to(dtype)
    )
    assert profile.total == pytest.approx(8 * size, rel=1e-2)
    assert profile.norms.tolist() == pytest.approx([8 * size, 0], rel=1e-2)


@pytest.mark.parametrize("size", [1.0, 300.0, 1e4])
def test_a_direction_in_half_precision_is_as_long_as_each_filter(size):
    model = nn.Linear(64, 2, bias=False).half()
    nn.init.constant_(model.weight, size)
    (direction,) = probes.filter_normalized_direction(model, torch.Generator().manual_seed(0))
    assert direction.dtype == torch.float16
    assert direction.float().norm(dim=1).tolist() == pytest.approx([8 * size] * 2, rel=1e-2)


def squared(model):
    return model(batch()).square().mean()


def everything(model):
    """State, gradients, and the hooks that a probe could have left behind."""
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    return [t.clone() for t in model.state_dict().values()] + [
        None if p.grad is None else p.grad.clone() for p in model.parameters()
    ]


def same(a, b):
    return all(x is y is None or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_layer_statistics_are_those_of_the_outputs_and_of_autograd():
    model, x = net(), batch()
    stats = {s.name: s for s in probes.layer_statistics(model, x, loss=lambda y: y.square().mean())}
    hidden = model[0](x)
    assert stats["0"].mean == pytest.approx(hidden.mean().item())
    assert stats["0"].rms == pytest.approx(hidden.square().mean().sqrt().item())
    active = model[2](model[1](hidden))
    active.retain_grad()
    model[3](active).square().mean().backward()
    assert stats["2"].zeros == pytest.approx((active == 0).double().mean().item())
    assert stats["2"].grad_rms == pytest.approx(active.grad.square().mean().sqrt().item())
    assert probes.layer_statistics(model, x)[0].grad_rms is None


@pytest.mark.parametrize(
    "measure",
    [
        lambda m: probes.layer_statistics(m, batch(), loss=lambda y: y.sum()),
        lambda m: probes.gradient_step_profile(m, squared, [0.1, 0.4]),
        lambda m: probes.loss_surface(
            m, squared, (probes.filter_normalized_direction(m),) * 2, points=3
        ),
        lambda m: probes.input_gradients(m.eval(), batch()),
    ],
)
def test_a_probe_leaves_the_model_as_it_found_it(measure):
    model = net()
    squared(model).backward()
    before = everything(model)
    measure(model)
    assert same(before, everything(model))


def test_a_probe_restores_the_model_even_when_the_loss_fails():
    model, calls = net(), []

    def fails_later(m):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("out of patience")
        return squared(m)

    before = everything(model)
    with pytest.raises(RuntimeError, match="out of patience"):
        probes.gradient_step_profile(model, fails_later, [0.1, 0.2, 0.3])
    assert same(before, everything(model))


def test_layers_are_chosen_by_name_or_class_and_a_missing_one_is_named():
    model = net()
    assert list(probes.select_layers(model, [nn.Linear])) == ["0", "3"]
    assert list(probes.select_layers(model, ["2"])) == ["2"]
    with pytest.raises(ValueError, match="no layer named 'relu'; its layers are 0, 1, 2, 3"):
        probes.layer_statistics(model, batch(), ["relu"])
    with pytest.raises(ValueError, match="no layer of class Conv2d"):
        probes.select_layers(model, [nn.Conv2d])


def test_input_gradients_are_those_of_finite_differences():
    model, x, h = net().eval(), batch(5), 1e-6
    gradient = probes.input_gradients(model, x)
    for k in range(4):
        step = h * torch.eye(4, dtype=torch.float64)[k]
        numeric = (model(x + step) - model(x - step))[:, 0] / (2 * h)
        torch.testing.assert_close(gradient[:, k], numeric.detach(), rtol=1e-5, atol=1e-8)
    with pytest.raises(ValueError, match="one number each"):
        probes.input_gradients(nn.Linear(4, 2).double(), x)


def test_autocorrelation_of_known_series():
    wave = torch.sin(torch.arange(4000) * 2 * math.pi / 40)
    correlation = probes.autocorrelation(wave, 40)
    assert correlation[0] == pytest.approx(1)
    assert correlation[20] == pytest.approx(-1, abs=0.02) and correlation[40] == pytest.approx(
        1, abs=0.02
    )
    noise = torch.randn(20000, generator=torch.Generator().manual_seed(0))
    assert probes.autocorrelation(noise, 5)[1:].abs().max() < 0.03
    with pytest.raises(ValueError, match="constant"):
        probes.autocorrelation(torch.ones(9), 2)
    with pytest.raises(ValueError, match="max_lag < n"):
        probes.autocorrelation(wave[:5], 5)


def test_mean_pairwise_cosine_of_known_vectors():
    assert probes.mean_pairwise_cosine(torch.eye(3)) == pytest.approx(0)
    assert probes.mean_pairwise_cosine(torch.ones(3, 2)) == pytest.approx(1)


def test_a_quadratic_has_the_smoothness_of_its_hessian():
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0]]))
    curvature = torch.tensor([3.0, 1.0], dtype=torch.float64)
    profile = probes.gradient_step_profile(
        model, lambda m: 0.5 * (curvature * m.weight**2).sum(), [0.1, 0.2]
    )
    assert profile.beta_smoothness == pytest.approx(3)  # the gradient lies along the steep axis
    assert profile.losses[0] == pytest.approx(0.5 * 3 * 0.7**2)
    with pytest.raises(ValueError, match="positive"):
        probes.gradient_step_profile(model, lambda m: m.weight.sum(), [])


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_step_whose_gradient_is_no_number_is_not_hidden(broken):
    model, calls = nn.Linear(1, 1, bias=False), []

    def loss(m):
        calls.append(1)
        return m.weight.square().sum() * (math.nan if len(calls) - 2 == broken else 1)

    assert math.isnan(probes.gradient_step_profile(model, loss, [0.1, 0.2, 0.3]).beta_smoothness)


@pytest.mark.parametrize(
    "loss", [lambda m: 0 * m.weight.sum(), lambda m: torch.ones((), requires_grad=True) * 3]
)
def test_where_the_gradient_is_zero_nothing_moves(loss):
    profile = probes.gradient_step_profile(nn.Linear(2, 1), loss, [0.1, 1e-30])
    assert profile.gradient_changes == (0, 0) and math.isnan(profile.beta_smoothness)


def test_a_direction_is_as_long_as_each_filter_and_leaves_norms_alone():
    model = models.ConvNet(norms.BatchNorm2d, widths=(4,), depth=1)
    direction = probes.filter_normalized_direction(model, torch.Generator().manual_seed(0))
    for d, p in zip(direction, model.parameters(), strict=True):
        if p.ndim > 1:
            torch.testing.assert_close(d.flatten(1).norm(dim=1), p.detach().flatten(1).norm(dim=1))
        else:
            assert not d.any()


def test_a_block_whose_shortcut_is_none_has_the_identity_as_its_shortcut():
    torch.manual_seed(0)
    block, x = nn.Linear(3, 3).double(), batch(1, 3)[0]
    block.shortcut = None
    paths = probes.path_jacobians([block], x)
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(paths[()], identity)
    torch.testing.assert_close(paths[0,], block.weight.detach() - identity)
    block.shortcut = lambda z: 2 * z
    torch.testing.assert_close(probes.path_jacobians([block], x)[()], 2 * identity)


@pytest.mark.parametrize("stride, channels", [(1, 4), (2, 4), (2, 8)])
def test_our_own_blocks_have_their_projection_as_shortcut(stride, channels):
    torch.manual_seed(0)
    block = BasicBlock(4, channels, stride, nn.Conv2d(4, channels, 1, stride)).double().eval()
    x, dy = (
        torch.randn(1, c, s, s, dtype=torch.float64) for c, s in ((4, 4), (channels, 4 // stride))
    )
    z = x.clone().requires_grad_()
    (through,) = torch.autograd.grad(block.downsample(z), z, dy)
    profile = probes.gradient_by_path_length([block], x, dy, lengths=[0], samples=1)
    assert profile.norms[0].item() == pytest.approx(through.norm().item())


def test_a_block_that_changes_the_shape_without_a_shortcut_is_refused():
    blocks, x = [nn.Linear(3, 3), nn.Linear(3, 2)], torch.randn(1, 3)
    with pytest.raises(ValueError, match=r"Linear puts out \(1, 2\), but its shortcut \(1, 3\)"):
        probes.gradient_by_path_length(blocks, x, torch.ones(1, 2))
    with pytest.raises(ValueError, match="shortcut or downsample"):
        probes.path_jacobians(blocks, x[0])


@pytest.mark.parametrize("points, extent", [(1, 1.0), (7, 0.3), (21, 0.7), (51, 1.1)])
def test_the_middle_of_a_surface_is_the_model_itself(points, extent):
    model = nn.Linear(1, 1, bias=False)
    direction = [torch.ones(1, 1)]
    coordinates, losses = probes.loss_surface(
        model, lambda m: m.weight.sum().double() + 1e9, (direction, direction), extent, points
    )
    middle = points // 2
    assert coordinates[middle] == 0 and losses.dtype == torch.float64
    assert losses[middle, middle].item() == model.weight.double().item() + 1e9


def test_a_surface_has_the_model_in_its_middle():
    model = net()
    g = torch.Generator().manual_seed(0)
    directions = tuple(probes.filter_normalized_direction(model, g) for _ in range(2))
    coordinates, losses = probes.loss_surface(model, squared, directions, extent=0.5, points=5)
    assert losses[2, 2].item() == pytest.approx(squared(model).item(), rel=1e-5)
    with torch.no_grad():
        for p, u in zip(model.parameters(), directions[0], strict=True):
            p += coordinates[4].item() * u
    assert losses[4, 2].item() == pytest.approx(squared(model).item(), rel=1e-5)
    with pytest.raises(ValueError, match="take 7"):
        probes.loss_surface(model, squared, directions, points=6)
    with pytest.raises(ValueError, match="do not fit"):
        probes.loss_surface(nn.Linear(2, 2), squared, directions, points=3)


# --- frozen parameters ----------------------------------------------------------------------------


def test_a_step_moves_what_is_not_frozen():
    model = net()
    model[0].requires_grad_(False)
    before = everything(model)
    profile = probes.gradient_step_profile(model, squared, [0.1, 0.2])
    assert same(before, everything(model))
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(squared(model), parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 0.1 * gradient
    assert profile.losses[0] == pytest.approx(squared(model).item(), rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [models.SpeedNet((4, 4, 4)), models.cifar_resnet(8).requires_grad_(False)],
    ids=["whitening", "all but the classifier"],
)
def test_a_step_profile_of_networks_with_frozen_parts(model):
    list(model.children())[-1].requires_grad_(True)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    profile = probes.gradient_step_profile(model, lambda m: m(x).square().mean(), [0.01])
    assert 0 < profile.beta_smoothness < math.inf


def test_a_step_profile_of_a_frozen_network_is_refused():
    with pytest.raises(ValueError, match="every parameter of the model is frozen"):
        probes.gradient_step_profile(net().requires_grad_(False), squared, [0.1])


def test_gradients_are_measured_at_frozen_layers_too():
    model = net()
    expected = probes.layer_statistics(model, batch(), loss=lambda y: y.square().mean())
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert probes.layer_statistics(model, batch(), loss=lambda y: y.square().mean()) == expected
