"""Chapter 3.6: what do skips and border weights do for a U-Net that segments cells?

This is the page scale, on generated cells. :mod:`resnorm.experiments.microscopy` runs the same arms
on electron-microscopy slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data import Cells, ImageDataset, cells
from ..models import UNet
from ..segmentation import border_weights, dice, iou, weighted_cross_entropy
from .choice import choose
from .seeded import train_seeded


@dataclass(frozen=True)
class Arm:
    """A network and its loss.

    Attributes:
        skips: whether the decoder receives the encoder's features.
        w0: the strength of the border weights; 0 gives every pixel the same weight.
        sigma: the width of the border weights, in pixels.
    """

    skips: bool = True
    w0: float = 0.0
    sigma: float = 3.0


ARMS = {"with skips": Arm(), "without skips": Arm(skips=False), "border weights": Arm(w0=10.0)}


@dataclass(frozen=True)
class Recipe:
    """The network and its training, which are the same for all arms.

    Attributes:
        widths: channels per level.
        lr: the highest learning rate. It is reached in a linear rise over the first tenth of the
            training, and then falls linearly to a hundredth of it.
        epochs: passes over the training images.
        batch_size: images per batch.
        weight_decay: the weight decay of all parameters.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)
    lr: float = 0.2
    epochs: int = 14
    batch_size: int = 16
    weight_decay: float = 0.0


def page_data() -> tuple[Cells, Cells]:
    """Generate images of crowded cells.

    Returns:
        128 training images and 64 held-out images, 40 x 40 pixels.
    """
    return cells(128, 40, per_image=7, seed=0), cells(64, 40, per_image=7, seed=1)


def targets(data: Cells, arm: Arm) -> Tensor:
    """Make what :func:`resnorm.segmentation.weighted_cross_entropy` reads.

    Args:
        data: the images with their cells.
        arm: its ``w0`` and ``sigma`` decide the weights.

    Returns:
        The class and the weight of each pixel, (n, 2, H, W).
    """
    weights = (
        border_weights(data.instances, arm.w0, arm.sigma)
        if arm.w0
        else torch.ones(data.masks.shape)
    )
    return torch.stack([data.masks.float(), weights], 1)


def train_arm(
    arm: str,
    data: Cells,
    *,
    seed: int = 0,
    recipe: Recipe = Recipe(),
    arms: Mapping[str, Arm] = ARMS,
) -> UNet:
    """Train one arm; torch's global generator is left as it was.

    Args:
        arm: a key of ``arms``.
        data: the training images.
        seed: the seed of the weights and of the order of examples.
        recipe: the network and its training.
        arms: name -> arm.

    Returns:
        The network, in evaluation mode.

    Raises:
        ValueError: if the arm is unknown.
    """
    chosen = choose("arm", arm, arms)
    return train_on(data.images, targets(data, chosen), chosen, seed=seed, recipe=recipe)


def train_on(images: Tensor, target: Tensor, arm: Arm, *, seed: int, recipe: Recipe) -> UNet:
    """Train a U-Net with same padding and batch norm on images and targets.

    Args:
        images: (n, 1, H, W).
        target: the class and the weight of each pixel, (n, 2, H, W).
        arm: its ``skips`` decides the network.
        seed: the seed of the weights and of the order of examples.
        recipe: the network and its training.

    Returns:
        The network, in evaluation mode.
    """
    widths = [(width, width) for width in recipe.widths]
    model, _ = train_seeded(
        lambda: UNet(1, 2, widths, 0.5, padding="same", norm=nn.BatchNorm2d, skips=arm.skips),
        ImageDataset(images, target, images[:0], target[:0], ""),
        seed,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        schedule=lambda progress: min(1.0, progress / 0.1, (1 - progress) / 0.9 + 0.01),
        loss=weighted_cross_entropy,
    )
    return model.eval()


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 8) -> Tensor:
    """Predict the mask of each image.

    Args:
        model: a network with two classes, in evaluation mode.
        images: (n, channels, *size).
        batch_size: images per forward pass.

    Returns:
        Masks of 0 and 1, (n, *size).
    """
    return torch.cat([model(part).argmax(1) for part in images.split(batch_size)])


def objects(masks: Tensor) -> list[int]:
    """Count the connected regions of each mask.

    Args:
        masks: (n, H, W) of 0 and 1.

    Returns:
        One number per mask.
    """
    from scipy import ndimage

    return [int(ndimage.label(mask.numpy())[1]) for mask in masks]


def scores(predicted: Tensor, data: Cells) -> dict[str, float]:
    """Compare predicted masks with the truth.

    Args:
        predicted: (n, H, W) of 0 and 1.
        data: the images with their cells.

    Returns:
        IoU and Dice of the cells, IoU of the background, the pixel error in percent, and the number
        of regions found per true cell.
    """
    truth = data.masks
    true_objects = sum(int(labels.unique().count_nonzero()) for labels in data.instances)
    return {
        "iou": round(iou(predicted, truth), 4),
        "dice": round(dice(predicted, truth), 4),
        "background iou": round(iou(1 - predicted, 1 - truth), 4),
        "pixel error": round(100 * (predicted != truth).float().mean().item(), 3),
        "regions per cell": round(sum(objects(predicted)) / true_objects, 4),
    }
