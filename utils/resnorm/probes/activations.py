"""What each layer puts out in a forward pass, and what the backward pass brings back to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..restoring import buffers_and_gradients_restored
from .hooks import first_tensor, hooks_run, widened
from .selection import select_layers


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer's output looks like, over batch and units.

    Attributes:
        name: of the layer, as in ``named_modules()``.
        mean: of the activations.
        std: standard deviation of the activations, without Bessel's correction.
        rms: root mean square of the activations.
        zeros: fraction of activations that are exactly zero, from 0 to 1 (inactive ReLUs).
        grad_rms: root mean square of the loss gradient with respect to the activations; None
            without a loss, or where no gradient arrives.
    """

    name: str
    mean: float
    std: float
    rms: float
    zeros: float
    grad_rms: float | None


def layer_statistics(
    model: nn.Module,
    x: Tensor,
    layers: Iterable[str | type] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
) -> list[LayerStatistics]:
    """Describe each layer's output in one forward pass, and one backward pass with ``loss``.

    Args:
        model: any module, left as it was found; a layer that runs several times is reported for
            its last run, and one that puts out several tensors for the first of them. A compiled
            model runs eagerly.
        x: input batch, as the model takes it.
        layers: names or classes, see :func:`resnorm.probes.select_layers`.
        loss: maps the model's output to a scalar; None measures no gradients.

    Returns:
        One entry per layer, in the order in which they first run.

    Raises:
        ValueError: the model has no such layer, or one puts out no tensor.
    """
    chosen = select_layers(model, layers)
    statistics: dict[str, LayerStatistics] = {}

    def describe_as(name: str) -> Callable[..., None]:
        # The numbers are taken at once: a later in-place operation may overwrite the tensor.
        def hook(_module: nn.Module, _inputs: tuple, output: object) -> None:
            output = first_tensor(output, f"the output of {name!r}")
            run = statistics[name] = _describe(name, output.detach())

            def add_gradient(grad: Tensor) -> None:
                if statistics[name] is run:  # the layer's last run
                    statistics[name] = replace(run, grad_rms=_rms(grad))

            if output.requires_grad:
                output.register_hook(add_gradient)  # of this output, even if it is overwritten

        return hook

    with buffers_and_gradients_restored(model), torch.set_grad_enabled(loss is not None):
        if loss is not None and x.is_floating_point():
            x = x.detach().requires_grad_()  # gradients reach frozen layers, too
        with hooks_run() as handles:
            for name, module in chosen.items():
                handles.append(module.register_forward_hook(describe_as(name)))
            y = model(x.clone())
        if loss is not None:  # without the hooks, as checkpointed layers run once more
            loss(y).backward()
    return list(statistics.values())


def _describe(name: str, output: Tensor) -> LayerStatistics:
    return LayerStatistics(
        name=name,
        mean=output.mean().item(),
        std=output.std(correction=0).item(),
        rms=_rms(output),
        zeros=(output == 0).double().mean().item(),
        grad_rms=None,
    )


def _rms(x: Tensor) -> float:
    return widened(x).square().mean().sqrt().item()
