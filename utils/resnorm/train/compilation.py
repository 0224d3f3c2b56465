"""Compiling a model before the clock starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ..restoring import buffers_and_gradients_restored
from .checkpoint import own_generators


def compile_model(
    model: nn.Module,
    example: Callable[[float], tuple[Tensor, Tensor]],
    moments: list[float],
    autocast: torch.autocast,
    loss: Callable[..., Tensor],
) -> nn.Module:
    """Compile a model, and run forward and backward passes so that no step is slow.

    Afterwards the parameters, the running statistics and every random state are what they were.

    Args:
        model: shares its parameters with the result.
        example: maps the progress of the training to a batch as the training has it then, because
            code is compiled for a shape, a type and a memory layout.
        moments: the progress at which to take a batch, see :func:`first_moments`.
        autocast: the context of the forward pass.
        loss: of the model's output and the labels.

    Returns:
        The compiled model.
    """
    # Each shape gets code of its own. By default torch makes code for any shape after a run with
    # another batch size, and the speed of a run would depend on those before it.
    compiled = cast(nn.Module, torch.compile(model, dynamic=False))
    device = next(model.parameters()).device
    generators = own_generators(model)
    states = [generator.get_state() for generator in generators]
    model.train()
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        buffers_and_gradients_restored(model),
    ):
        for moment in moments:
            images, labels = example(moment)
            with autocast:
                value = loss(compiled(images), labels)
            value.backward()
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
    return compiled


def first_moments(
    image_size: Callable[[float], int] | None, first_step: int, steps: int
) -> list[float]:
    """Find when images of each size come for the first time.

    Args:
        image_size: maps progress to the side of the images; None if they have one size.
        first_step: steps that were done before.
        steps: steps of the whole training.

    Returns:
        The progress of the training at each of these steps, in [0, 1).
    """
    progress = [step / steps for step in range(first_step, steps)]
    if image_size is None:
        return progress[:1]
    first = {image_size(done): done for done in reversed(progress)}
    return sorted(first.values())
