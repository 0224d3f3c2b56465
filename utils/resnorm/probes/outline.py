"""What a model consists of: shapes, parameters and multiply-adds, read from the model itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .signals import select_layers


@dataclass(frozen=True)
class Part:
    """One module of a model.

    Attributes:
        name: as in ``named_modules()``.
        kind: name of its class.
        input_shape, output_shape: without the batch; of a list, its last tensor's.
        parameters: trainable ones, its children's included.
        multiply_adds: for one example, of convolutions and linear layers in it.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def multiply_adds(model: nn.Module, x: Tensor) -> int:
    """Multiply-adds of a forward pass in evaluation mode, for one example: of convolutions and linear layers.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.
    """
    return _count(model, x).get_total_flops() // (
        2 * x.shape[0]
    )  # a multiply-add is two operations


def _count(model: nn.Module, x: Tensor) -> FlopCounterMode:
    """A counter that has seen the model run on ``x``; the model is left in the mode it was in."""
    training = model.training
    model.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            model(x)
    finally:
        model.train(training)
    return counter


def outline(model: nn.Module, x: Tensor, layers: Iterable[str | type]) -> list[Part]:
    """Run one batch through the model and describe the modules asked for, in the order in which they run.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.
        layers: names or classes, see :func:`resnorm.probes.select_layers`.

    Raises:
        ValueError: a layer that the model does not have.
    """
    chosen = select_layers(model, layers)
    names = {module: name for name, module in chosen.items()}
    seen: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []

    def note(module: nn.Module, inputs: tuple, output: Tensor | list[Tensor]) -> None:
        output = output[-1] if isinstance(output, (list, tuple)) else output
        seen.append((names[module], tuple(inputs[0].shape[1:]), tuple(output.shape[1:])))

    handles = [module.register_forward_hook(note) for module in chosen.values()]
    try:
        counter = _count(model, x)
    finally:
        for handle in handles:
            handle.remove()
    flops = {
        name.split(".", 1)[-1]: sum(ops.values())
        for name, ops in counter.get_flop_counts().items()
        if "." in name
    }
    return [
        Part(
            name=name,
            kind=type(chosen[name]).__name__,
            input_shape=before,
            output_shape=after,
            parameters=sum(p.numel() for p in chosen[name].parameters()),
            multiply_adds=flops.get(name, 0)
            // (2 * x.shape[0]),  # a multiply-add is two operations
        )
        for name, before, after in seen
    ]
