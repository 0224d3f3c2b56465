"""A training step of each model beside torchvision's, and DenseNet with checkpointing."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from resnorm import models
from resnorm.probes import peak_bytes

from .measure import interleaved

NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
)
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}
BATCH, SIZE = 4, 64
TIME_TARGET = 1.05
#: depth, growth rate; memory and time of the checkpointed network over the other's.
DENSENET, MEMORY_TARGET, CHECKPOINT_TIME_TARGET = (100, 12), 0.55, 1.4


def training_step(model: nn.Module, x: torch.Tensor, t: torch.Tensor) -> Callable[[], None]:
    """Make a function that runs forward, backward and an SGD step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), t).backward()
        optimizer.step()

    return step


def run(rounds: int) -> list[str]:
    """Print the tables; returns the targets that were missed."""
    missed: list[str] = []
    generator = torch.Generator().manual_seed(0)
    compare_with_torchvision(rounds, generator, missed)
    compare_checkpointing(rounds, generator, missed)
    return missed


def compare_with_torchvision(rounds: int, generator: torch.Generator, missed: list[str]) -> None:
    """Time a training step of each model beside torchvision's."""
    t = torch.randint(10, (BATCH,), generator=generator)
    print(
        f"Training step, batch {BATCH} x 3 x {SIZE} x {SIZE}, float32, one thread: "
        "median ratio to torchvision's"
    )
    print(f"{'model':<20}{'memory':<15}{'time':>8}{'+-':>7}{'noise':>8}  target")
    for name in NAMES:
        for layout, memory in LAYOUTS.items():
            x = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
            x = x.contiguous(memory_format=memory)
            steps = {}
            for arm, source in (
                ("theirs", torchvision.models),
                ("again", torchvision.models),
                ("ours", models),
            ):
                model = getattr(source, name)(num_classes=10).to(memory_format=memory)
                steps[arm] = training_step(model, x, t)
                steps[arm]()  # the allocator settles
            times = interleaved(steps, "theirs", rounds)
            ratio, spread = times["ours"]
            noise = times["again"][0]
            verdict = judge(f"{name}, {layout}: time", ratio, TIME_TARGET, missed)
            print(f"{name:<20}{layout:<15}{ratio:>8.2f}{spread:>7.2f}{noise:>8.2f}  {verdict}")


def compare_checkpointing(rounds: int, generator: torch.Generator, missed: list[str]) -> None:
    """Measure memory and time of DenseNet with and without checkpointing."""
    depth, growth_rate = DENSENET
    x = torch.randn(16, 3, 32, 32, generator=generator)
    t = torch.randint(10, (16,), generator=generator)
    steps, peaks = {}, {}
    for checkpointed in (False, True):
        model = models.cifar_densenet(depth, growth_rate, True, 0.5, checkpointed=checkpointed)
        steps[checkpointed] = training_step(model, x, t)
        steps[checkpointed]()
        peaks[checkpointed] = peak_bytes(steps[checkpointed])
    memory_ratio = peaks[True] / peaks[False]
    ratio, spread = interleaved(steps, False, rounds)[True]
    print(
        f"DenseNet-BC-{depth}, k = {growth_rate}, checkpointed over not: "
        f"memory {memory_ratio:.2f}, time {ratio:.2f} +- {spread:.2f}"
    )
    judge("checkpointed DenseNet: memory", memory_ratio, MEMORY_TARGET, missed)
    judge("checkpointed DenseNet: time", ratio, CHECKPOINT_TIME_TARGET, missed)


def judge(what: str, value: float, target: float, missed: list[str]) -> str:
    """``<= target: ok``, or MISSED, which is appended to ``missed``."""
    if value > target:
        missed.append(f"{what} {value:.2f} > {target}")
    return f"<= {target}: {'ok' if value <= target else 'MISSED'}"
