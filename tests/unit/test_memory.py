"""Counting memory: what autograd keeps, and the most that is alive at once."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from resnorm.probes import peak_bytes, saved_bytes


def test_kept_bytes_count_each_piece_of_memory_once():
    x = torch.randn(1000, requires_grad=True)
    assert saved_bytes(lambda: x * x) == 4000  # kept twice, one piece
    assert saved_bytes(lambda: (2 * x).sin().cos()) == 8000
    assert saved_bytes(lambda: x + 1) == 0


def test_the_peak_counts_what_is_alive_together():
    x = torch.randn(1000)
    assert peak_bytes(lambda: x + 1) == 4000
    assert peak_bytes(lambda: ((x + 1) + 2) + 3) == 8000  # a result beside its argument, no more
    assert peak_bytes(lambda: [x + i for i in range(5)]) == 20_000
    assert peak_bytes(lambda: x.view(10, 100).t()) == 0  # no new memory
    assert peak_bytes(lambda: x.add_(1)) == 0


def test_checkpointing_lowers_the_peak():
    x = torch.randn(1000, requires_grad=True)

    def chain(x):
        for _ in range(10):
            x = x.sin()
        return x

    def twice(run):
        run(run(x)).sum().backward()

    kept = peak_bytes(lambda: twice(chain))
    recomputed = peak_bytes(lambda: twice(lambda y: checkpoint(chain, y, use_reentrant=False)))
    assert kept > 19 * 4000
    assert recomputed < 0.7 * kept


def test_the_meta_device_counts_the_same():
    def peak(device):
        with torch.device(device):
            layer, x = torch.nn.Conv2d(3, 8, 3, padding=1), torch.randn(2, 3, 8, 8)
            return peak_bytes(lambda: layer(x).sin().square().sum().backward())

    assert peak("meta") == peak("cpu") > 0


@pytest.mark.parametrize(
    "layers",
    [
        [torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)],
        [torch.nn.Linear(5, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU()],
        [torch.nn.Sigmoid(), torch.nn.Tanh()],
    ],
    ids=["linear", "norm", "activations"],
)
def test_the_meta_device_keeps_the_same(layers):
    def kept(device):
        net = torch.nn.Sequential(*layers).to(device)
        x = torch.empty(9, 5, device=device, requires_grad=True)
        return saved_bytes(lambda: net(x))

    assert kept("cpu") == kept("meta") > 0
