"""Probes of networks whose layers overwrite their inputs: what is measured is what was put out."""

import pytest
import torch
from torch import nn

from resnorm import models, probes


def batch(n, d=3, seed=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relus(net, inplace):
    """The network with every ReLU module in place, or none."""
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = inplace
    return net


def small_convnet():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3),
        nn.ReLU(),
        nn.Flatten(),
    )


def twins():
    """Networks whose activations are overwritten, and the same networks in which none is."""
    torch.manual_seed(0)
    images, x, linear = torch.randn(4, 3, 6, 6), torch.randn(4, 3), nn.Linear(3, 5)
    clipped = nn.Sequential(linear, nn.Hardtanh(-0.2, 0.2), nn.Dropout(0))
    overwritten = nn.Sequential(linear, nn.Hardtanh(-0.2, 0.2, inplace=True), nn.Dropout(0, True))
    return [
        (relus(small_convnet(), True), relus(small_convnet(), False), images),
        (overwritten, clipped, x),
        (nn.Sequential(nn.ReLU(inplace=True), linear), nn.Sequential(nn.ReLU(), linear), x),
    ]


@pytest.mark.parametrize("inplace, separate, x", twins(), ids=["convolutions", "linear", "input"])
def test_layer_statistics_are_those_before_an_in_place_operation(inplace, separate, x):
    given = x.clone()
    for loss in (None, lambda y: y.square().sum()):
        assert probes.layer_statistics(inplace, x, loss=loss) == probes.layer_statistics(
            separate, x, loss=loss
        )
    assert torch.equal(x, given)  # the caller's batch is the caller's


def test_layer_statistics_of_a_norm_are_not_those_of_the_relu_after_it():
    torch.manual_seed(0)
    (norm,) = probes.layer_statistics(
        models.cifar_resnet(8),
        torch.randn(8, 3, 16, 16),
        ["layer1.0.bn1"],
        lambda y: y.square().sum(),
    )
    assert norm.mean == pytest.approx(0, abs=1e-6) and norm.std == pytest.approx(1, abs=1e-3)
    assert norm.zeros == 0 and norm.grad_rms > 0


def test_a_layer_that_runs_twice_is_reported_for_its_last_run():
    torch.manual_seed(0)
    layer = nn.Linear(3, 3).double()
    (both,) = probes.layer_statistics(
        nn.Sequential(layer, nn.ReLU(), layer), batch(8, 3), [nn.Linear], lambda y: 3 * y.sum()
    )
    last = layer(layer(batch(8, 3)).relu())
    assert both.rms == pytest.approx(last.square().mean().sqrt().item())
    assert both.grad_rms == pytest.approx(3)


def overwriting(block):
    """The block after an operation that overwrites what it is given."""
    return nn.Sequential(nn.ReLU(inplace=True), block)


@pytest.mark.parametrize(
    "block, x",
    [
        (nn.Linear(3, 3), torch.randn(4, 3)),
        (nn.Conv2d(2, 2, 3, padding=1), torch.randn(1, 2, 5, 5)),
        (nn.Identity(), torch.randn(2, 2)),
    ],
    ids=["linear", "convolution", "identity"],
)
def test_a_removed_block_hands_on_its_input_though_it_overwrites_it(block, x):
    model, given = nn.Sequential(nn.Identity(), overwriting(block)), x.clone()
    with probes.lesion(model, ["1"]):
        assert torch.equal(model(x), given)
    assert torch.equal(x, given)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_paths_are_those_of_the_input_though_a_block_overwrites_it():
    torch.manual_seed(0)
    layers = [nn.Linear(3, 3).double() for _ in range(2)]
    inplace = [nn.Sequential(nn.ReLU(inplace=True), layer) for layer in layers]
    separate = [nn.Sequential(nn.ReLU(), layer) for layer in layers]
    x = torch.tensor([1.0, -1.0, -2.0], dtype=torch.float64)  # of which a ReLU overwrites two
    given = x.clone()
    ours, theirs = (probes.path_jacobians(blocks, x) for blocks in (inplace, separate))
    assert ours.keys() == theirs.keys() and torch.equal(x, given)
    assert all(torch.equal(ours[path], theirs[path]) for path in ours)
    one, other = (
        probes.gradient_by_path_length(
            blocks, batch(4, 3), batch(4, 3, seed=2), samples=2, generator=torch.Generator()
        )
        for blocks in (inplace, separate)
    )
    assert torch.equal(one.norms, other.norms) and one.total == other.total
