"""What torch's norms can do beside ordinary training: torch.func, forward mode, empty batches."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jvp, vmap

from resnorm import norms

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.func's own torch.jit

UNTRACKED = {"track_running_stats": False}
#: name -> (ours, torch's, arguments, shape of a batch)
TWINS = {
    "BatchNorm1d": (norms.BatchNorm1d, nn.BatchNorm1d, (3,), UNTRACKED, (4, 3, 5)),
    "BatchNorm2d": (norms.BatchNorm2d, nn.BatchNorm2d, (3,), UNTRACKED, (4, 3, 2, 2)),
    "BatchNorm2d, no affine": (
        norms.BatchNorm2d,
        nn.BatchNorm2d,
        (3,),
        UNTRACKED | {"affine": False},
        (4, 3, 2, 2),
    ),
    "GroupNorm": (norms.GroupNorm, nn.GroupNorm, (2, 4), {}, (3, 4, 2, 2)),
    "LayerNorm": (norms.LayerNorm, nn.LayerNorm, ((3, 2),), {}, (4, 3, 2)),
    "RMSNorm": (norms.RMSNorm, nn.RMSNorm, (6,), {}, (4, 6)),
    "InstanceNorm2d": (
        norms.InstanceNorm2d,
        nn.InstanceNorm2d,
        (3,),
        {"affine": True},
        (4, 3, 2, 2),
    ),
}


def pair(name):
    """Our layer and torch's, with equal random parameters, and a batch."""
    ours, theirs, arguments, options, shape = TWINS[name]
    torch.manual_seed(0)
    theirs = theirs(*arguments, **options, dtype=torch.float64)
    for parameter in theirs.parameters():
        nn.init.uniform_(parameter, 0.5, 2.0)
    ours = ours(*arguments, **options, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, torch.randn(shape, dtype=torch.float64)


def rows(layer, x, vectorize):
    return torch.autograd.functional.jacobian(lambda z: layer(z).sin(), x, vectorize=vectorize)


@pytest.mark.parametrize(
    "layer", [norms.BatchNorm2d, norms.BatchRenorm2d, norms.InstanceNorm2d, norms.GhostBatchNorm2d]
)
def test_several_gradients_at_once_are_those_one_by_one(layer):
    torch.manual_seed(0)
    options = {"ghost_size": 2} if layer is norms.GhostBatchNorm2d else {}
    layer = layer(2, dtype=torch.float64, **options)
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    layer(x)  # leaves running statistics at which batch renorm clips nothing

    def twice(vectorize):
        before = {k: v.clone() for k, v in layer.state_dict().items()}
        found = rows(layer, x, vectorize)
        layer.load_state_dict(before)
        return found

    torch.testing.assert_close(twice(True), twice(False))
    y = layer(x)
    dys = torch.randn(3, *y.shape, dtype=torch.float64)
    (batched,) = torch.autograd.grad(y, x, dys, is_grads_batched=True, retain_graph=True)
    single = [torch.autograd.grad(y, x, dy, retain_graph=True)[0] for dy in dys]
    torch.testing.assert_close(batched, torch.stack(single))


def per_sample_gradients(layer, x):
    def loss(parameters, example):
        return functional_call(layer, parameters, (example[None],)).sin().sum()

    return vmap(grad(loss), (None, 0))(dict(layer.named_parameters()), x)


def call_with_parameters(layer, x):
    parameters = {name: 2 * p.detach() for name, p in layer.named_parameters()}
    return functional_call(layer, parameters, (x,))


TRANSFORMS = {
    "vmap of grad": per_sample_gradients,
    "functional_call": call_with_parameters,
    "jvp": lambda layer, x: jvp(layer, (x,), (x.cos(),)),
    "grad": lambda layer, x: grad(lambda z: layer(z).sin().sum())(x),
    "jvp of grad": lambda layer, x: jvp(grad(lambda z: layer(z).sin().sum()), (x,), (x.cos(),)),
    "vmap over batches": lambda layer, x: vmap(layer)(torch.stack([x, 2 * x])),
    "vmap over another axis": lambda layer, x: vmap(layer, -1, -1)(torch.stack([x, x + 1], -1)),
    "hessian": lambda layer, x: hessian(lambda z: layer(z).sin().sum())(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", TWINS)
def test_a_transform_gives_what_it_gives_with_torchs_layer(name, transform):
    ours, theirs, x = pair(name)
    apply = TRANSFORMS[transform]
    torch.testing.assert_close(apply(ours, x), apply(theirs, x), rtol=1e-9, atol=1e-9)


def forward_over_reverse(layer, x):
    """A Hessian-vector product from plain dual numbers, without torch.func."""
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone().requires_grad_(), x.cos())
        (gradient,) = torch.autograd.grad(layer(dual).sin().sum(), dual)
        return forward_ad.unpack_dual(gradient).tangent


@pytest.mark.parametrize("name", TWINS)
def test_forward_mode_over_reverse_mode_gives_hessian_vector_products(name):
    ours, theirs, x = pair(name)
    z = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(theirs(z).sin().sum(), z, create_graph=True)
    (expected,) = torch.autograd.grad(gradient, z, x.cos())
    torch.testing.assert_close(forward_over_reverse(ours, x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"affine": True}, {"momentum": None}])
@pytest.mark.parametrize("transform", ["grad", "jvp", "hessian", "jvp of grad"])
def test_tracked_statistics_of_images_move_under_a_transform_as_torchs_do(transform, options):
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    options = {"track_running_stats": True, "dtype": torch.float64} | options
    ours, theirs = norms.InstanceNorm2d(3, **options), nn.InstanceNorm2d(3, **options)
    results = [TRANSFORMS[transform](layer, x) for layer in (ours, theirs)]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("kind", [norms.BatchNorm2d, nn.BatchNorm2d], ids=["ours", "torch's"])
def test_running_statistics_move_in_the_buffers_that_functional_call_is_given(kind):
    layer = kind(3, momentum=0.5)
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    x = torch.randn(4, 3, 2, 2)
    functional_call(layer, buffers, (x,))
    torch.testing.assert_close(buffers["running_mean"], 0.5 * x.mean((0, 2, 3)))
    assert layer.num_batches_tracked == 0 and not layer.running_mean.any()


# --- empty batches --------------------------------------------------------------------------------

EMPTIED = {  # torch's instance norm fails with a scale and a shift, so here it has none
    "InstanceNorm2d": (norms.InstanceNorm2d, nn.InstanceNorm2d, (3,), {}, (4, 3, 2, 2)),
    "BatchNorm1d, tracked": (norms.BatchNorm1d, nn.BatchNorm1d, (3,), {}, (4, 3)),
    "BatchNorm2d, average": (
        norms.BatchNorm2d,
        nn.BatchNorm2d,
        (3,),
        {"momentum": None},
        (4, 3, 2, 2),
    ),
}


def after_an_empty_batch(layer, x):
    z = x[:0].clone().requires_grad_()
    y = layer(z)
    y.sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    return [y.detach(), z.grad, *gradients, *layer.buffers()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", TWINS | EMPTIED)
def test_an_empty_batch_does_what_it_does_with_torchs_layer(name, training, monkeypatch):
    monkeypatch.setattr(f"{__name__}.TWINS", TWINS | EMPTIED)
    ours, theirs, x = pair(name)
    results = []
    for layer in (ours, theirs):
        layer(x)
        results.append(after_an_empty_batch(layer.train(training), x))
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        norms.BatchRenorm2d(3),
        norms.GhostBatchNorm2d(3, 2),
        norms.NoisyBatchNorm2d(3),
        norms.SyncBatchNorm2d(3),
        norms.BatchNorm2d(3, form="naive"),
        norms.BatchNorm2d(3, form="var_mean"),
        norms.InstanceNorm2d(3, affine=True, track_running_stats=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_empty_batch_moves_no_statistics_of_the_others_either(layer):
    layer(torch.randn(4, 3, 2, 2))
    mean, var = layer.running_mean.clone(), layer.running_var.clone()
    y, dx, *_ = after_an_empty_batch(layer, torch.randn(4, 3, 2, 2))
    assert y.shape == dx.shape == (0, 3, 2, 2)
    assert torch.equal(layer.running_mean, mean) and torch.equal(layer.running_var, var)


# --- half precision and integers ------------------------------------------------------------------

HALF = {
    "GroupNorm": lambda kind: kind.GroupNorm(2, 4),
    "LayerNorm": lambda kind: kind.LayerNorm((4, 3, 3)),
    "RMSNorm": lambda kind: kind.RMSNorm(3),
    "InstanceNorm2d": lambda kind: kind.InstanceNorm2d(4, affine=True, track_running_stats=True),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", HALF)
def test_half_precision_with_float32_parameters_returns_torchs_dtype(name, dtype, training):
    torch.manual_seed(1)
    x = (100 * torch.randn(3, 4, 3, 3)).to(dtype)
    exact = HALF[name](nn).double().train(training)(x.double())
    for kind in (norms, nn):
        y = HALF[name](kind).train(training)(x)
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", [norms.BatchRenorm2d, norms.NoisyBatchNorm2d])
def test_the_relatives_of_batch_norm_keep_half_precision(kind, dtype, training):
    x = torch.randn(3, 4, 3, 3).to(dtype)
    assert kind(4).train(training)(x).dtype == dtype


@pytest.mark.parametrize(
    "make",
    [
        lambda n: norms.BatchNorm2d(n),
        lambda n: norms.BatchRenorm2d(n),
        lambda n: norms.GroupNorm(n, n),
        lambda n: norms.LayerNorm(n),
        lambda n: norms.RMSNorm((n, n)),
        lambda n: norms.GhostBatchNorm2d(4, n),
    ],
)
def test_numbers_of_features_may_be_numpys(make):
    assert repr(make(np.int64(4))) == repr(make(np.uint8(4))) == repr(make(4))
    with pytest.raises(ValueError):
        make(np.float64(4))
