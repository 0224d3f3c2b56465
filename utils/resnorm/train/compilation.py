"""Compiling a model before the clock starts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ..data import ImageDataset


def compile_model(
    model: nn.Module,
    data: ImageDataset,
    batch_size: int,
    autocast: torch.autocast,
    loss: Callable[..., Tensor],
) -> nn.Module:
    """Compile a model, and run one forward and backward pass so that the first step is not slow.

    Args:
        model: shares its parameters with the result; parameters and running statistics are the
            same afterwards.
        data: the training images; the first batch is used.
        batch_size: images per batch, because code is compiled for one shape.
        autocast: the context of the forward pass.
        loss: of the model's output and the labels.

    Returns:
        The compiled model.
    """
    before = copy.deepcopy(model.state_dict())  # running statistics move in training mode
    compiled = cast(nn.Module, torch.compile(model))
    model.train()
    with autocast:
        loss(compiled(data.train_images[:batch_size]), data.train_labels[:batch_size]).backward()
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return compiled
