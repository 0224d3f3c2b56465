"""A head with anchors, as in SSD: its targets, its loss, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .anchors import decode_offsets, encode_offsets, match_anchors
from .boxes import nms
from .grid import Detections

#: Offsets are small numbers. The network is asked for this multiple of them.
OFFSET_SCALE = (10.0, 10.0, 5.0, 5.0)


def split_per_anchor(output: Tensor, shapes: int) -> tuple[Tensor, Tensor]:
    """Sort the channels of a map into class scores and offsets of each anchor.

    Args:
        output: (N, shapes (C + 5), S, S): for each shape the score of the background, C class
            scores and four offsets.
        shapes: number of anchors per cell.

    Returns:
        Class scores (N, shapes S S, C + 1) and offsets (N, shapes S S, 4), in the order of
        :func:`resnorm.detection.anchor_boxes`.

    Raises:
        ValueError: the channels cannot be shared out among the shapes.
    """
    if shapes < 1 or output.shape[1] % shapes or output.shape[1] < 6 * shapes:
        raise ValueError(
            f"the output has {output.shape[1]} channels for {shapes} anchors per cell; each anchor "
            "needs C + 1 class scores and 4 offsets"
        )
    numbers = output.unflatten(1, (shapes, -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)
    return numbers[..., :-4], numbers[..., -4:]


def anchor_targets(boxes: Sequence[Tensor], labels: Sequence[Tensor], anchors: Tensor) -> Tensor:
    """Write what each anchor should say.

    Args:
        boxes: (objects, 4) of each image: left, top, right, bottom, in pixels.
        labels: (objects,) of each image.
        anchors: (n, 4), from :func:`resnorm.detection.anchor_boxes`.

    Returns:
        (N, n, 5): the class of each anchor, 0 for the background and 1 for the first label, and
        its offsets times ``OFFSET_SCALE``.

    Raises:
        ValueError: an image has not one label per box, or a side is not above 0.
    """
    targets = torch.zeros(len(boxes), len(anchors), 5)
    scale = torch.tensor(OFFSET_SCALE)
    for target, image_boxes, image_labels in zip(targets, boxes, labels, strict=True):
        if len(image_boxes) != len(image_labels):
            raise ValueError(
                f"an image has {len(image_boxes)} boxes and {len(image_labels)} labels; give each "
                "box one label"
            )
        match = match_anchors(anchors, image_boxes)
        positive = match >= 0
        target[positive, 0] = image_labels[match[positive]] + 1.0
        offsets = encode_offsets(image_boxes[match[positive]], anchors[positive])
        target[positive, 1:] = scale * offsets
    return targets


def anchor_loss(output: Tensor, target: Tensor, shapes: int, negatives: int = 3) -> Tensor:
    """Compute SSD's loss per anchor that answers for an object.

    Args:
        output: (N, shapes (C + 5), S, S), as in :func:`split_per_anchor`.
        target: (N, shapes S S, 5), from :func:`anchor_targets`.
        shapes: number of anchors per cell.
        negatives: background anchors that count, per image and per anchor that answers: those
            with the largest loss.

    Returns:
        A scalar: cross-entropy of the classes and smooth L1 of the offsets.

    Source:
        Liu et al. (2016), section 2.2, equations 1 to 3 and "Hard negative mining".
    """
    scores, offsets = split_per_anchor(output, shapes)
    classes, wanted = target[..., 0].long(), target[..., 1:]
    positive = classes > 0
    each = F.cross_entropy(scores.transpose(1, 2), classes, reduction="none")
    hardness = each.detach().masked_fill(positive, -1.0)  # a loss is never negative
    rank = hardness.argsort(1, descending=True).argsort(1)
    hard = rank < negatives * positive.sum(1, keepdim=True)
    boxes = F.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")
    return (each[positive | hard].sum() + boxes) / positive.sum().clamp(min=1)


def detect_by_anchors(
    output: Tensor,
    anchors: Tensor,
    shapes: int,
    image_size: int,
    confidence: float = 0.2,
    overlap: float = 0.5,
) -> list[Detections]:
    """Read a prediction, drop what is unsure, and suppress what overlaps something better.

    The score of an anchor is the largest probability of a class that is not the background.

    Args:
        output: (N, shapes (C + 5), S, S), as in :func:`split_per_anchor`.
        anchors: (shapes S S, 4), from :func:`resnorm.detection.anchor_boxes`.
        shapes: number of anchors per cell.
        image_size: side of the images, in pixels, at whose border boxes are cut.
        confidence: the smallest score that is kept.
        overlap: IoU above which the worse of two boxes of a class is dropped.

    Returns:
        Detections of each image, the best first.
    """
    scores, offsets = split_per_anchor(output.detach(), shapes)
    best, labels = scores.softmax(-1)[..., 1:].max(-1)
    scale = torch.tensor(OFFSET_SCALE)
    found = []
    for o, score, label in zip(offsets / scale, best, labels, strict=True):
        sure = score >= confidence
        boxes = decode_offsets(o[sure], anchors[sure]).clamp(0, image_size)
        kept = nms(boxes, score[sure], overlap, label[sure])
        found.append(Detections(boxes[kept], score[sure][kept], label[sure][kept]))
    return found
