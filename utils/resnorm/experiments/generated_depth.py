"""The recorded run of chapter 1.2: the networks of ``degradation``, with more depths, steps, rates.

The images are generated, so the run needs no data. A minute or two of a page would not hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..data import ImageDataset
from ..ledger import Record
from .degradation import Recipe, page_data, train_one

__all__ = ["ARMS", "Arm", "configuration", "name_of", "page_data", "run"]

QUESTION = (
    "Which depths does the recipe of the chapter's page train, and do more steps or another "
    "learning rate help?"
)
TIME = "a CPU core, half an hour"
#: Steps per epoch: 512 images in batches of 64.
STEPS_PER_EPOCH = 8


@dataclass(frozen=True)
class Arm:
    """A network and its training.

    Attributes:
        kind: one of :data:`resnorm.experiments.degradation.KINDS`.
        depth: the number of layers.
        recipe: the training.
    """

    kind: str
    depth: int
    recipe: Recipe = Recipe()


def name_of(arm: Arm) -> str:
    """Name an arm, such as ``"plain-20, 48 steps, rate 0.1"``.

    Args:
        arm: the arm.

    Returns:
        The name.
    """
    steps = STEPS_PER_EPOCH * arm.recipe.epochs
    return f"{arm.kind}-{arm.depth}, {steps} steps, rate {arm.recipe.lr}"


def _arms() -> dict[str, Arm]:
    """Depth, then steps, then rates; an arm that belongs to two of these comes once."""
    arms = [Arm("plain", depth) for depth in (8, 14, 20, 32)]
    arms += [Arm("residual", depth) for depth in (8, 14, 20, 32, 56)]
    for epochs in (12, 24):
        arms += [Arm("plain", depth, Recipe(epochs=epochs)) for depth in (8, 14, 20)]
    arms.append(Arm("residual", 32, Recipe(epochs=12)))
    for lr in (0.01, 0.03, 0.1, 0.2, 0.4):
        arms += [Arm("plain", depth, Recipe(lr=lr)) for depth in (8, 20)]
    return {name_of(arm): arm for arm in arms}


ARMS: Mapping[str, Arm] = _arms()


def configuration() -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Returns:
        The arms, for the record.
    """
    return {"arms": {name: asdict(arm) for name, arm in ARMS.items()}}


def run(
    record: Record,
    data: ImageDataset,
    seeds: Iterable[int],
    arms: Mapping[str, Arm] = ARMS,
) -> None:
    """Train every arm and seed that the record lacks.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: the images and labels, :func:`resnorm.experiments.degradation.page_data` for the
            record, on the device to train on.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> arm.
    """
    for seed in seeds:
        for name, arm in arms.items():
            if record.has(name, seed):
                continue
            with record.run(name, seed, data.device) as results:
                trained = train_one(arm.kind, arm.depth, data, seed=seed, recipe=arm.recipe)
                results |= {
                    "train error": round(trained.train_error, 2),
                    "test error": round(trained.test_error, 2),
                    "losses": [round(loss, 4) for loss in trained.losses],
                    "steps": len(trained.losses),
                }
