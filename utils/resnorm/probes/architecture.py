"""What a model consists of: shapes, parameters and multiply-adds, read from the model itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..restoring import evaluation_mode
from .selection import select_layers

#: A multiply-add is two floating-point operations.
FLOPS_PER_MULTIPLY_ADD = 2


@dataclass(frozen=True)
class Part:
    """One module of a model.

    Attributes:
        name: as in ``named_modules()``.
        kind: name of its class.
        input_shape: of its first input, without the batch axis.
        output_shape: without the batch axis; where the output is a list, of its last tensor.
        parameters: number of its parameters, its children's included.
        multiply_adds: for one example, of the convolutions and linear layers in it.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def multiply_adds(model: nn.Module, x: Tensor) -> int:
    """Count the multiply-adds of a forward pass in evaluation mode, for one example.

    Only convolutions and linear layers count.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.

    Returns:
        Multiply-adds per example.
    """
    flops = _count_flops(model, x).get_total_flops()
    return flops // (FLOPS_PER_MULTIPLY_ADD * x.shape[0])


def outline(model: nn.Module, x: Tensor, layers: Iterable[str | type]) -> list[Part]:
    """Run one batch through the model and describe the chosen modules in the order they run.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.
        layers: names or classes, see :func:`resnorm.probes.select_layers`.

    Returns:
        One part per run of a chosen module.

    Raises:
        ValueError: the model has no such layer.
    """
    chosen = select_layers(model, layers)
    names = {module: name for name, module in chosen.items()}
    shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []

    def note(module: nn.Module, inputs: tuple, output: Tensor | Sequence[Tensor]) -> None:
        last = output if isinstance(output, Tensor) else output[-1]
        shapes.append((names[module], tuple(inputs[0].shape[1:]), tuple(last.shape[1:])))

    handles = [module.register_forward_hook(note) for module in chosen.values()]
    try:
        counter = _count_flops(model, x)
    finally:
        for handle in handles:
            handle.remove()
    # The counter names modules from the model's class down: "ResNet.layer1.0".
    flops = {
        name.split(".", 1)[-1]: sum(counts.values())
        for name, counts in counter.get_flop_counts().items()
        if "." in name
    }
    return [
        Part(
            name=name,
            kind=type(chosen[name]).__name__,
            input_shape=before,
            output_shape=after,
            parameters=sum(p.numel() for p in chosen[name].parameters()),
            multiply_adds=flops.get(name, 0) // (FLOPS_PER_MULTIPLY_ADD * x.shape[0]),
        )
        for name, before, after in shapes
    ]


def _count_flops(model: nn.Module, x: Tensor) -> FlopCounterMode:
    """Return a counter that has seen the model run on ``x`` in evaluation mode."""
    counter = FlopCounterMode(display=False)
    with evaluation_mode(model), torch.no_grad(), counter:
        model(x)
    return counter
