"""What each layer puts out in a forward pass, and what the backward pass brings back to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .restoring import buffers_and_gradients_restored
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
            without a loss.
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
            its last run.
        x: input batch, as the model takes it.
        layers: names or classes, see :func:`resnorm.probes.select_layers`.
        loss: maps the model's output to a scalar; None measures no gradients.

    Returns:
        One entry per layer, in the order in which they first run.

    Raises:
        ValueError: the model has no such layer.
    """
    chosen = select_layers(model, layers)
    outputs: dict[str, Tensor] = {}

    def keep_as(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            if output.requires_grad:
                output.retain_grad()
            outputs[name] = output

        return hook

    handles = [module.register_forward_hook(keep_as(name)) for name, module in chosen.items()]
    with buffers_and_gradients_restored(model):
        try:
            with torch.set_grad_enabled(loss is not None):
                y = model(x)
                if loss is not None:
                    loss(y).backward()
        finally:
            for handle in handles:
                handle.remove()
    return [_describe(name, output.detach(), output.grad) for name, output in outputs.items()]


def _describe(name: str, output: Tensor, grad: Tensor | None) -> LayerStatistics:
    return LayerStatistics(
        name=name,
        mean=output.mean().item(),
        std=output.std(correction=0).item(),
        rms=_rms(output),
        zeros=(output == 0).double().mean().item(),
        grad_rms=None if grad is None else _rms(grad),
    )


def _rms(x: Tensor) -> float:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # 256 squared overflows float16
    return wide.square().mean().sqrt().item()
