"""The recorded run of chapter 3.6: the arms of ``segmentation`` on electron-microscopy slices.

The slices are those of the ISBI 2012 challenge, which Ronneberger et al. (2015) used. They are read
from a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..data import Cells
from ..ledger import Record
from ..segmentation import vote
from .segmentation import ARMS, Arm, Recipe, predict, scores, targets, train_on


@dataclass(frozen=True)
class FullScale:
    """The settings of the recorded run.

    Attributes:
        recipe: the network and its training.
        crop: the side of a random crop of a training slice, in pixels.
        crops: the number of crops per slice.
        test: the number of slices at the end that are held out.
    """

    recipe: Recipe = Recipe(
        widths=(16, 32, 64, 128), lr=0.1, epochs=5, batch_size=16, weight_decay=1e-4
    )
    crop: int = 128
    crops: int = 32
    test: int = 6


def configuration(full: FullScale = FullScale()) -> dict[str, Any]:
    """Describe everything that decides the numbers, except for the seeds.

    Args:
        full: the settings of the run.

    Returns:
        The settings and the arms, for the record.
    """
    return asdict(full) | {"arms": {name: asdict(arm) for name, arm in ARMS.items()}}


def crops(
    data: Cells, target: Tensor, size: int, per_image: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Cut random crops, each in one of eight orientations.

    Args:
        data: the images.
        target: what to cut in the same way, (n, 2, H, W).
        size: the side of a crop, in pixels.
        per_image: the number of crops per image.
        seed: the seed of positions and orientations.

    Returns:
        Images (n * per_image, 1, size, size) and targets (n * per_image, 2, size, size).
    """
    g = torch.Generator().manual_seed(seed)

    def draw(n: int) -> int:
        return int(torch.randint(n, (1,), generator=g))

    images: list[Tensor] = []
    pieces_of_target: list[Tensor] = []
    height, width = data.images.shape[2:]
    for image, truth in zip(data.images, target, strict=True):
        for _ in range(per_image):
            top, left = draw(height - size + 1), draw(width - size + 1)
            turns, mirrored = draw(4), bool(draw(2))
            for source, pieces in ((image, images), (truth, pieces_of_target)):
                piece = torch.rot90(source[:, top : top + size, left : left + size], turns, (1, 2))
                pieces.append(piece.flip(2) if mirrored else piece)
    return torch.stack(images), torch.stack(pieces_of_target)


def run(
    record: Record,
    data: Cells,
    seeds: Iterable[int],
    full: FullScale = FullScale(),
    arms: Mapping[str, Arm] = ARMS,
) -> None:
    """Train every arm and seed that the record lacks, then let the networks of each arm vote.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: all slices; the last ``full.test`` are held out.
        seeds: the seeds of weights, order of examples and crops. An odd number above one gets a
            vote.
        full: the settings of the run.
        arms: name -> arm.
    """
    held = Cells(data.images[-full.test :], data.instances[-full.test :], data.source)
    seen = Cells(data.images[: -full.test], data.instances[: -full.test], data.source)
    seeds = list(seeds)
    for name, arm in arms.items():
        together = f"{name}, vote of {len(seeds)}"
        votes = len(seeds) > 1 and len(seeds) % 2 == 1 and not record.has(together, 0)
        if not votes and all(record.has(name, seed) for seed in seeds):
            continue
        target, masks = targets(seen, arm), []
        for seed in seeds:
            if record.has(name, seed) and not votes:
                continue  # For a vote, finished networks are trained again: masks are not kept.
            with record.run(name, seed) as results:
                images, labels = crops(seen, target, full.crop, full.crops, seed)
                model = train_on(images, labels, arm, seed=seed, recipe=full.recipe)
                masks.append(predict(model, held.images, 1))
                results |= scores(masks[-1], held)
        if votes:
            with record.run(together, 0) as results:
                results |= scores(vote(torch.stack(masks)), held)
