"""Lookahead: weights that follow those of SGD slowly, and take their place now and then."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Lookahead:
    """When the weights are averaged, and how much of the average is kept.

    Every few steps the slow weights become ``d * slow + (1 - d) * fast``, and the fast weights,
    those of SGD, are set to them. The factor ``d`` grows with the progress of the training, so that
    it moves fast at first and averages over many steps at the end.

    Attributes:
        every: number of steps from one average to the next.
        start: fraction of the training that is over when the averaging begins, with the next epoch.
        decay: base of ``d = decay ** every * progress ** power``, in [0, 1].
        power: exponent of the progress.

    Source: Zhang et al. (2019), algorithm 1; the schedule is that of airbench94 (Jordan 2024).
    """

    every: int = 5
    start: float = 0.3
    decay: float = 0.95
    power: float = 3.0

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.decay <= 1:
            raise ValueError(
                f"every is {self.every} and decay is {self.decay}; every must be 1 or more, and "
                "decay must lie in [0, 1]"
            )

    def kept(self, progress: float) -> float:
        """Compute ``d``, the share of the slow weights that an average keeps.

        Args:
            progress: of the training, in (0, 1].

        Returns:
            A number in [0, 1].
        """
        return self.decay**self.every * progress**self.power


class SlowWeights:
    """The slow weights of a training, which begin as those of the model.

    At the end of each epoch the model has the slow weights. So they need no place in a checkpoint:
    a run that is resumed begins with slow weights equal to those of the model, as it ended.

    Args:
        model: the network; all of its floating-point state is averaged, such as running statistics.
        lookahead: when, and how much.
        epochs: epochs of the whole training.
        steps: steps per epoch.
    """

    def __init__(self, model: nn.Module, lookahead: Lookahead, epochs: int, steps: int):
        self.lookahead, self.epochs, self.steps = lookahead, epochs, steps
        self.fast = [value for value in model.state_dict().values() if value.is_floating_point()]
        self.slow = [value.clone() for value in self.fast]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average where it is time to; at the end of an epoch, make both weights equal.

        Args:
            step: number of steps so far, from 1.
        """
        epoch = (step - 1) // self.steps
        averaging = epoch >= self.lookahead.start * self.epochs
        if averaging and step % self.lookahead.every == 0:
            kept = self.lookahead.kept(step / (self.epochs * self.steps))
            for slow, fast in zip(self.slow, self.fast, strict=True):
                fast.copy_(slow.lerp_(fast, 1 - kept))
        if step % self.steps == 0:
            source, target = (self.slow, self.fast) if averaging else (self.fast, self.slow)
            for new, old in zip(source, target, strict=True):
                old.copy_(new)
