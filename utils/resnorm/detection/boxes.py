"""Boxes: two forms, intersection over union, and non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor


def check_boxes(boxes: Tensor, what: str = "boxes") -> None:
    """Check that boxes have four corners each, and no negative side.

    Args:
        boxes: (n, 4): left, top, right, bottom.
        what: their name, for the message.

    Raises:
        ValueError: the shape is another one, or a right or a lower side lies before its opposite.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"{what} has the shape {tuple(boxes.shape)}; it must be (n, 4), with left, top, right "
            "and bottom for each box"
        )
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(1)
    if wrong.any():
        first = int(wrong.int().argmax())
        numbers = ", ".join(f"{value:g}" for value in boxes[first].tolist())
        raise ValueError(
            f"{what}[{first}] is ({numbers}), which has a negative side; the order is left, top, "
            "right, bottom. If yours is center, width, height, call to_corners first"
        )


def to_corners(boxes: Tensor) -> Tensor:
    """Turn centers and sides into corners.

    Args:
        boxes: (..., 4): x and y of the center, width, height.

    Returns:
        (..., 4): left, top, right, bottom, in the same unit.
    """
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([center - half, center + half], -1)


def to_centers(boxes: Tensor) -> Tensor:
    """Turn corners into centers and sides.

    Args:
        boxes: (..., 4): left, top, right, bottom.

    Returns:
        (..., 4): x and y of the center, width, height, in the same unit.
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def box_area(boxes: Tensor) -> Tensor:
    """Compute areas.

    Args:
        boxes: (..., 4): left, top, right, bottom.

    Returns:
        (...,), in square units of ``boxes``.
    """
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Compute intersection over union of every box of one set with every box of another.

    Args:
        a: (n, 4) boxes: left, top, right, bottom.
        b: (m, 4) boxes.

    Returns:
        (n, m), from 0 to 1; 0 for two boxes without area, where torchvision returns NaN.

    Raises:
        ValueError: a box has a negative side, or there are not four numbers per box.
    """
    check_boxes(a, "a")
    check_boxes(b, "b")
    low = torch.maximum(a[:, None, :2], b[None, :, :2])  # (n, m, 2)
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp(min=0).prod(-1)  # boxes that do not touch share nothing
    union = box_area(a)[:, None] + box_area(b) - both
    return torch.where(union > 0, both / union, torch.zeros_like(union))


def nms(boxes: Tensor, scores: Tensor, threshold: float, labels: Tensor | None = None) -> Tensor:
    """Suppress every box that overlaps a better one: greedy non-maximum suppression.

    Args:
        boxes: (n, 4): left, top, right, bottom.
        scores: (n,); a higher score is better. Of equal scores the first comes first.
        threshold: IoU above which the worse box is dropped, in [0, 1].
        labels: (n,); boxes with different labels never suppress each other. None treats all boxes
            as one class.

    Returns:
        Positions of the boxes that are kept, the best first, int64.

    Raises:
        ValueError: there is not one score (and label) per box, a box has a negative side, or the
            threshold lies outside of [0, 1].
    """
    check_boxes(boxes)
    check_scores(boxes, scores, labels)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it is an IoU, in [0, 1]")
    overlaps = box_iou(boxes, boxes) > threshold
    if labels is not None:
        overlaps &= labels[:, None] == labels
    dropped = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    kept = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        if not dropped[i]:
            kept.append(i)
            dropped |= overlaps[i]
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)


def check_scores(boxes: Tensor, scores: Tensor, labels: Tensor | None = None) -> None:
    """Check that every box has a score and a label.

    Args:
        boxes: (n, 4).
        scores: what should have the shape (n,).
        labels: what should have the shape (n,); None is not checked.

    Raises:
        ValueError: a shape is another one.
    """
    for name, values in (("scores", scores), ("labels", labels)):
        if values is not None and values.shape != boxes.shape[:1]:
            raise ValueError(
                f"{len(boxes)} boxes, but {name} has the shape {tuple(values.shape)}; "
                f"give one of the {name} per box, ({len(boxes)},)"
            )
