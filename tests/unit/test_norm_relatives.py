"""Faults that only some relatives of batch norm can have: compiled, distributed, recomputed."""

import copy
from contextlib import nullcontext

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from resnorm import blocks, models, norms

DOUBLE = {"dtype": torch.float64}
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


def images(n=6, seed=0):
    return 2 * torch.randn(n, 4, 5, 5, generator=torch.Generator().manual_seed(seed), **DOUBLE) + 1


# --- weight standardization -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [1, (2, 1), "same"])
def test_a_standardized_convolution_pads_as_torchs_does(mode, padding):
    torch.manual_seed(0)
    ours = norms.WeightStandardizedConv2d(4, 6, 3, padding=padding, padding_mode=mode, **DOUBLE)
    theirs = nn.Conv2d(4, 6, 3, padding=padding, padding_mode=mode, **DOUBLE)
    with torch.no_grad():
        theirs.weight.copy_(norms.standardize(ours.weight, 6, ours.eps))
        theirs.bias.copy_(ours.bias)
    torch.testing.assert_close(ours(images()), theirs(images()), **TOLERANCE)


# --- batch renormalization ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"affine": False, "r_max": 1.5}])
def test_a_compiled_batch_renorm_has_the_gradients_of_the_plain_one(options):
    plain = norms.BatchRenorm2d(4, **options, **DOUBLE)
    plain.running_mean.fill_(0.5)
    plain.running_var.copy_(torch.tensor([0.5, 1.0, 2.0, 4.0]))
    results = []
    for layer in (plain, torch.compile(copy.deepcopy(plain), backend="aot_eager")):
        x = images().requires_grad_()
        y = layer(x)
        y.pow(3).sum().backward()
        results.append(
            [y.detach(), x.grad, *layer.buffers(), *(p.grad for p in layer.parameters())]
        )
    torch.testing.assert_close(*results, **TOLERANCE)


@pytest.mark.parametrize(
    "layer",
    [
        norms.BatchNorm2d(4, momentum=None, **DOUBLE),
        norms.BatchRenorm2d(4, momentum=None, **DOUBLE),
        norms.BatchNorm2d(4, momentum=None, form="naive", dtype=torch.float32),
    ],
    ids=["batch norm", "batch renorm", "naive in float32"],
)
def test_a_compiled_layer_averages_all_batches_equally(layer):
    torch._dynamo.reset()
    compiled, x = torch.compile(copy.deepcopy(layer)), images().to(layer.weight.dtype)
    for shift in range(5):
        layer(x + shift)
        compiled(x + shift)
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2, 3)) + 2)
    torch.testing.assert_close(compiled.running_mean, layer.running_mean)
    torch.testing.assert_close(compiled.running_var, layer.running_var)


def test_batch_renorm_without_running_statistics_is_refused():
    with pytest.raises(ValueError, match=r"track_running_stats is False.*use BatchNorm2d"):
        norms.BatchRenorm2d(4, track_running_stats=False)


# --- noise that is drawn again --------------------------------------------------------------------


def noisy(seed=0):
    return norms.NoisyBatchNorm2d(4, generator=torch.Generator().manual_seed(seed), **DOUBLE)


@pytest.mark.parametrize("passes", [1, 3])
def test_a_recomputed_norm_repeats_its_noise(passes):
    results = []
    for contexts in (None, lambda: (nullcontext(), blocks.Repetition(layer))):  # noqa: B023
        layer, x = noisy(), images().requires_grad_()
        outputs = [
            layer(i * x)
            if contexts is None
            else checkpoint(layer, i * x, use_reentrant=False, context_fn=contexts)
            for i in range(1, passes + 1)
        ]
        sum(y.pow(3).sum() for y in outputs).backward()
        state = layer.noise.generator.get_state()
        results.append([x.grad, layer.weight.grad, *layer.buffers(), state])
    torch.testing.assert_close(*results, **TOLERANCE)


def test_a_checkpointed_densenet_repeats_the_noise_of_its_norms():
    def noisy_with_generator(channels):
        generator = torch.Generator().manual_seed(channels)
        return norms.NoisyBatchNorm2d(channels, generator=generator)

    results = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        options = {"norm": noisy_with_generator, "checkpointed": checkpointed}
        net = models.cifar_densenet(10, 4, True, **options).double()
        net(torch.randn(2, 3, 8, 8, **DOUBLE)).square().sum().backward()
        results.append([*(p.grad for p in net.parameters()), *net.buffers()])
    torch.testing.assert_close(*results, **TOLERANCE)


# --- statistics that moved before the repetition --------------------------------------------------


