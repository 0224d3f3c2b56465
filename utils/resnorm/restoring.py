"""Context managers that leave a model as they found it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def modes_restored(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module at the end: some may be frozen while the rest trains.

    A module with a ``train`` of its own is called, because that may change more than the mode.

    Args:
        model: any module.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        # Parents come before their children, whose modes a train() of their own changes too.
        for module, training in modes:
            if module.training != training and type(module).train is not nn.Module.train:
                module.train(training)  # it may do more, such as split weights that eval() merged
            module.training = training


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, then every module back in the mode that it was in.

    Args:
        model: any module.
    """
    with modes_restored(model):
        model.eval()
        yield


@contextmanager
def buffers_restored(*modules: nn.Module) -> Iterator[None]:
    """Restore buffers (such as running statistics) at the end.

    Args:
        *modules: any modules; the buffers of their children are restored too.
    """
    saved = [{name: buffer.clone() for name, buffer in m.named_buffers()} for m in modules]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, old in zip(modules, saved, strict=True):
                for name, buffer in module.named_buffers():
                    buffer.copy_(old[name])


@contextmanager
def buffers_and_gradients_restored(model: nn.Module) -> Iterator[None]:
    """Restore buffers and the gradients of parameters at the end.

    Args:
        model: any module; inside the context its parameters start without gradients.
    """
    grads = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in grads:
        parameter.grad = None
    try:
        with buffers_restored(model):
            yield
    finally:
        for parameter, grad in grads:
            parameter.grad = grad


@contextmanager
def parameters_restored(parameters: Iterable[nn.Parameter]) -> Iterator[list[Tensor]]:
    """Restore parameters at the end, and hand out copies of them.

    Args:
        parameters: all parameters of a model, or some. A forward pass from before can still be
            differentiated afterwards if they were changed through ``parameter.data``.

    Yields:
        A copy of each parameter.
    """
    parameters = list(parameters)
    saved = [parameter.detach().clone() for parameter in parameters]
    try:
        yield saved
    finally:
        for parameter, old in zip(parameters, saved, strict=True):
            parameter.data.copy_(old)  # unlike a copy to the parameter itself, autograd allows it
