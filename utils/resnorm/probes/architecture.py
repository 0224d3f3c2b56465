"""What a model consists of: shapes, parameters and multiply-adds, read from the model itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..restoring import evaluation_mode
from .hooks import first_tensor, hooks_run
from .selection import select_layers

#: A multiply-add is two floating-point operations.
FLOPS_PER_MULTIPLY_ADD = 2


@dataclass(frozen=True)
class Part:
    """One run of a module of a model.

    Attributes:
        name: as in ``named_modules()``.
        kind: name of its class.
        input_shape: of its first input tensor, without the batch axis.
        output_shape: without the batch axis; where the output is a list, of its last tensor.
        parameters: number of its parameters, its children's included.
        multiply_adds: of this run, for one example, of the convolutions and matrix products in it.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def multiply_adds(model: nn.Module, x: Tensor) -> int:
    """Count the multiply-adds of a forward pass in evaluation mode, for one example.

    Convolutions and matrix products count, those of linear layers and of attention among them;
    nothing else does.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.

    Returns:
        Multiply-adds per example.
    """
    counter = FlopCounterMode(display=False)
    with evaluation_mode(model), torch.no_grad(), counter:
        model(x)
    return _per_example(counter, x)


def outline(model: nn.Module, x: Tensor, layers: Iterable[str | type]) -> list[Part]:
    """Run one batch through the model and describe the chosen modules in the order they run.

    Args:
        model: any module; on the meta device nothing is computed, only shapes.
        x: a batch, on the model's device.
        layers: names or classes, see :func:`resnorm.probes.select_layers`.

    Returns:
        One part per run of a chosen module.

    Raises:
        ValueError: the model has no such layer, or one takes or returns no tensor.
    """
    chosen = select_layers(model, layers)
    names = {module: name for name, module in chosen.items()}
    counter = FlopCounterMode(display=False)
    before: list[int] = []  # the counts at the start of the modules that are running
    parts: list[Part] = []

    def start(_module: nn.Module, _inputs: tuple) -> None:
        before.append(_per_example(counter, x))

    def note(module: nn.Module, inputs: tuple, output: object) -> None:
        name = names[module]
        last = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)][-1:]
        parts.append(
            Part(
                name=name,
                kind=type(module).__name__,
                input_shape=tuple(first_tensor(inputs, f"the input of {name!r}").shape[1:]),
                output_shape=tuple(first_tensor(last, f"the output of {name!r}").shape[1:]),
                parameters=sum(p.numel() for p in module.parameters()),
                multiply_adds=_per_example(counter, x) - before.pop(),
            )
        )

    with hooks_run() as handles, evaluation_mode(model), torch.no_grad(), counter:
        for module in chosen.values():
            handles.append(module.register_forward_pre_hook(start))
            handles.append(module.register_forward_hook(note))
        model(x)
    return parts


def _per_example(counter: FlopCounterMode, x: Tensor) -> int:
    """Return the multiply-adds that were counted, for one of the examples in ``x``."""
    return counter.get_total_flops() // (FLOPS_PER_MULTIPLY_ADD * x.shape[0])
