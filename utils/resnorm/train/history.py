"""What happened in a training, as plain data, and the error when it is not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass
class History:
    """What happened in a training. Two histories are equal if everything but the seconds is.

    Attributes:
        losses: training loss of each minibatch, before its step.
        test_errors: percentage of wrong test images after each epoch, in evaluation mode.
        seconds: training time of each epoch, without compilation and evaluation.
        diverged: whether the loss became infinite or NaN, or the weights were at the end of an
            epoch; training stopped there, at step ``len(losses)``.
    """

    losses: list[float] = field(default_factory=list)
    test_errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)
    diverged: bool = False


class DivergedError(ArithmeticError):
    """The loss or a weight is infinite or NaN.

    Args:
        message: where it happened and what to do.
        history: the history up to and including that loss; kept as an attribute.
    """

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[type[DivergedError], tuple[str, History]]:
        """Say how to make the error again, in another process."""
        return type(self), (str(self), self.history)


class LossMonitor:
    """Writes the losses into the history and stops the training when one is not finite.

    Reading a loss makes the CPU wait for the GPU, so the losses on a GPU are read fifty at a time.

    Args:
        history: where the losses go; it holds those of the epochs before if the run was resumed.
        epochs: epochs of the whole run.
        steps: steps per epoch.
        device: where the losses are computed.
        checkpoint: the run's checkpoint file, for the message; None if there is none.
    """

    def __init__(
        self,
        history: History,
        epochs: int,
        steps: int,
        device: torch.device,
        checkpoint: str | Path | None = None,
    ):
        self.history, self.epochs, self.steps = history, epochs, steps
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.read_every = 1 if device.type == "cpu" else 50
        self.unread: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Take the loss of the next step.

        Args:
            loss: a scalar; only its value is kept.

        Raises:
            DivergedError: this loss, or an earlier one that had not been read yet, is not finite.
        """
        self.unread.append(loss.detach())
        step = len(self.history.losses) + len(self.unread)
        if len(self.unread) == self.read_every or step % self.steps == 0:
            values, self.unread = torch.stack(self.unread).tolist(), []
            for value in values:
                self.history.losses.append(value)
                if not math.isfinite(value):
                    self.history.diverged = True
                    raise DivergedError(self._message(f"the loss is {value}"), self.history)

    def check_weights(self, model: nn.Module) -> None:
        """Look at the weights at the end of an epoch, as a loss shows only those before its step.

        Args:
            model: the network; parameters that are not trained may have any value.

        Raises:
            DivergedError: a weight is infinite or NaN.
        """
        finite = [p.isfinite().all() for p in model.parameters() if p.requires_grad]
        if finite and not torch.stack(finite).all():
            self.history.diverged = True
            raise DivergedError(self._message("a weight is infinite or NaN"), self.history)

    def _message(self, problem: str) -> str:
        step = len(self.history.losses)
        epoch = (step - 1) // self.steps  # complete epochs
        step_of_epoch = step - epoch * self.steps
        if self.checkpoint is None:
            kept = "nothing was kept: give a checkpoint to keep the epochs before"
        elif epoch == 0:
            kept = "there is no checkpoint yet"
        else:
            kept = f"the checkpoint {self.checkpoint.name} of epoch {epoch} is kept"
        before = ", ".join(f"{value:.3g}" for value in self.history.losses[-4:-1]) or "nothing"
        return (
            f"{problem} at step {step} (epoch {epoch + 1} of "
            f"{self.epochs}, step {step_of_epoch} of {self.steps}), after {before}. "
            f"Lower the learning rate, or warm it up; {kept}"
        )
