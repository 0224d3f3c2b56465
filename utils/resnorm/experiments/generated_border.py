"""The recorded run of an exercise of chapter 3.6: how large should the border weights be?

U-Nets of the chapter's page, trained with clipped gradients at one learning rate and with pixel
weights that differ in the factor of the border term only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..data import Cells
from ..ledger import Record
from ..segmentation import border_weights
from . import generated_skips, segmentation
from .generated_cells import SIGMA, judge, page_data
from .parts import Parts

__all__ = ["page_data"]

QUESTION = (
    "On generated cells, how do the IoU and the number of cells found depend on the weight of the "
    "border, when gradients are clipped?"
)
TIME = "a CPU core, three minutes"
#: How the networks are trained.
TRAINING = generated_skips.Arm(skips=True, training="SGD, clipped", lr=3.2)
#: name -> factor of the border term; None weighs all pixels alike. A factor of 0 leaves the weights
#: of the classes.
ARMS: Mapping[str, float | None] = {
    "equal weights": None,
    **{f"w0 = {w0}": float(w0) for w0 in (0, 3, 10, 30, 100)},
}


def pixel_weights(w0: float | None, instances: Tensor) -> Tensor:
    """Compute the weights of pixels, with mean 1, so that a learning rate means the same for all.

    Args:
        w0: the factor of the border term; None weighs all pixels alike.
        instances: (n, H, W) int64, 0 for background, cells numbered.

    Returns:
        (n, H, W) float32.
    """
    if w0 is None:
        return torch.ones(instances.shape)
    weights = border_weights(instances, w0, SIGMA)
    return weights / weights.mean()


def configuration() -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Returns:
        The settings and the arms, for the record.
    """
    return {
        "training": TRAINING.training,
        "lr": TRAINING.lr,
        "longest gradient": generated_skips.LONGEST_GRADIENT,
        "sigma": SIGMA,
        "arms": dict(ARMS),
    }


def run(
    record: Record,
    data: Parts[Cells],
    seeds: Iterable[int],
    arms: Mapping[str, float | None] = ARMS,
    epochs: int | None = None,
) -> None:
    """Train every arm and seed that the record lacks.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: the images.
        seeds: the seeds of the weights and of the order of examples.
        arms: name -> factor of the border term.
        epochs: passes over the training images; None takes those of the training.
    """
    training = data.training
    for seed in seeds:
        for name, w0 in arms.items():
            if record.has(name, seed):
                continue
            with record.run(name, seed, data.device) as results:
                weights = pixel_weights(w0, training.instances)
                model = generated_skips.train_one(
                    TRAINING, training, seed=seed, epochs=epochs, weights=weights
                )
                mask = segmentation.predict(model, data.test.images)
                results |= judge(mask, data.test)
