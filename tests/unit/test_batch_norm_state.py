"""What a batch norm layer keeps: state dicts, copies, devices, its arguments and its repr."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from batch_norm_pairs import OURS, TORCHS, assert_close, pair
from torch import nn

from resnorm import norms


@pytest.mark.parametrize(
    "options", [{}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}]
)
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2)])
def test_state_dicts_pass_both_ways(shape, options):
    ours, theirs, generator = pair(shape, **options)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    ours(x), ours(2 * x)  # so that the statistics are not those of a new layer
    fresh = TORCHS[len(shape)](3, dtype=torch.float64, **options)
    assert list(ours.state_dict()) == list(fresh.state_dict())
    fresh.load_state_dict(ours.state_dict(), strict=True)
    for name, value in ours.state_dict().items():
        assert_close(fresh.state_dict()[name], value, tolerance=0)
    back = OURS[len(shape)](3, dtype=torch.float64, **options)
    back.load_state_dict(fresh.state_dict(), strict=True)
    assert_close(back.eval()(x), ours.eval()(x), tolerance=0)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))],
    ids=["deepcopy", "pickle"],
)
def test_a_copied_layer_is_independent_of_the_original(copied):
    layer, _, generator = pair((4, 3), momentum=None)
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    layer(x)
    other = copied(layer)
    assert_close(other(x + 1), copy.deepcopy(layer)(x + 1), tolerance=0)
    assert layer.num_batches_tracked == 1 and other.num_batches_tracked == 2
    assert not torch.equal(layer.running_mean, other.running_mean)


def test_a_whole_layer_can_be_saved_and_loaded():
    layer, _, _ = pair((4, 3))
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = norms.BatchNorm1d(3, dtype=torch.float64)
    other.load_state_dict(torch.load(file))
    assert_close(other.weight.detach(), layer.weight.detach(), tolerance=0)


def test_to_moves_parameters_and_statistics_but_keeps_the_counter_an_integer():
    layer = norms.BatchNorm2d(3).to(torch.float64)
    assert {t.dtype for t in (layer.weight, layer.bias, layer.running_mean, layer.running_var)} == {
        torch.float64
    }
    assert layer.num_batches_tracked.dtype == torch.long
    meta = norms.BatchNorm2d(3, device="meta")
    assert all(t.device.type == "meta" for t in [*meta.parameters(), *meta.buffers()])
    assert all(t.device.type == "meta" for t in layer.to("meta").state_dict().values())


def test_the_arguments_are_torchs_in_torchs_order_and_ours_by_keyword_only():
    for ours, theirs in ((norms.BatchNorm1d, nn.BatchNorm1d), (norms.BatchNorm2d, nn.BatchNorm2d)):
        mine, reference = (inspect.signature(kind).parameters for kind in (ours, theirs))
        positional = [name for name, p in mine.items() if p.kind is not p.KEYWORD_ONLY]
        assert positional == list(reference)[: len(positional)]
        assert set(mine) - set(reference) == {"form"}
        assert all(mine[name].default == reference[name].default for name in positional)


def test_repr_names_what_torchs_names():
    for options in ({}, {"affine": False, "momentum": None}):
        named = repr(norms.BatchNorm2d(3, **options)).split(", ")
        reference = repr(nn.BatchNorm2d(3, **options)).split(", ")
        assert [
            part for part in reference if not part.startswith("bias=")
        ] == named  # bias= is new in torch 2.14


def test_reset_forgets_every_batch():
    layer, _, generator = pair((4, 3))
    layer(torch.randn(4, 3, generator=generator, dtype=torch.float64) + 7)
    layer.reset_parameters()
    for name, value in norms.BatchNorm1d(3, dtype=torch.float64).state_dict().items():
        assert_close(layer.state_dict()[name], value, tolerance=0)


@pytest.mark.parametrize("momentum", [-1, 1.1, float("nan")])
@pytest.mark.parametrize("cls", [norms.BatchNorm1d, norms.BatchNorm2d, norms.InstanceNorm2d])
def test_a_momentum_that_weighs_nothing_is_refused(cls, momentum):
    with pytest.raises(ValueError, match=f"momentum is {momentum}; .* between 0 and 1, or be None"):
        cls(3, momentum=momentum)


@pytest.mark.parametrize("momentum", [0, 1, 0.1, None])
def test_the_limits_of_the_momentum_are_allowed(momentum):
    assert norms.BatchNorm2d(3, momentum=momentum).momentum == momentum
