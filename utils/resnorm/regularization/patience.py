"""Early stopping with patience."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Patience:
    """Early stopping: keep the best weights, and stop when nothing better came for some epochs.

    After each epoch, :meth:`update` takes an error of the *validation* set. :func:`fit
    <resnorm.train.fit>` does so, and restores the best weights at the end.

    Args:
        epochs: how many epochs in a row may pass without an improvement; at least 1.
        min_delta: an error counts as better only if it is lower than the best by more than this.

    Attributes:
        errors: the errors so far.
        best_epoch: number of epochs after which the error was best; 0 before the first.

    Raises:
        ValueError: ``epochs`` is no positive integer, or ``min_delta`` is negative.

    Source:
        Prechelt (1998), section 2, for the family of such rules.
    """

    def __init__(self, epochs: int = 5, min_delta: float = 0.0) -> None:
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(
                f"epochs is {epochs!r}; it must be a positive int: how many epochs in a row may "
                "pass without an improvement"
            )
        if not min_delta >= 0:
            raise ValueError(f"min_delta is {min_delta!r}; it must be 0 or more")
        self.epochs, self.min_delta = epochs, min_delta
        self.reset()

    def reset(self) -> None:
        """Forget everything, before the first epoch."""
        self.errors: list[float] = []
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}

    @property
    def best(self) -> float:
        """The lowest error that counted as an improvement; infinite before the first epoch."""
        return self.errors[self.best_epoch - 1] if self.best_epoch else float("inf")

    @property
    def exhausted(self) -> bool:
        """Whether to stop."""
        return len(self.errors) - self.best_epoch >= self.epochs

    def update(self, error: float, model: nn.Module) -> bool:
        """Note the error after an epoch, and the weights if it is the best so far.

        Args:
            error: of the validation set; NaN is no improvement.
            model: the network; its parameters and buffers are copied.

        Returns:
            Whether to stop.
        """
        better = error < self.best - self.min_delta
        self.errors.append(error)
        if better:
            self.best_epoch = len(self.errors)
            self.best_weights = {
                name: value.detach().clone() for name, value in model.state_dict().items()
            }
        return self.exhausted

    def restore(self, model: nn.Module) -> None:
        """Give the network its best weights back, running statistics included.

        Args:
            model: the network; it stays as it is if no epoch counted as an improvement.
        """
        if self.best_weights:
            model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, which :meth:`load_state_dict` takes back."""
        return {
            "errors": list(self.errors),
            "best epoch": self.best_epoch,
            "best weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`.

        Args:
            state: errors, best epoch and best weights.
        """
        self.errors = list(state["errors"])
        self.best_epoch = state["best epoch"]
        self.best_weights = dict(state["best weights"])
