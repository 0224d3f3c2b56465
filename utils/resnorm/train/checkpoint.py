"""Checkpoints: a run that was killed and started again ends as the run that was not."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .history import History


@dataclass
class Checkpoint:
    """Everything that decides how a run continues, and the file that keeps it.

    Attributes:
        path: the file; None keeps nothing.
        settings: what must be equal for a run to be resumed, by name.
        model: the network.
        optimizer: with its momentum.
        scaler: of the loss, for float16.
        generator: of the order of the examples and the augmentation.
        history: what happened so far.
    """

    path: str | Path | None
    settings: dict[str, Any]
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    history: History

    def save(self, epoch: int) -> None:
        """Write the file; at any moment a whole checkpoint exists, the previous one or the new one.

        Args:
            epoch: number of epochs that are complete.
        """
        if self.path is None:
            return
        cuda = torch.cuda.is_available()
        state = {
            "run": self.settings,
            "epoch": epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": self.generator.get_state(),
            "generator": torch.get_rng_state(),  # of dropout and the like
            "generator of the GPU": torch.cuda.get_rng_state() if cuda else None,
            "history": asdict(self.history),
        }
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            torch.save(state, part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def load(self) -> int:
        """Restore the state from the file, if there is one.

        Returns:
            The epoch to begin with: 0 if there is no file.

        Raises:
            ValueError: the file is of a run with other settings, or of another model.
        """
        if self.path is None or not Path(self.path).exists():
            return 0
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        name = Path(self.path).name
        self._check_settings(name, state["run"])
        self._load_model(name, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["generator"])
        if torch.cuda.is_available() and state["generator of the GPU"] is not None:
            torch.cuda.set_rng_state(state["generator of the GPU"])
        for field, value in state["history"].items():
            setattr(self.history, field, value)
        return state["epoch"]

    def _check_settings(self, file: str, saved: dict[str, Any]) -> None:
        different = [
            f"{name} {saved.get(name)!r} there, {value!r} here"
            for name, value in self.settings.items()
            if saved.get(name) != value
        ]
        if different:
            raise ValueError(
                f"the checkpoint {file} is of another run: {'; '.join(different)}. "
                "Choose another file, or delete it"
            )

    def _load_model(self, file: str, weights: dict[str, Any]) -> None:
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as problem:
            difference = str(problem).splitlines()[1].strip()  # the first of torch's list
            raise ValueError(
                f"the checkpoint {file} is of another model: {difference} "
                "Choose another file, or delete it"
            ) from None
