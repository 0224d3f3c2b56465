"""The relatives of batch norm: equal to torch's where torch has one, and to one another."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from resnorm import norms

DOUBLE = {"dtype": torch.float64}
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}

#: name -> (ours, torch's), each made for a number of channels and a side length.
PAIRS = {
    "layer norm, per image": lambda c, s: [
        kind((c, s, s), **DOUBLE) for kind in (norms.LayerNorm, nn.LayerNorm)
    ],
    "layer norm, last axis": lambda c, s: [
        kind(s, eps=1e-3, **DOUBLE) for kind in (norms.LayerNorm, nn.LayerNorm)
    ],
    "layer norm, no bias": lambda c, s: [
        kind(s, bias=False, **DOUBLE) for kind in (norms.LayerNorm, nn.LayerNorm)
    ],
    "layer norm, no affine": lambda c, s: [
        kind(s, elementwise_affine=False, **DOUBLE) for kind in (norms.LayerNorm, nn.LayerNorm)
    ],
    "RMS norm": lambda c, s: [
        kind((s, s), eps=1e-5, **DOUBLE) for kind in (norms.RMSNorm, nn.RMSNorm)
    ],
    "RMS norm, eps of the dtype": lambda c, s: [
        kind(s, **DOUBLE) for kind in (norms.RMSNorm, nn.RMSNorm)
    ],
    "group norm, 1 group": lambda c, s: [
        kind(1, c, **DOUBLE) for kind in (norms.GroupNorm, nn.GroupNorm)
    ],
    "group norm, 2 groups": lambda c, s: [
        kind(2, 2 * c, **DOUBLE) for kind in (norms.GroupNorm, nn.GroupNorm)
    ],
    "group norm, no affine": lambda c, s: [
        kind(c, c, affine=False, **DOUBLE) for kind in (norms.GroupNorm, nn.GroupNorm)
    ],
    "instance norm": lambda c, s: [
        kind(c, **DOUBLE) for kind in (norms.InstanceNorm2d, nn.InstanceNorm2d)
    ],
    "instance norm, affine": lambda c, s: [
        kind(c, affine=True, **DOUBLE) for kind in (norms.InstanceNorm2d, nn.InstanceNorm2d)
    ],
    "instance norm, tracking": lambda c, s: [
        kind(c, momentum=0.3, track_running_stats=True, **DOUBLE)
        for kind in (norms.InstanceNorm2d, nn.InstanceNorm2d)
    ],
}


def life(layer, x, dy, training):
    """Output, first and second derivatives, and buffers after one pass."""
    layer.train(training)
    x = x.clone().requires_grad_()
    inputs = [x, *layer.parameters()]
    y = layer(x)
    first = torch.autograd.grad((y * dy).square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [y, *first, *second, *(buffer.clone() for buffer in layer.buffers())]


@pytest.mark.parametrize("pair", PAIRS)
@given(
    n=st.integers(1, 4),
    c=st.integers(1, 5),
    s=st.integers(2, 5),
    training=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_norm_equals_torchs_forward_backward_and_twice(pair, n, c, s, training, seed):
    ours, theirs = PAIRS[pair](c, s)
    g = torch.Generator().manual_seed(seed)
    channels = 2 * c if "2 groups" in pair else c
    x = 3 * torch.randn(n, channels, s, s, generator=g, **DOUBLE) + 1
    dy = torch.randn(x.shape, generator=g, **DOUBLE)
    for parameter in theirs.parameters():
        nn.init.uniform_(parameter, 0.5, 2.0, generator=g)
    ours.load_state_dict(theirs.state_dict())
    for got, want in zip(life(ours, x, dy, True), life(theirs, x, dy, True), strict=True):
        torch.testing.assert_close(got, want, **TOLERANCE)
    for got, want in zip(life(ours, x, dy, training), life(theirs, x, dy, training), strict=True):
        torch.testing.assert_close(got, want, **TOLERANCE)
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("center", [True, False])
def test_the_closed_form_passes_gradcheck_twice(center):
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), **DOUBLE).requires_grad_()
    function = lambda z: norms.StandardizeFunction.apply(z, 1e-5, center)  # noqa: E731
    assert gradcheck(function, (x,)) and gradgradcheck(function, (x,))


def images(n=6, c=4, seed=0):
    return 2 * torch.randn(n, c, 5, 5, generator=torch.Generator().manual_seed(seed), **DOUBLE) + 1


def test_the_family_meets_at_its_ends():
    x = images()
    layer = norms.LayerNorm((4, 5, 5), elementwise_affine=False)
    instance, batch = norms.InstanceNorm2d(4), norms.BatchNorm2d(4, **DOUBLE)
    torch.testing.assert_close(norms.GroupNorm(1, 4, affine=False)(x), layer(x), **TOLERANCE)
    torch.testing.assert_close(norms.GroupNorm(4, 4, affine=False)(x), instance(x), **TOLERANCE)
    torch.testing.assert_close(norms.GhostBatchNorm2d(4, 6, **DOUBLE)(x), batch(x), **TOLERANCE)
    torch.testing.assert_close(norms.GhostBatchNorm2d(4, 1, **DOUBLE)(x), instance(x), **TOLERANCE)
    torch.testing.assert_close(
        norms.BatchRenorm2d(4, r_max=1, d_max=0, **DOUBLE)(x), batch(x), **TOLERANCE
    )


def test_ghost_batches_are_normalized_apart_and_each_moves_the_running_statistics():
    x = images()
    ghost, batch = norms.GhostBatchNorm2d(4, 2, **DOUBLE), norms.BatchNorm2d(4, **DOUBLE)
    parts = torch.cat([batch(part) for part in x.split(2)])
    torch.testing.assert_close(ghost(x), parts, **TOLERANCE)
    torch.testing.assert_close(ghost.running_var, batch.running_var, **TOLERANCE)
    assert ghost.num_batches_tracked == 3


def test_batch_renorm_without_clipping_gives_in_training_what_evaluation_gives():
    layer, x = norms.BatchRenorm2d(4, r_max=1e9, d_max=1e9, **DOUBLE), images()
    layer.running_mean.fill_(0.3)
    layer.running_var.fill_(2.0)
    expected = layer.eval()(x)
    torch.testing.assert_close(layer.train()(x), expected, **TOLERANCE)


def test_a_standardized_filter_has_mean_zero_and_ignores_the_scale_of_its_parameters():
    conv = norms.WeightStandardizedConv2d(4, 6, 3, bias=False, eps=0.0, dtype=torch.float64)
    x = images()
    before = conv(x)
    constant = torch.ones_like(x)
    assert conv(constant).abs().max() < 1e-12  # the mean of each filter over its inputs is zero
    with torch.no_grad():
        conv.weight.mul_(7).add_(3)
    torch.testing.assert_close(conv(x), before, **TOLERANCE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: norms.GroupNorm(3, 8),
            r"num_channels=8 cannot be split into num_groups=3.*one of \[1, 2, 4, 8\]",
        ),
        (
            lambda: norms.GroupNorm(2, 4)(torch.zeros(2, 6, 3, 3)),
            r"takes \(N, 4, \.\.\.\), but was given \(2, 6, 3, 3\)",
        ),
        (
            lambda: norms.GroupNorm(4, 4)(torch.zeros(2, 4, 1, 1)),
            "holds a single value.*Use fewer groups",
        ),
        (lambda: norms.LayerNorm(5)(torch.zeros(2, 4)), r"does not end in \(5,\)"),
        (lambda: norms.LayerNorm(()), "normalized_shape is"),
        (lambda: norms.RMSNorm(4, eps=-1.0), "eps is -1.0"),
        (lambda: norms.InstanceNorm2d(3)(torch.zeros(2, 3, 1, 1)), "more than one position"),
        (
            lambda: norms.GhostBatchNorm2d(3, 4)(torch.zeros(6, 3, 2, 2)),
            "batch of 6 images cannot be split into ghost batches of 4",
        ),
        (lambda: norms.GhostBatchNorm2d(3, 0), "ghost_size is 0"),
        (lambda: norms.BatchRenorm2d(3, r_max=0.5), "r_max=0.5"),
    ],
)
def test_bad_input_is_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- two processes --------------------------------------------------------------------------------


def one_process(rank, address, results):
    """Normalize this process's part of a batch of six, and keep what one big batch must equal."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=rank, world_size=2)
    x, dy = images(), images(seed=1)
    part = slice(0, 4) if rank == 0 else slice(4, 6)  # uneven on purpose
    layer = norms.SyncBatchNorm2d(4, **DOUBLE)
    mine = x[part].clone().requires_grad_()
    if rank == 0:  # alone: evaluation must not wait for the other process
        norms.SyncBatchNorm2d(4, track_running_stats=False, **DOUBLE).eval()(mine)
    y = layer(mine)
    y.backward(dy[part])
    scale, shift = layer.weight.grad.clone(), layer.bias.grad.clone()
    dist.all_reduce(scale), dist.all_reduce(shift)  # what the data-parallel wrapper does
    torch.save(
        [y.detach(), mine.grad, scale, shift, layer.running_mean, layer.running_var],
        f"{results}/{rank}",
    )
    dist.destroy_process_group()


def test_two_processes_equal_one_big_batch_gradients_included(tmp_path):
    mp.spawn(one_process, (str(tmp_path / "address"), str(tmp_path)), nprocs=2)
    x, dy, layer = images().requires_grad_(), images(seed=1), norms.BatchNorm2d(4, **DOUBLE)
    y = layer(x)
    y.backward(dy)
    for rank, part in enumerate((slice(0, 4), slice(4, 6))):
        got = torch.load(tmp_path / str(rank))
        want = [
            y[part].detach(),
            x.grad[part],
            layer.weight.grad,
            layer.bias.grad,
            layer.running_mean,
            layer.running_var,
        ]
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b, **TOLERANCE)


def test_without_a_process_group_it_is_batch_norm():
    x = images()
    torch.testing.assert_close(
        norms.SyncBatchNorm2d(4, **DOUBLE)(x), norms.BatchNorm2d(4, **DOUBLE)(x), **TOLERANCE
    )
