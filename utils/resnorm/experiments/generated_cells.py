"""The recorded run of chapter 3.6: what skips and pixel weights do for a U-Net.

The cells are those of the chapter's page (:mod:`resnorm.experiments.segmentation`), so the run
needs no data. Each network and each loss has several learning rates. They are chosen on images that
serve for nothing else, once by the IoU and once by the F1 of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Cells, cells
from ..models import UNet
from ..segmentation import border_weights, iou, object_f1
from . import segmentation
from .choice import choose
from .parts import Parts
from .searched import NamedArm, Search, named

QUESTION = (
    "On generated cells, what are a U-Net's skips worth at equal numbers of parameters, and is it "
    "the border term, the balance of the classes or the place of the weight that separates cells?"
)
TIME = "a CPU core, five minutes"
RATES = (0.4, 0.8, 1.6, 3.2)
#: Without skips, larger rates leave the masks empty.
RATES_WITHOUT_SKIPS = (0.025, 0.05, 0.1, 0.2)
#: What chooses the learning rates.
MEASURES = ("validation iou", "validation f1")
#: Without skips, a network of these widths has as many parameters as the one with skips.
WIDER = (8, 16, 34, 68)
W0, SIGMA = 10.0, 3.0
#: Passes over the training images.
EPOCHS = 14


@dataclass(frozen=True)
class Arm(NamedArm):
    """A network, its loss and its learning rate.

    Attributes:
        name: the name of network and loss.
        lr: the highest learning rate.
        weights: a key of ``WEIGHTS``, the weights of the pixels.
        skips: whether the decoder receives the encoder's features.
        widths: channels per level.
    """

    weights: str = "equal"
    skips: bool = True
    widths: tuple[int, ...] = segmentation.Recipe().widths


def _equal(instances: Tensor) -> Tensor:
    return torch.ones(instances.shape)


def _border(instances: Tensor) -> Tensor:
    return border_weights(instances, W0, SIGMA)


def _balance(instances: Tensor) -> Tensor:
    weights, background = _border(instances), instances == 0
    return torch.where(background, weights[background].mean(), weights)


#: name -> weights of the pixels (n, H, W) from the numbered cells (n, H, W). "balance" gives each
#: class the total weight that it has in "border", but spreads it evenly over the pixels of a class.
WEIGHTS = {"equal": _equal, "balance": _balance, "border": _border}


def pixel_weights(name: str, instances: Tensor) -> Tensor:
    """Compute the weights of pixels, with mean 1, so that a learning rate means the same for all.

    Args:
        name: a key of ``WEIGHTS``.
        instances: (n, H, W) int64, 0 for background, cells numbered.

    Returns:
        (n, H, W) float32.

    Raises:
        ValueError: if the name is unknown.
    """
    weights = choose("weights", name, WEIGHTS)(instances)
    return weights / weights.mean()


def _arms() -> dict[str, Arm]:
    arms = []
    for lr, lower in zip(RATES, RATES_WITHOUT_SKIPS, strict=True):
        arms += [
            Arm("equal weights", lr),
            Arm("without skips", lower, skips=False, widths=WIDER),
            Arm("balance of the border weights", lr, "balance"),
            Arm("border weights", lr, "border"),
        ]
    return named(arms)


ARMS: Mapping[str, Arm] = _arms()


def page_data() -> Parts[Cells]:
    """Generate the images of the chapter's page, and 64 more to choose learning rates on."""
    training, test = segmentation.page_data()
    return Parts(training, test, cells(64, 40, per_image=7, seed=2))


def train_one(arm: Arm, data: Cells, *, seed: int = 0, epochs: int = EPOCHS) -> UNet:
    """Train one network; torch's global generator is left as it was.

    Args:
        arm: the network, its loss and its learning rate.
        data: the training images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images.

    Returns:
        The network, in evaluation mode.
    """
    weights = pixel_weights(arm.weights, data.instances)
    target = torch.stack([data.masks.float(), weights], 1).to(data.images.device)
    recipe = segmentation.Recipe(arm.widths, arm.lr, epochs)
    how = segmentation.Arm(skips=arm.skips)
    return segmentation.train_on(data.images, target, how, seed=seed, recipe=recipe)


def cells_found(mask: Tensor, instances: Tensor) -> float:
    """Compute the share of cells that some region of a mask matches with an IoU above 1/2.

    Args:
        mask: (n, H, W) of 0 and 1.
        instances: (n, H, W) int64, 0 for background, cells numbered.

    Returns:
        Matches per true cell, from 0 to 1.
    """
    regions = sum(segmentation.objects(mask))
    number = sum(int(labels.unique().count_nonzero()) for labels in instances)
    matches = object_f1(mask, instances) * (regions + number) / 2
    return matches / number if number else 1.0


def judge(mask: Tensor, data: Cells) -> dict[str, float]:
    """Judge masks by pixels and by objects.

    Args:
        mask: (n, H, W) of 0 and 1.
        data: the images with their cells.

    Returns:
        The IoU, the F1 of objects, the share of cells that are found, and regions per true cell.
    """
    mask = mask.cpu()
    number = sum(int(labels.unique().count_nonzero()) for labels in data.instances)
    return {
        "iou": round(iou(mask, data.masks), 4),
        "f1": round(object_f1(mask, data.instances), 4),
        "found": round(cells_found(mask, data.instances), 4),
        "regions per cell": round(sum(segmentation.objects(mask)) / number, 4),
    }


def results_of(arm: Arm, data: Parts[Cells], seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """Train a network and judge its masks.

    Args:
        arm: the network, its loss and its learning rate.
        data: the images.
        seed: the seed of the weights and of the order of examples.
        epochs: passes over the training images.

    Returns:
        What chooses the learning rates, and what :func:`judge` says of the test images.
    """
    model = train_one(arm, data.training, seed=seed, epochs=epochs)
    validation, test = (
        judge(segmentation.predict(model, part.images), part)
        for part in (data.validation, data.test)
    )
    return {f"validation {key}": validation[key] for key in ("iou", "f1")} | test


SEARCH = Search(ARMS, MEASURES, results_of, constants={"epochs": EPOCHS, "w0": W0, "sigma": SIGMA})
configuration, run = SEARCH.configuration, SEARCH.run
