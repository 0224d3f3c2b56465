"""Residual blocks, and the probes that take residual networks apart."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnorm import blocks, models, probes
from resnorm.blocks import PreActBasicBlock, ResidualBlock


def network(order, depth, width, seed, **options):
    """A residual network in float64 and evaluation mode, its norms with statistics of their own."""
    g = torch.Generator().manual_seed(seed)
    net = models.ResidualMLP(width, width, depth, 2, order=order, generator=g, **options).double()
    net(torch.randn(40, width, generator=g, dtype=torch.float64))
    return net.eval(), torch.randn(width, generator=g, dtype=torch.float64)


@given(
    order=st.sampled_from(list(blocks.ORDERS)),
    depth=st.integers(1, 8),
    width=st.integers(2, 5),
    seed=st.integers(0, 999),
)
@settings(max_examples=40)
def test_the_paths_add_up_to_autograds_jacobian(order, depth, width, seed):
    net, x = network(order, depth, width, seed)
    paths = probes.path_jacobians(net.blocks, x)
    whole = torch.autograd.functional.jacobian(lambda z: net.blocks(z[None])[0], x)
    assert len(paths) == 2**depth
    assert (sum(paths.values()) - whole).abs().max() <= 1e-10 * max(1.0, whole.abs().max().item())
    lengths = [len(path) for path in paths]
    assert [lengths.count(k) for k in range(depth + 1)] == [
        math.comb(depth, k) for k in range(depth + 1)
    ]


def test_too_many_blocks_are_counted_and_sampling_is_offered():
    net, x = network("relu_linear", 13, 2, 0)
    with pytest.raises(ValueError, match=r"2\^13 = 8,192 paths.*gradient_by_path_length"):
        probes.path_jacobians(net.blocks, x)


def test_sampled_gradients_by_length_agree_with_enumeration():
    net, x = network("relu_linear", 4, 5, 1)
    dy = torch.randn(1, 5, dtype=torch.float64)
    paths = probes.path_jacobians(net.blocks, x)
    profile = probes.gradient_by_path_length(
        net.blocks, x[None], dy, samples=400, generator=torch.Generator().manual_seed(0)
    )
    for k in range(5):
        exact = torch.stack([(dy[0] @ J).norm() for path, J in paths.items() if len(path) == k])
        assert profile.norms[k].item() == pytest.approx(exact.mean().item(), rel=0.15)
    assert profile.total == pytest.approx((dy[0] @ sum(paths.values())).norm().item())
    with pytest.raises(ValueError, match="between 0 and the number of blocks, 4"):
        probes.gradient_by_path_length(net.blocks, x[None], dy, lengths=[5])


def images():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_lesion_is_the_identity_and_goes_away():
    net = models.SmallResNet(2, widths=(4, 8)).eval()
    before = net(images())
    shortened = copy.deepcopy(net)
    del shortened.blocks[1]
    with probes.lesion(net, ["blocks.1"]):
        torch.testing.assert_close(net(images()), shortened(images()))
    torch.testing.assert_close(net(images()), before)


def test_a_block_that_changes_shape_cannot_be_removed_and_nothing_stays_behind():
    net = models.SmallResNet(2, widths=(4, 8)).eval()
    assert probes.removable(net, images(), PreActBasicBlock) == ["blocks.0", "blocks.1", "blocks.3"]
    before = net(images())
    with (
        pytest.raises(
            ValueError,
            match=r"block 'blocks.2' turns \(2, 4, 8, 8\) into \(2, 8, 4, 4\).*cannot be removed",
        ),
        probes.lesion(net, ["blocks.2"]),
    ):
        net(images())
    torch.testing.assert_close(net(images()), before)
    with (
        pytest.raises(ValueError, match="no block named 'blocks.9'"),
        probes.lesion(net, ["blocks.9"]),
    ):
        pass


def test_blocks_trade_places_and_return():
    net = models.SmallResNet(3, widths=(4, 8)).eval()
    before, first = net(images()), net.blocks[0]
    with probes.permuted(net, {"blocks.0": "blocks.2", "blocks.2": "blocks.0"}):
        assert net.blocks[2] is first
        assert not torch.allclose(net(images()), before)
    torch.testing.assert_close(net(images()), before)
    for places, message in [
        ({"blocks.0": "blocks.1"}, "no permutation"),
        ({"blocks.0": "blocks.4", "blocks.4": "blocks.0"}, "different shapes"),
        ({"blocks.7": "blocks.7"}, "no block named 'blocks.7'"),
    ]:
        with pytest.raises(ValueError, match=message), probes.permuted(net, places):
            pass


def test_subsets_are_all_or_as_many_as_asked_for():
    assert len(probes.subsets("abcd", 2, limit=6)) == 6
    drawn = probes.subsets("abcdefgh", 4, limit=10, generator=torch.Generator().manual_seed(0))
    assert len(drawn) == 10 and all(len(set(s)) == 4 for s in drawn)


def second_moments(order, depth=50, width=512, draws=3, **options):
    """Mean square after each block of a fresh network, averaged over draws: (depth,)."""
    moments = []
    for seed in range(draws):
        g = torch.Generator().manual_seed(seed)
        net = models.ResidualMLP(width, width, depth, 1, order=order, generator=g, **options)
        with torch.no_grad():
            h = net.embed(torch.randn(256, width, generator=g))
            moments.append([(h := block(h)).square().mean().item() for block in net.blocks])
    return torch.tensor(moments, dtype=torch.float64).mean(0)


def test_the_variance_doubles_or_grows_by_one_with_each_block():
    doubling = second_moments("relu_linear")
    assert (doubling[49] / doubling[0]).item() ** (1 / 49) == pytest.approx(2, rel=0.1)
    linear = second_moments("batch_norm_first")
    assert ((linear[49] - linear[0]) / 49).item() == pytest.approx(1, rel=0.1)
    never_negative = second_moments("linear_relu", depth=8)
    assert (never_negative[7] / never_negative[0]).item() ** (1 / 7) > 2.5


def lively(block):
    """The block in evaluation mode, its norms with statistics, scales and shifts of their own."""
    g = torch.Generator().manual_seed(5)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.detach().uniform_(0.5, 1.5, generator=g)
    return block.eval()


@pytest.mark.parametrize("raw", [False, True], ids=["activated", "raw"])
@pytest.mark.parametrize("channels, stride", [(4, 1), (6, 1), (4, 2)])
def test_a_preactivation_block_is_its_shortcut_plus_its_branch(raw, channels, stride):
    block = lively(PreActBasicBlock(4, channels, stride, raw_projection=raw))
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    activated = F.relu(block.bn1(x))
    if (channels, stride) == (4, 1):
        shortcut = x
    else:
        shortcut = F.conv2d(x if raw else activated, block.projection.weight, stride=stride)
    branch = block.conv2(F.relu(block.bn2(block.conv1(activated))))
    torch.testing.assert_close(block.shortcut(x), shortcut)
    torch.testing.assert_close(block.branch(x), branch)
    torch.testing.assert_close(block(x), shortcut + branch)


def test_a_plain_preactivation_block_is_its_branch_and_starts_from_the_same_weights():
    made = []
    for residual in (True, False):
        torch.manual_seed(0)
        made.append(lively(PreActBasicBlock(4, 6, 2, residual=residual, he_init=True)))
    block, plain = made
    assert all(map(torch.equal, block.state_dict().values(), plain.state_dict().values()))
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain(x), block.branch(x))
    assert not torch.equal(plain(x), block(x))


def test_he_init_sets_the_variance_of_both_convolutions_by_fan_in():
    torch.manual_seed(0)
    block = PreActBasicBlock(32, 64, he_init=True)
    assert block.conv1.weight.var().item() == pytest.approx(2 / (9 * 32), rel=0.05)
    assert block.conv2.weight.var().item() == pytest.approx(2 / (9 * 64), rel=0.05)


def test_a_dropped_branch_leaves_its_running_statistics_alone():
    torch.manual_seed(0)
    block, x = PreActBasicBlock(4, 4, survival=0.5), torch.randn(8, 4, 6, 6)
    used = sum(not torch.equal(block(x), x) for _ in range(20))
    assert 0 < used < 20
    assert block.bn1.num_batches_tracked == block.bn2.num_batches_tracked == used


def test_skip_init_starts_at_the_identity_and_trains_away_from_it():
    block, x = ResidualBlock(6, "full_preactivation", skip_init=True), torch.randn(8, 6)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.skip_scale.grad.abs() > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResidualBlock(4, "relu"), "order is 'relu'; it must be one of linear_relu"),
        (lambda: ResidualBlock(4, normalize=True, skip_init=True), "contradict"),
        (
            lambda: PreActBasicBlock(4, 4, survival=0),
            r"survival=0 is not a probability in \(0, 1\]",
        ),
        (lambda: PreActBasicBlock(4, 4, survival=1.5), "survival=1.5 is not a probability"),
        (
            lambda: PreActBasicBlock(4, 4, survival=0.5, residual=False),
            "survival=0.5 and residual=False contradict",
        ),
    ],
)
def test_a_block_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
