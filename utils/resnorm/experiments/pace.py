"""Ending a training that would not be finished in time."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import nn


class TooLongError(RuntimeError):
    """A run would not be finished in time; its state after the last epoch is kept.

    Args:
        seconds: how much longer it takes, by its pace so far; kept as an attribute.
    """

    def __init__(self, seconds: float):
        super().__init__(f"the run takes {seconds / 60:.1f} more minutes")
        self.seconds = seconds


class Pace:
    """Ends a training that would not be finished in time, for ``after_step`` of ``fit``.

    It decides at the first step of an epoch, when the checkpoint of the epoch before is written.
    What comes before the first step, such as compilation, does not count as pace.

    Args:
        steps: the number of steps per epoch.
        epochs: the number of epochs.
        deadline: when the run must be finished, on the clock.
        clock: returns seconds.
    """

    def __init__(
        self, steps: int, epochs: int, deadline: float, clock: Callable[[], float] = time.monotonic
    ):
        self.steps, self.epochs, self.deadline, self.clock = steps, epochs, deadline, clock
        self.first: tuple[int, float] | None = None

    def __call__(self, step: int, model: nn.Module) -> None:
        """Look at the clock.

        Args:
            step: the number of steps so far; a resumed run does not begin at 1.
            model: not used.

        Raises:
            TooLongError: the run would not be finished in time.
        """
        now = self.clock()
        if self.first is None:
            self.first = step, now
        elif (step - 1) % self.steps == 0:
            first_step, start = self.first
            left = (now - start) / (step - first_step) * (self.steps * self.epochs - step)
            if now + left > self.deadline:
                raise TooLongError(left)
