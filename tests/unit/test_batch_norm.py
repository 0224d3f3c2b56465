"""Batch norm in all its forms against ``torch.nn``, in float64 unless a test says otherwise."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from batch_norm_pairs import assert_close, pair
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from resnorm import norms
from resnorm.norms import functional, in_numpy
from resnorm.probes import saved_bytes

EAGER = ("naive", "var_mean", "closed")  # torch.compile does not differentiate twice


def channels_last(x):
    """The same values with the channel axis fastest in memory, for any number of dimensions."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def two_orders(layer, x, dy, v):
    """Output, gradients of <y, dy>, and gradients of <dx, v>: for x, dy and the parameters."""
    x, dy = x.detach().clone().requires_grad_(), dy.detach().clone().requires_grad_()
    parameters = list(layer.parameters())
    y = layer(x)
    first = torch.autograd.grad(y, [x, *parameters], dy, create_graph=True)
    # the shift drops out of dx, and in evaluation mode so does x
    second = torch.autograd.grad(
        first[0], [x, dy, *parameters], v, allow_unused=True, materialize_grads=True
    )
    return [y.detach(), *(g.detach() for g in first), *second]


@st.composite
def situations(draw):
    ndim = draw(st.sampled_from([2, 3, 4]))
    positions = [draw(st.integers(1, 4)) for _ in range(ndim - 2)]
    smallest = 1 if np.prod(positions, dtype=int) > 1 else 2  # more than one value per channel
    shape = (draw(st.integers(smallest, 6)), draw(st.integers(1, 5)), *positions)
    options = {
        "momentum": draw(st.sampled_from([None, 0.1, 0.0, 1.0, 0.37])),
        "eps": draw(st.sampled_from([1e-5, 1e-3, 0.5])),
        "affine": draw(st.booleans()),
        "track_running_stats": draw(st.booleans()),
    }
    return {
        "shape": shape,
        "options": options,
        "training": draw(st.lists(st.booleans(), min_size=1, max_size=4)),
        "last": draw(st.booleans()),
        "mean": draw(st.sampled_from([0.0, -3.0, 50.0])),
        "seed": draw(st.integers(0, 2**16)),
    }


@pytest.mark.parametrize("form", EAGER)
@given(situation=situations())
def test_outputs_gradients_and_statistics_equal_torchs_in_any_situation(form, situation):
    shape = situation["shape"]
    ours, theirs, generator = pair(shape, form, situation["seed"], **situation["options"])
    for training in situation["training"]:
        ours.train(training), theirs.train(training)
        x, dy, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3))
        x = x + situation["mean"]
        if situation["last"]:
            x, dy = channels_last(x), channels_last(dy)
        for ours_is, theirs_is in zip(
            two_orders(ours, x, dy, v), two_orders(theirs, x, dy, v), strict=True
        ):
            assert_close(ours_is, theirs_is)
    for name, buffer in theirs.named_buffers():
        assert_close(getattr(ours, name), buffer)
    if situation["options"]["track_running_stats"]:
        assert ours.num_batches_tracked.item() == sum(situation["training"])


def test_the_compiled_form_equals_torchs():
    shape = (4, 3, 5, 2)
    ours, theirs, generator = pair(shape, "compiled")
    for _ in range(2):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        results = []
        for layer in (ours, theirs):
            z = x.clone().requires_grad_()
            y = layer(z)
            results.append(
                [y.detach(), *torch.autograd.grad(y.sin().sum(), [z, *layer.parameters()])]
            )
        for ours_is, theirs_is in zip(*results, strict=True):
            assert_close(ours_is, theirs_is)
    assert_close(ours.running_mean, theirs.running_mean)
    assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("form", EAGER)
