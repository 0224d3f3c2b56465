"""Building and training a network from a seed, without a trace in torch's global generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from ..data import ImageDataset
from ..train import History, fit

Model = TypeVar("Model", bound=nn.Module)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator for a ``with`` statement, and restore its state afterwards.

    Args:
        seed: the seed of everything that is drawn inside.
    """
    with torch.random.fork_rng():  # of all devices: manual_seed seeds them all
        torch.manual_seed(seed)
        yield


def build_seeded(
    make: Callable[[], Model],
    data: ImageDataset,
    seed: int,
    memory_format: torch.memory_format = torch.channels_last,
) -> Model:
    """Build a network from a seed.

    Args:
        make: builds the network; its random weights come from the seed.
        data: the network is put on the device of these images.
        seed: the seed of the weights.
        memory_format: the memory layout of the weights of convolutions.

    Returns:
        The untrained network.
    """
    with seeded(seed):
        model = make()
    return model.to(data.train_images.device).to(memory_format=memory_format)


def train_seeded(
    make: Callable[[], Model],
    data: ImageDataset,
    seed: int,
    memory_format: torch.memory_format = torch.channels_last,
    **training: Any,
) -> tuple[Model, History]:
    """Build a network from a seed and train it.

    What layers draw in training, such as the blocks that stochastic depth leaves out, comes from
    the same seed: the draws continue where the initial weights ended.

    Args:
        make: builds the network; its random weights come from the seed.
        data: images and labels, see :mod:`resnorm.data`.
        seed: the seed of the weights, of the order of examples, and of what layers draw.
        memory_format: the memory layout of the weights of convolutions.
        **training: further arguments of :func:`resnorm.train.fit`.

    Returns:
        The trained network and the history of its training.
    """
    with seeded(seed):
        model = make().to(data.train_images.device).to(memory_format=memory_format)
        history = fit(model, data, seed=seed, evaluate=False, **training)
    return model, history
