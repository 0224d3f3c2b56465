"""Segmenting cells by a U-Net, with and without skips and border weights (chapter 3.6)

Page scale uses generated cells; the recorded run uses the electron-microscopy slices of the
ISBI 2012 challenge, those of Ronneberger et al. (2015), from a folder. Plain data out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..data import Cells, ImageDataset, cells
from ..models import UNet
from ..segmentation import border_weights, dice, iou, vote, weighted_cross_entropy
from ..train import fit


@dataclass(frozen=True)
class Arm:
    """A network and its loss.

    Attributes:
        skips: features are handed across.
        w0, sigma: of the border weights; 0 gives every pixel the same weight.
    """

    skips: bool = True
    w0: float = 0.0
    sigma: float = 3.0


ARMS = {"with skips": Arm(), "without skips": Arm(skips=False), "border weights": Arm(w0=10.0)}


@dataclass(frozen=True)
class Recipe:
    """Network and training, the same for all arms.

    Attributes:
        widths: channels a level.
        lr: at its highest, after a linear rise over a tenth of the steps; it falls to 0 linearly.
        epochs, batch_size, weight_decay: of :func:`resnorm.train.fit`.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)
    lr: float = 0.2
    epochs: int = 14
    batch_size: int = 16
    weight_decay: float = 0.0


def page_data() -> tuple[Cells, Cells]:
    """Training and held-out images at page scale."""
    return cells(128, 40, per_image=7, seed=0), cells(64, 40, per_image=7, seed=1)


def targets(data: Cells, arm: Arm) -> Tensor:
    """(n, 2, H, W): class and weight of each pixel, as :func:`resnorm.segmentation.weighted_cross_entropy` reads it."""
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
    """Train one network, same padding and batch norm. The global generator is left as it was.

    Args:
        arm: a key of ``arms``.
        data: training images.
        seed: of weights and order.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in arms:
        raise ValueError(f"arm is {arm!r}; it must be one of {', '.join(arms)}")
    return train_on(data.images, targets(data, arms[arm]), arms[arm], seed=seed, recipe=recipe)


def train_on(images: Tensor, target: Tensor, arm: Arm, *, seed: int, recipe: Recipe) -> UNet:
    """Train on images and targets that are ready."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = [(width, width) for width in recipe.widths]
        model = UNet(1, 2, widths, 0.5, padding="same", norm=nn.BatchNorm2d, skips=arm.skips)
        fit(
            model.to(images.device, memory_format=torch.channels_last),
            ImageDataset(images, target, images[:0], target[:0], ""),
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            seed=seed,
            schedule=lambda progress: min(1.0, progress / 0.1, (1 - progress) / 0.9 + 0.01),
            evaluate=False,
            loss=weighted_cross_entropy,
        )
    return model.eval()


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 8) -> Tensor:
    """Masks (n, H, W) of 0 and 1."""
    return torch.cat([model(part).argmax(1) for part in images.split(batch_size)])


def objects(masks: Tensor) -> list[int]:
    """Connected regions of each mask (scipy)."""
    from scipy import ndimage

    return [int(ndimage.label(mask.numpy())[1]) for mask in masks]


def scores(predicted: Tensor, data: Cells) -> dict[str, float]:
    """IoU and Dice of the cells, IoU of the background, pixel error in percent, and regions found for each true cell."""
    truth = data.masks
    true_objects = sum(int(labels.unique().count_nonzero()) for labels in data.instances)
    return {
        "iou": round(iou(predicted, truth), 4),
        "dice": round(dice(predicted, truth), 4),
        "background iou": round(iou(1 - predicted, 1 - truth), 4),
        "pixel error": round(100 * (predicted != truth).float().mean().item(), 3),
        "regions per cell": round(sum(objects(predicted)) / true_objects, 4),
    }


# --- the recorded run ----------------------------------------------------------------------------


@dataclass(frozen=True)
class FullScale:
    """The recorded run: random crops of the training slices, turned and mirrored.

    Attributes:
        recipe: network and training.
        crop, crops: side, and crops a slice.
        test: the last slices are held out.
    """

    recipe: Recipe = Recipe(
        widths=(16, 32, 64, 128), lr=0.1, epochs=5, batch_size=16, weight_decay=1e-4
    )
    crop: int = 128
    crops: int = 32
    test: int = 6


def crops(
    data: Cells, target: Tensor, size: int, per_image: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Random crops in one of eight orientations: images (n, 1, size, size) and targets (n, 2, size, size)."""
    g = torch.Generator().manual_seed(seed)
    images, targets = [], []
    height, width = data.images.shape[2:]
    for image, truth in zip(data.images, target):
        for _ in range(per_image):
            top = int(torch.randint(height - size + 1, (1,), generator=g))
            left = int(torch.randint(width - size + 1, (1,), generator=g))
            turns, mirrored = (
                int(torch.randint(4, (1,), generator=g)),
                bool(torch.randint(2, (1,), generator=g)),
            )
            for source, pieces in ((image, images), (truth, targets)):
                piece = torch.rot90(source[:, top : top + size, left : left + size], turns, (1, 2))
                pieces.append(piece.flip(2) if mirrored else piece)
    return torch.stack(images), torch.stack(targets)


def run(
    record, data: Cells, seeds, full: FullScale = FullScale(), arms: Mapping[str, Arm] = ARMS
) -> None:
    """Train every arm and seed that the record lacks; then let the members of each arm vote.

    Args:
        record: see :func:`resnorm.ledger.open_record`.
        data: all slices; the last ``full.test`` are held out.
        seeds: of weights, order and crops.
    """
    held = Cells(data.images[-full.test :], data.instances[-full.test :], data.source)
    seen = Cells(data.images[: -full.test], data.instances[: -full.test], data.source)
    seeds = list(seeds)
    for name, arm in arms.items():
        together = f"{name}, vote of {len(seeds)}"
        votes = len(seeds) > 1 and len(seeds) % 2 == 1 and not record.has(together, 0)
        if not votes and all(record.has(name, seed) for seed in seeds):
            continue
        target, members = targets(seen, arm), []
        for seed in seeds:
            if record.has(name, seed) and not votes:
                continue  # for a vote, finished members are trained again: masks are not kept
            with record.run(name, seed) as results:
                images, labels = crops(seen, target, full.crop, full.crops, seed)
                members.append(
                    predict(
                        train_on(images, labels, arm, seed=seed, recipe=full.recipe), held.images, 1
                    )
                )
                results |= scores(members[-1], held)
        if votes:
            with record.run(together, 0) as results:
                results |= scores(vote(torch.stack(members)), held)


def configuration(full: FullScale = FullScale()) -> dict:
    """Everything that decides the numbers but the seeds."""
    return asdict(full) | {"arms": {name: asdict(arm) for name, arm in ARMS.items()}}