class Centered(nn.Module):
    """Subtracts a mean that it then replaces by another tensor."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4, 1, 1, **DOUBLE))
        self.register_buffer("nothing", None)

    def forward(self, x):
        y = (x - self.mean) * x
        self.mean = self.mean + x.detach().mean((0, 2, 3)).view(4, 1, 1)
        return y


def frozen():
    """Evaluates with statistics that another pass moves before they are read again."""
    return nn.BatchNorm2d(4, **DOUBLE).eval()


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize(
    "make",
    [lambda: norms.BatchRenorm2d(4, **DOUBLE), Centered, frozen],
    ids=["batch renorm", "centered", "frozen"],
)
def test_a_repetition_reads_the_statistics_of_the_first_pass(make, passes):
    results = []
    for repeated in (False, True):
        layer, x = make(), images().requires_grad_()
        training, total = layer.training, 0
        contexts = lambda: (nullcontext(), blocks.Repetition(layer))  # noqa: B023, E731
        for i in range(1, passes + 1):
            y = (
                checkpoint(layer, i * x, use_reentrant=False, context_fn=contexts)
                if repeated
                else copy.deepcopy(layer)(i * x)
            )
            if not repeated or not training:
                layer.train()(i * x.detach())
                layer.train(training)
            total = total + y.pow(3).sum()
        total.backward()
        results.append([x.grad, *layer.buffers()])
    torch.testing.assert_close(*results, **TOLERANCE)


@pytest.mark.parametrize(
    "depth, growth, bottleneck", [(7, 2, False), (10, 4, False), (16, 4, True)]
)
def test_a_checkpointed_densenet_has_the_gradients_of_batch_renorm(depth, growth, bottleneck):
    results = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        options = {"norm": norms.BatchRenorm2d, "checkpointed": checkpointed}
        net = models.cifar_densenet(depth, growth, bottleneck, **options).double()
        net(torch.randn(2, 3, 8, 8, **DOUBLE)).square().sum().backward()
        results.append([*(p.grad for p in net.parameters()), *net.buffers()])
    torch.testing.assert_close(*results, **TOLERANCE)


# --- several processes ----------------------------------------------------------------------------


def sync_case(rank, case):
    """Run one case on one process; return what one big batch must equal, or the error."""
    part = {"one empty": [slice(0, 6), slice(0, 0)], "other empty": [slice(0, 0), slice(0, 6)]}
    parts = part.get(case, [slice(0, 4), slice(4, 6)])
    if case == "all empty":
        parts = [slice(0, 0), slice(0, 0)]
    x, dy = images()[parts[rank]], images(seed=1)[parts[rank]]
    if case == "one value":
        x, dy = x[: 1 - rank, :, :1, :1], dy[: 1 - rank, :, :1, :1]
    layer = norms.SyncBatchNorm2d(4, affine=case != "in place", **DOUBLE)
    x = x.clone().requires_grad_()
    try:
        y = layer(x)
    except ValueError as error:
        return str(error)
    y = F.relu(y, inplace=case == "in place")
    y.backward(dy)
    return [y.detach(), x.grad, *layer.buffers()]


CASES = ["one empty", "other empty", "all empty", "in place", "one value"]


def one_process(rank, address, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=rank, world_size=2)
    torch.save({case: sync_case(rank, case) for case in CASES}, f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sync")
    mp.spawn(one_process, (str(folder / "address"), str(folder)), nprocs=2)
    return [torch.load(folder / str(rank)) for rank in (0, 1)]


@pytest.mark.parametrize("case", ["one empty", "other empty", "in place"])
def test_processes_with_empty_batches_or_relu_in_place_equal_one_big_batch(two_processes, case):
    x, layer = images().requires_grad_(), nn.BatchNorm2d(4, affine=case != "in place", **DOUBLE)
    y = F.relu(layer(x))
    y.backward(images(seed=1))
    for index, expected in enumerate([y.detach(), x.grad]):
        joined = torch.cat([results[case][index] for results in two_processes])
        torch.testing.assert_close(joined, expected, **TOLERANCE)
    for results in two_processes:
        torch.testing.assert_close(results[case][2:], list(layer.buffers()), **TOLERANCE)


def test_nothing_at_all_moves_no_statistics(two_processes):
    layer = nn.BatchNorm2d(4, **DOUBLE)
    layer(images()[:0])
    for results in two_processes:
        torch.testing.assert_close(results["all empty"][2:], list(layer.buffers()))
        assert results["all empty"][0].shape == (0, 4, 5, 5)


def test_one_value_in_all_processes_together_is_refused_by_each(two_processes):
    for results in two_processes:
        assert "needs more than one value per channel" in results["one value"]
