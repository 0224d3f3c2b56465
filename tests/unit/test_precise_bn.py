"""Precise statistics: those of all values together, for batch norm and for nothing else."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnorm import norms


@pytest.mark.parametrize("kind", [norms.BatchNorm2d, nn.BatchNorm2d], ids=["ours", "torch's"])
def test_precise_statistics_are_those_of_all_values_together(kind):
    generator = torch.Generator().manual_seed(12)
    data = (
        torch.randn(23, 3, 4, 4, generator=generator, dtype=torch.float64) * 3
        + torch.arange(3.0).view(1, 3, 1, 1) * 100
    )
    data[:5] += 40  # batches that differ: averaging their variances would be wrong
    model = nn.Sequential(kind(3), nn.Dropout(0.5)).double()
    model[0](data[:8])
    counted = model[0].num_batches_tracked.item()
    model.eval()
    model[1].train()
    norms.precise_statistics(model, data.split([5, 1, 16, 1]))
    torch.testing.assert_close(model[0].running_mean, data.mean((0, 2, 3)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model[0].running_var, data.var((0, 2, 3)), rtol=1e-12, atol=1e-12)
    assert [model.training, model[0].training, model[1].training] == [False, False, True]
    assert model[0].num_batches_tracked.item() == counted


def test_precise_statistics_of_a_deeper_layer_see_batch_statistics_before_it():
    torch.manual_seed(13)
    model = nn.Sequential(
        nn.Linear(3, 4), norms.BatchNorm1d(4), nn.ReLU(), norms.BatchNorm1d(4)
    ).double()
    batches = torch.randn(32, 3, dtype=torch.float64).split(16)
    norms.precise_statistics(model, batches)
    with torch.no_grad():
        inner = torch.cat(
            [torch.relu(F.batch_norm(model[0](b), None, None, training=True)) for b in batches]
        )
    torch.testing.assert_close(model[3].running_mean, inner.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model[3].running_var, inner.var(0), rtol=1e-12, atol=1e-12)


def broken_batches():
    yield torch.randn(4, 3)
    raise RuntimeError("the disk is full")


@pytest.mark.parametrize("batches, error", [(broken_batches(), RuntimeError), ([], ValueError)])
def test_precise_statistics_leave_everything_as_it_was_when_they_fail(batches, error):
    model = nn.Sequential(norms.BatchNorm1d(3), nn.Dropout())
    model(torch.randn(4, 3) + 5)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error):
        norms.precise_statistics(model, batches)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    model.eval()(torch.randn(2, 3))  # no hook was left behind that would fail or count
    assert not model[0]._forward_pre_hooks


def test_precise_statistics_refuse_a_model_without_batch_norm():
    with pytest.raises(ValueError, match="no batch norm with running statistics"):
        norms.precise_statistics(
            nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), [torch.zeros(2, 2)]
        )


def tracking(kind):
    return lambda channels: kind(channels, affine=True, track_running_stats=True)


@pytest.mark.parametrize(
    "other",
    [
        tracking(norms.InstanceNorm2d),
        tracking(nn.InstanceNorm2d),
        lambda channels: nn.Sequential(tracking(norms.InstanceNorm2d)(channels), nn.ReLU()),
    ],
    ids=["ours", "torch's", "nested"],
)
def test_precise_statistics_leave_instance_norms_alone(other):
    generator = torch.Generator().manual_seed(14)
    images = torch.randn(8, 3, 4, 4, generator=generator)
    images += 3 * torch.arange(8.0).view(8, 1, 1, 1)  # between images far more than within one
    model = nn.Sequential(norms.BatchNorm2d(3), other(3))
    model(images)
    before = copy.deepcopy(model[1].state_dict())
    norms.precise_statistics(model, [images])
    for name, value in model[1].state_dict().items():
        assert torch.equal(value, before[name]), name
    torch.testing.assert_close(model[0].running_var, images.var((0, 2, 3)))


def test_precise_statistics_of_instance_norms_alone_are_refused():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), tracking(norms.InstanceNorm2d)(3))
    with pytest.raises(ValueError, match="no batch norm"):
        norms.precise_statistics(model, [torch.randn(2, 3, 4, 4)])


@pytest.mark.parametrize("sizes", [[0, 4, 4], [4, 4, 0], [0, 3, 0, 5, 0]])
def test_an_empty_batch_counts_for_nothing(sizes):
    images = 3 * torch.randn(8, 3, 4, 4) + 1
    model = norms.BatchNorm2d(3)
    norms.precise_statistics(model, images.split(sizes))
    torch.testing.assert_close(model.running_mean, images.mean((0, 2, 3)))
    torch.testing.assert_close(model.running_var, images.var((0, 2, 3)))


def test_only_empty_batches_are_no_batches():
    model = norms.BatchNorm2d(3)
    with pytest.raises(ValueError, match="no batch was given, or only empty ones"):
        norms.precise_statistics(model, [torch.zeros(0, 3, 4, 4)] * 2)
    assert torch.equal(model.running_mean, torch.zeros(3))
