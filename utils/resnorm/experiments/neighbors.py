"""Close pairs: two objects whose centers lie a few pixels apart, and who finds both of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from .. import detection
from ..data import Scenes, scenes
from ..detection import Detections

#: Distance of the centers of a close pair on each axis, in pixels.
PAIR_SHIFT = 7
#: Boxes that a detector may show per picture of a pair, on average.
PAIR_BOXES = 3
#: Side of the pictures, in pixels.
SIZE = 48


def close_pairs(place: int, n: int = 240) -> tuple[Scenes, Scenes]:
    """Paste two objects of different classes close to each other.

    Args:
        place: pixel of the first center, on both axes; the second is ``PAIR_SHIFT`` further.
        n: pairs to try; those of one class are left out.

    Returns:
        The pairs, and each of their objects alone, first and second in turn.
    """
    how: dict[str, Any] = {"objects": (1, 1), "sides": (0.25, 0.32)}
    singles = [scenes(n, SIZE, seed=seed, **how) for seed in (41, 42)]
    images, masks, boxes, labels = [], [], [], []
    for i in range(n):
        if torch.equal(singles[0].labels[i], singles[1].labels[i]):
            continue
        for single, at in zip(singles, (place, place + PAIR_SHIFT), strict=True):
            center = detection.to_centers(single.boxes[i])[0, :2]
            dx, dy = (at - center.floor()).int().tolist()
            images.append(single.images[i].roll((dy, dx), (-2, -1)))
            masks.append(single.masks[i].roll((dy, dx), (-2, -1)))
            boxes.append(single.boxes[i] + torch.tensor([dx, dy, dx, dy]))
            labels.append(single.labels[i])
    picture, mask = torch.stack(images), torch.stack(masks)
    alone = replace(singles[0], images=picture, masks=mask, boxes=boxes, labels=labels)
    over = mask[1::2] > 0
    pairs = replace(
        alone,
        images=torch.where(over[:, None], picture[1::2], picture[::2]),
        masks=torch.where(over, mask[1::2], mask[::2]),
        boxes=[torch.cat(two) for two in zip(boxes[::2], boxes[1::2], strict=True)],
        labels=[torch.cat(two) for two in zip(labels[::2], labels[1::2], strict=True)],
    )
    return pairs, alone


def both_found(found: list[Detections], pairs: Scenes) -> float:
    """Measure in which share of the pairs both objects are found.

    A score does not mean the same for every detector. So a detector shows its ``PAIR_BOXES`` best
    boxes per picture, on average, or all that it has, where those are fewer.

    Args:
        found: detections of each pair, with a low threshold of the score.
        pairs: from :func:`close_pairs`.
    """
    scores = torch.cat([one.scores for one in found]).sort(descending=True).values
    last = scores[min(PAIR_BOXES * len(pairs), len(scores)) - 1] if len(scores) else 1.0
    hits = 0
    for one, boxes, labels in zip(found, pairs.boxes, pairs.labels, strict=True):
        shown = one.scores >= last
        overlap = detection.box_iou(boxes, one.boxes[shown])
        right = (overlap >= 0.5) & (labels[:, None] == one.labels[shown])
        hits += int(right.any(1).all())
    return hits / len(pairs)
