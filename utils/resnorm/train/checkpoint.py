"""Checkpoints: a run that was killed and started again ends as the run that was not."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.tensor_cache import load_checked
from ..regularization import Patience
from ..renaming import replace_whole
from .description import architecture, describe
from .history import History

#: Settings that were added later, with the value that runs of before had; files of runs that have
#: it, too, leave them out.
_OPTIONAL: dict[str, Any] = {"patience": None, "validation": None, "lookahead": None}
_OPTIONAL |= {"norm_bias_rate": 1.0, "train_until": None, "flip": None}


@dataclass
class Checkpoint:
    """Everything that decides how a run continues, and the file that keeps it.

    Attributes:
        path: the file; None keeps nothing.
        settings: what must be equal for a run to be resumed, by name; :func:`describe` turns it
            into plain data, and the architecture of the model is added.
        model: the network.
        optimizer: with its momentum.
        scaler: of the loss, for float16.
        generator: of the order of the examples and the augmentation.
        history: what happened so far.
        patience: of early stopping, with the best weights so far; None if there is none.
    """

    path: str | Path | None
    settings: dict[str, Any]
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    history: History
    patience: Patience | None = None

    def __post_init__(self) -> None:
        if self.path is not None:  # it reads the whole data
            described = describe(self.settings | {"model": architecture(self.model)})
            self.settings = {
                name: value
                for name, value in described.items()
                if name not in _OPTIONAL or value != _OPTIONAL[name]
            }

    def save(self, epoch: int) -> None:
        """Write the file; at any moment a whole checkpoint exists, the previous one or the new one.

        Args:
            epoch: number of epochs that are complete.
        """
        if self.path is None:
            return
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            torch.save(self._state(epoch), part)
            replace_whole(part, path)
        finally:
            with contextlib.suppress(OSError):  # such as that of a read-only folder, once more
                part.unlink(missing_ok=True)

    def load(self) -> int:
        """Restore the state from the file, if there is one. A file that is refused changes nothing.

        Returns:
            The epoch to begin with: 0 if there is no file.

        Raises:
            ValueError: the file is damaged or no checkpoint, or it is of a run with other settings
                or of another model.
            OSError: the run is not finished, and the file cannot be written.
        """
        if self.path is None:
            return 0
        if not Path(self.path).exists():
            self._try_to_write()
            return 0
        try:
            state = load_checked(self.path)
        except PermissionError:
            raise
        except Exception as problem:  # what is raised depends on where the file is damaged
            raise self._refusal(
                f"cannot be read ({type(problem).__name__}): it is cut short, damaged, or no "
                "checkpoint"
            ) from None
        self._check(state)
        if state["epoch"] < self.settings["epochs"]:
            self._try_to_write()

        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["generator"][0])
        for generator, saved in zip(
            own_generators(self.model), state["generator"][1:], strict=True
        ):
            generator.set_state(saved)
        if torch.cuda.is_available() and state["generator of the GPU"] is not None:
            torch.cuda.set_rng_state(state["generator of the GPU"])
        for field, value in state["history"].items():
            setattr(self.history, field, value)
        if self.patience is not None:
            self.patience.load_state_dict(state["patience"])
        return state["epoch"]

    def _try_to_write(self) -> None:
        """Fail now and not after the first epoch."""
        path = Path(self.path or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.touch()
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)

    def _state(self, epoch: int) -> dict[str, Any]:
        optimizer = self.optimizer.state_dict()
        return {
            "run": self.settings,
            "epoch": epoch,
            "model": self.model.state_dict(),
            # Plain numbers, because a schedule may compute with those of NumPy.
            "optimizer": optimizer | {"param_groups": describe(optimizer["param_groups"])},
            "scaler": self.scaler.state_dict(),
            "order": self.generator.get_state(),
            # Of dropout and the like, and of layers that have a generator of their own.
            "generator": [
                torch.get_rng_state(),
                *(generator.get_state() for generator in own_generators(self.model)),
            ],
            "generator of the GPU": (
                torch.cuda.get_rng_state() if torch.cuda.is_available() else None
            ),
            "history": asdict(self.history),
            # Files of runs without early stopping stay as they were before there was any.
            **({} if self.patience is None else {"patience": self.patience.state_dict()}),
        }

    def _check(self, state: Any) -> None:
        """Refuse a state that cannot be restored, before any of it is."""
        own = self._state(0)
        if not isinstance(state, dict) or set(state) | {"patience"} != set(own) | {"patience"}:
            raise self._refusal("is no checkpoint of fit")
        saved, wanted = state["run"], _OPTIONAL | self.settings
        if not isinstance(saved, dict) or set(_OPTIONAL | saved) != set(wanted):
            names = ", ".join(sorted(set(saved) ^ set(self.settings)))
            raise self._refusal(f"is of another version, which kept other settings ({names})")
        saved = _OPTIONAL | saved
        if different := [name for name in wanted if saved[name] != wanted[name]]:
            kind = "model" if "model" in different else "run"
            each = (_difference(name, saved[name], wanted[name]) for name in different)
            raise self._refusal(f"is of another {kind}: {'; '.join(each)}")

        if state["generator of the GPU"] is None or own["generator of the GPU"] is None:
            state = state | {"generator of the GPU": own["generator of the GPU"]}
        there, here = _layout(state), _layout(own)
        if self.patience is not None:  # there are no best weights at the start
            here["patience"]["best weights"] = here["model"]
        if there != here:
            different = [name for name in here if there[name] != here[name]]
            each = (_difference(name, there[name], here[name]) for name in different)
            raise self._refusal(f"does not fit: {'; '.join(each)}")
        if not self._fits_the_optimizer(state["optimizer"]):
            raise self._refusal("does not fit: the momentum is not of these parameters")
        if problem := self._problem_of_values(state):
            raise self._refusal(f"does not fit: {problem}")

    def _problem_of_values(self, state: dict[str, Any]) -> str | None:
        """Say which value no run can have, although its type and shape are right."""
        epoch, epochs = state["epoch"], self.settings["epochs"]
        if type(epoch) is not int or not 1 <= epoch <= epochs:
            return f"the epoch is {epoch}, and must be a whole number from 1 to {epochs}"
        trained = [name for name, p in self.model.named_parameters() if p.requires_grad]
        if broken := [n for n in trained if not state["model"][n].isfinite().all()]:
            return f"the weights {broken[0]} are infinite or NaN"
        moved = trained and not state["scaler"]  # which may have left out every step
        if moved and self.settings["momentum"] and not state["optimizer"]["state"]:
            return "the momentum is missing"
        generators = [self.generator, torch.default_generator, *own_generators(self.model)]
        states = [state["order"], *state["generator"]]
        if torch.cuda.is_available() and state["generator of the GPU"] is not None:
            generators.append(torch.Generator("cuda"))
            states.append(state["generator of the GPU"])
        try:
            for generator, saved in zip(generators, states, strict=True):
                torch.Generator(generator.device).set_state(saved)
        except RuntimeError:
            return "a random state is damaged"
        return None

    def _fits_the_optimizer(self, saved: dict[str, Any]) -> bool:
        groups = self.optimizer.param_groups
        sizes = [len(group["params"]) for group in groups]
        shapes = dict(enumerate(p.shape for group in groups for p in group["params"]))
        return sizes == [len(group["params"]) for group in saved["param_groups"]] and all(
            momentum is None or shapes.get(index) == getattr(momentum, "shape", None)
            for index, entry in saved["state"].items()
            for momentum in entry.values()
        )

    def _refusal(self, reason: str) -> ValueError:
        name = Path(self.path or "").name
        return ValueError(f"the checkpoint {name} {reason}. Choose another file, or delete it")


def own_generators(model: nn.Module) -> list[torch.Generator]:
    """Find the generators that layers have of their own, such as those of noisy batch norms.

    Args:
        model: the network.

    Returns:
        Each generator once, in the order of the modules.
    """
    values = (value for module in model.modules() for value in vars(module).values())
    return list(dict.fromkeys(value for value in values if isinstance(value, torch.Generator)))


def _layout(value: Any) -> Any:
    """Keep the names, the types and the shapes, which two states of one run have in common."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, dict):
        momenta = "state" if "param_groups" in value else None  # there are none at the start
        return {
            name: "dict" if name == momenta and isinstance(item, dict) else _layout(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_layout(item) for item in value if not isinstance(item, float | int)]
    return "number" if isinstance(value, int | float) else type(value).__name__


def _difference(name: str, there: Any, here: Any) -> str:
    """Name the first value, inside of two descriptions, that is another one."""
    if isinstance(there, dict) and isinstance(here, dict):
        key = next(key for key in here | there if there.get(key) != here.get(key))
        return _difference(f"{name}.{key}", there.get(key), here.get(key))
    there, here = (
        value.get("name") or value.get("type") or value if isinstance(value, dict) else value
        for value in (there, here)
    )
    return f"{name} {there!r} there, {here!r} here"