@pytest.mark.parametrize("shape", [(4, 2), (3, 2, 2), (2, 2, 2, 1)])
def test_first_and_second_derivatives_agree_with_finite_differences(form, shape):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    gamma, beta = (
        torch.randn(2, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(2)
    )

    def y(*inputs):
        return functional.FORMS[form](*inputs, 1e-3)[0]

    assert torch.autograd.gradcheck(y, (x, gamma, beta))
    assert torch.autograd.gradgradcheck(y, (x, gamma, beta))


@pytest.mark.parametrize("form", EAGER)
def test_the_statistics_returned_are_per_channel_biased_and_detached(form):
    x = torch.randn(
        5,
        3,
        2,
        2,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(2),
        requires_grad=True,
    )
    _, mean, var = functional.FORMS[form](x, None, None)
    assert mean.shape == var.shape == (3,)
    assert not mean.requires_grad and not var.requires_grad
    assert_close(mean, x.detach().mean((0, 2, 3)))
    assert_close(var, x.detach().var((0, 2, 3), correction=0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_layer_on_the_gpu_equals_torchs():
    ours, theirs, generator = pair((8, 3, 4, 4))
    x, dy, v = (
        torch.randn(8, 3, 4, 4, generator=generator, dtype=torch.float64).cuda() for _ in range(3)
    )
    results = [two_orders(layer.cuda(), x, dy, v) for layer in (ours, theirs)]
    for ours_is, theirs_is in zip(*results, strict=True):
        assert_close(ours_is, theirs_is)


# --- numerics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", EAGER)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("parameters", ["float32", "half"])
def test_half_precision_has_torchs_dtypes_and_is_as_close_as_its_rounding(form, dtype, parameters):
    shape = (16, 3, 4, 4)
    kept = torch.float32 if parameters == "float32" else dtype
    ours, theirs, generator = pair(shape, form, dtype=kept)
    exact = copy.deepcopy(theirs).double()
    x = (3 * torch.randn(shape, generator=generator) + 1).to(dtype)
    dy = torch.randn(shape, generator=generator).to(dtype)
    results = []
    for layer, z in ((ours, x), (theirs, x), (exact, x.double())):
        z = z.clone().requires_grad_()
        y = layer(z)
        results.append(
            [y.detach(), *torch.autograd.grad(y, [z, *layer.parameters()], dy.to(y.dtype))]
        )
        results[-1] += [layer.running_mean, layer.running_var]
    for ours_is, theirs_is, exact_is in zip(*results, strict=True):
        assert ours_is.dtype == theirs_is.dtype
        assert_close(ours_is.double(), exact_is, tolerance=2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("form", EAGER)
def test_float16_sums_neither_overflow_nor_drown(form):
    x = (torch.randn(64, 2, 16, 16, generator=torch.Generator().manual_seed(3)) + 1000).half()
    layer = norms.BatchNorm2d(2, form=form)
    y = layer(x)
    assert torch.isfinite(y).all()
    assert_close(layer.running_mean.double(), 0.1 * x.double().mean((0, 2, 3)), 1e-4)


@pytest.mark.parametrize("memory", ["contiguous", "channels last"])
def test_the_default_form_keeps_three_digits_where_a_difference_of_squares_loses_them(memory):
    x = torch.randn(64, 16, 16, 16, generator=torch.Generator().manual_seed(4)) + 1e4
    x = channels_last(x) if memory == "channels last" else x
    exact = F.batch_norm(x.double(), None, None, training=True)
    y = norms.BatchNorm2d(16)(x)
    assert (y - exact).abs().max().item() <= 1e-3
    # The control: E[x^2] - E[x]^2 fails on the same data, so the bound above is not idle.
    mean = x.mean((0, 2, 3), keepdim=True)
    var = (x * x).mean((0, 2, 3), keepdim=True) - mean**2
    bad = (x - mean) / torch.sqrt(var.clamp(min=0) + 1e-5)
    assert (bad - exact).abs().max().item() > 1e-3


@pytest.mark.parametrize("form", EAGER)
def test_a_constant_channel_becomes_the_shift(form):
    layer = norms.BatchNorm1d(2, form=form, dtype=torch.float64)
    with torch.no_grad():
        layer.bias.fill_(0.7)
    x = torch.full((8, 2), 5.0, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    assert_close(y.detach(), torch.full_like(x, 0.7).detach())
    y.square().sum().backward()
    assert torch.isfinite(x.grad).all()


def test_under_autocast_the_layer_returns_what_torchs_returns():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(8, 3, 6, 6, generator=generator)
    results = []
    for kind in (norms.BatchNorm2d, nn.BatchNorm2d):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), kind(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
        )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = model(x)
        y.float().square().sum().backward()
        results.append([y.detach(), model[1].running_var, *(p.grad for p in model.parameters())])
    for ours_is, theirs_is in zip(*results, strict=True):
        assert_close(ours_is, theirs_is, tolerance=0.02)


def test_a_single_image_with_many_positions_is_enough():
    ours, theirs, generator = pair((1, 3, 4, 4))
    x = torch.randn(1, 3, 4, 4, generator=generator, dtype=torch.float64)
    assert_close(ours(x), theirs(x))
    assert_close(ours.running_var, theirs.running_var)


def test_a_new_layer_in_evaluation_is_almost_the_identity():
    x = torch.randn(1, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    layer = norms.BatchNorm1d(3, eps=1e-5, dtype=torch.float64).eval()
    assert_close(layer(x), x / (1 + 1e-5) ** 0.5)
    assert layer.num_batches_tracked == 0


# --- gradients where not everything needs one --------------------------------------------------


@pytest.mark.parametrize("form", EAGER)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("needed", [{"x"}, {"weight"}, {"bias"}, {"x", "bias"}, {"weight", "bias"}])
def test_only_what_needs_a_gradient_gets_one(form, training, needed):
    ours, theirs, generator = pair((6, 3, 2, 2), form)
    x, dy = (torch.randn(6, 3, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    results = []
    for layer in (ours, theirs):
        layer.train(training)
        layer.weight.requires_grad_("weight" in needed)
        layer.bias.requires_grad_("bias" in needed)
        z = x.clone().requires_grad_("x" in needed)
        layer(z).backward(dy)
        results.append([z.grad, layer.weight.grad, layer.bias.grad])
    for ours_is, theirs_is in zip(*results, strict=True):
        assert_close(ours_is, theirs_is)


def test_without_gradients_training_mode_still_moves_the_statistics():
    layer = norms.BatchNorm1d(3)
    with torch.no_grad():
        layer(torch.ones(4, 3))
    assert layer.num_batches_tracked == 1
    torch.testing.assert_close(layer.running_mean, torch.full((3,), 0.1))


def test_the_closed_form_keeps_no_more_than_torch_does():
    x = torch.randn(32, 16, 8, 8, requires_grad=True)
    ours, theirs = norms.BatchNorm2d(16), nn.BatchNorm2d(16)
    reference, mine = saved_bytes(lambda: theirs(x)), saved_bytes(lambda: ours(x))
    naive = saved_bytes(lambda: norms.BatchNorm2d(16, form="naive")(x))
    assert reference >= x.nbytes  # the measure sees the input that both must keep
    assert mine <= 1.05 * reference
    assert naive > 1.9 * reference  # and tells a wasteful form from a thrifty one


def test_the_closed_form_leaves_its_input_as_it_was():
    x = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(7), requires_grad=True)
    before = x.detach().clone()
    dy = torch.randn(8, 4, 3, 3)
    kept = dy.clone()
    norms.BatchNorm2d(4)(x).backward(dy)
    assert torch.equal(x.detach(), before) and torch.equal(dy, kept)


def test_the_closed_form_can_be_differentiated_again_and_again():
    ours, theirs, generator = pair((5, 2))
    x, dy = (torch.randn(5, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    results = []
    for layer in (ours, theirs):
        z = x.clone().requires_grad_()
        y = layer(z)
        y.backward(dy, retain_graph=True)
        y.backward(dy)
        results.append(z.grad)
    assert_close(*results)


# --- errors name what was given and what to do ---------------------------------------------------


@pytest.mark.parametrize(
    "act, words",
    [
        (
            lambda: norms.BatchNorm1d(3)(torch.zeros(1, 3)),
            ["more than one value per channel", "(1, 3)", ".eval()"],
        ),
        (
            lambda: norms.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1)),
            ["more than one value", "drop_last=True"],
        ),
        (
            lambda: norms.BatchNorm2d(3)(torch.zeros(2, 4, 5, 5)),
            ["num_features=3", "given 4 channels", "(2, 4, 5, 5)"],
        ),
        (
            lambda: norms.BatchNorm2d(3)(torch.zeros(2, 8, 8, 3)),
            ["given 8 channels", ".movedim(-1, 1)"],
        ),
        (
            lambda: norms.BatchNorm2d(3)(torch.zeros(2, 3)),
            ["(N, C, H, W)", "2 dimensions", "(2, 3)"],
        ),
        (
            lambda: norms.BatchNorm1d(3)(torch.zeros(2, 3, 4, 4)),
            ["(N, C) or (N, C, L)", "4 dimensions"],
        ),
        (lambda: norms.BatchNorm1d(0), ["num_features is 0", "positive int"]),
        (lambda: norms.BatchNorm1d(2.5), ["num_features is 2.5", "positive int"]),
        (lambda: norms.BatchNorm1d(3, eps=-1e-5), ["eps is -1e-05", "zero or more"]),
        (lambda: norms.BatchNorm1d(3, eps=float("nan")), ["eps is nan", "zero or more"]),
        (
            lambda: norms.BatchNorm1d(3, form="fast"),
            ["form is 'fast'", "naive", "var_mean", "closed", "compiled"],
        ),
    ],
)
def test_errors_say_what_was_given_and_what_to_do(act, words):
    with pytest.raises(ValueError) as caught:
        act()
    for word in words:
        assert word in str(caught.value)


def test_wrong_channels_without_a_channels_last_shape_give_no_misleading_hint():
    with pytest.raises(ValueError) as caught:
        norms.BatchNorm2d(3)(torch.zeros(2, 4, 5, 5))
    assert "movedim" not in str(caught.value)


def test_a_refused_batch_leaves_the_statistics_alone():
    layer = norms.BatchNorm1d(3)
    for bad in (torch.zeros(1, 3), torch.zeros(4, 2)):
        with pytest.raises(ValueError):
            layer(bad)
    assert layer.num_batches_tracked == 0 and torch.equal(layer.running_mean, torch.zeros(3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layer", [norms.BatchNorm1d, norms.BatchNorm2d, norms.SyncBatchNorm2d])
def test_without_running_statistics_nobody_is_sent_to_evaluation_mode(layer, training):
    x = torch.ones(1, 3) if layer is norms.BatchNorm1d else torch.ones(1, 3, 1, 1)
    with pytest.raises(ValueError, match="without running statistics needs more than") as error:
        layer(3, track_running_stats=False).train(training)(x)
    assert ".eval()" not in str(error.value)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
def test_statistics_that_were_taken_away_are_not_missed(kind, training):
    x = torch.randn(4, 3) if kind == "BatchNorm1d" else torch.randn(4, 3, 2, 2)
    layers = [getattr(module, kind)(3).train(training) for module in (norms, nn)]
    for layer in layers:
        layer.running_mean = layer.running_var = None
    torch.testing.assert_close(*(layer(x) for layer in layers))


def test_one_value_per_channel_is_fine_in_evaluation():
    assert norms.BatchNorm1d(3).eval()(torch.ones(1, 3)).shape == (1, 3)


# --- NumPy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5), (2, 3, 4, 4)])
def test_the_numpy_version_equals_torchs(shape):
    generator = torch.Generator().manual_seed(8)
    x, dy = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    gamma, beta = (torch.randn(3, generator=generator, dtype=torch.float64) for _ in range(2))
    y, cache = in_numpy.batch_norm_forward(x.numpy(), gamma.numpy(), beta.numpy(), eps=1e-4)
    ours = [y, *in_numpy.batch_norm_backward(dy.numpy(), cache)]
    leaves = [t.requires_grad_() for t in (x, gamma, beta)]
    theirs = F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-4)
    for ours_is, theirs_is in zip(
        ours, [theirs.detach(), *torch.autograd.grad(theirs, leaves, dy)], strict=True
    ):
        assert_close(torch.from_numpy(ours_is), theirs_is)
