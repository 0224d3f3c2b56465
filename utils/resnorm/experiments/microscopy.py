"""The recorded run of chapter 3.6: the arms of ``segmentation`` on electron-microscopy slices.

The slices are those of the ISBI 2012 challenge, which Ronneberger et al. (2015) used. They are read
from a folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
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
    device: str | torch.device = "cpu",
) -> None:
    """Train every arm and seed that the record lacks, then let the networks of each arm vote.

    Args:
        record: where the runs go, see :func:`resnorm.ledger.open_record`.
        data: all slices; the last ``full.test`` are held out.
        seeds: the seeds of weights, order of examples and crops; one that is given twice counts
            once. An odd number above one gets a vote, unless the record has a vote of as many.
        full: the settings of the run.
        arms: name -> arm.
        device: what to train on; the masks are compared on the CPU.

    Raises:
        ValueError: if there are too few slices, or they are smaller than a crop.
    """
    _check_slices(data, full)
    held = Cells(data.images[-full.test :], data.instances[-full.test :], data.source)
    seen = Cells(data.images[: -full.test], data.instances[: -full.test], data.source)
    seeds = list(dict.fromkeys(seeds))
    for name, arm in arms.items():
        together = f"{name}, vote of {len(seeds)}"
        votes = len(seeds) > 1 and len(seeds) % 2 == 1 and not record.has(together, 0)
        if not votes and all(record.has(name, seed) for seed in seeds):
            continue
        masks: list[Tensor] = []
        train_and_predict = partial(
            _train_and_predict, arm, seen, targets(seen, arm), held.images, full, device
        )
        for seed in seeds:
            if not record.has(name, seed):
                with record.run(name, seed, device) as results:
                    masks.append(train_and_predict(seed))
                    results |= scores(masks[-1], held)
            elif votes:  # Masks are not kept, so a finished network is trained again for its vote.
                masks.append(train_and_predict(seed))
        if votes:
            with record.run(together, 0, device) as results:
                results |= scores(vote(torch.stack(masks)), held) | {"seeds": seeds}


def _train_and_predict(
    arm: Arm,
    seen: Cells,
    target: Tensor,
    held_out: Tensor,
    full: FullScale,
    device: str | torch.device,
    seed: int,
) -> Tensor:
    """Train one network and predict the masks of the images that were held out."""
    images, labels = (x.to(device) for x in crops(seen, target, full.crop, full.crops, seed))
    model = train_on(images, labels, arm, seed=seed, recipe=full.recipe)
    return predict(model, held_out.to(device), 1).cpu()


def _check_slices(data: Cells, full: FullScale) -> None:
    n, size = len(data.images), tuple(data.images.shape[2:])
    if not 0 < full.test < n:
        raise ValueError(
            f"{n} slices, of which {full.test} are held out; at least one must be left to train on"
        )
    if min(size) < full.crop:
        raise ValueError(f"the slices have {size} pixels; a crop has {(full.crop,) * 2}")
