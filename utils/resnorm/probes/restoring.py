"""Context managers that leave a model as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, then back in the mode that it was in.

    Args:
        model: any module.
    """
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def buffers_and_gradients_restored(model: nn.Module) -> Iterator[None]:
    """Restore buffers (such as running statistics) and parameter gradients at the end.

    Args:
        model: any module; inside the context its parameters start without gradients.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        for name, parameter in model.named_parameters():
            parameter.grad = grads[name]


@contextmanager
def parameters_restored(model: nn.Module) -> Iterator[list[Tensor]]:
    """Restore the parameters at the end, and hand out copies of them.

    Args:
        model: any module.

    Yields:
        A copy of each parameter, in the order of ``model.parameters()``.
    """
    saved = [parameter.detach().clone() for parameter in model.parameters()]
    try:
        yield saved
    finally:
        with torch.no_grad():
            for parameter, old in zip(model.parameters(), saved, strict=True):
                parameter.copy_(old)
