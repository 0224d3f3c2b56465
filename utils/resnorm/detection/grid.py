"""YOLO's grid: the targets of its cells, the loss, and what the predictions mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .boxes import check_boxes, nms, to_centers, to_corners


class Detections(NamedTuple):
    """What a detector says of one image.

    Attributes:
        boxes: (n, 4): left, top, right, bottom, in pixels.
        scores: (n,): the larger, the surer.
        labels: (n,), int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class GridLoss(NamedTuple):
    """The five terms of YOLO's loss, summed over cells and averaged over images.

    The weights are in the terms, so that the loss is their sum.

    Attributes:
        center: position of the center in its cell, times the weight of coordinates.
        size: roots of the width and the height, times the weight of coordinates.
        confident: confidence of the boxes that answer for an object.
        unsure: confidence of all other boxes, times the weight of boxes without an object.
        classes: class scores of the cells that hold an object.
    """

    center: Tensor
    size: Tensor
    confident: Tensor
    unsure: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """The loss, a scalar."""
        return self.center + self.size + self.confident + self.unsure + self.classes


def assign(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    grid: int,
    image_size: int,
    num_classes: int,
) -> Tensor:
    """Write what each cell of the grid should say: the object whose center lies in it.

    A cell has room for one object. Where two centers fall into one cell, the first object stays
    and the other is lost.

    Args:
        boxes: (objects, 4) of each image: left, top, right, bottom, in pixels.
        labels: (objects,) of each image.
        grid: number S of cells along a side.
        image_size: side of the images, in pixels; a multiple of ``grid``.
        num_classes: number C of classes.

    Returns:
        (N, 5 + C, S, S), all zero in a cell without an object. The channels are x and y of the
        center as shares of the cell, width and height as shares of the image, 1 for "an object is
        here", and its class as a one-hot vector.

    Raises:
        ValueError: the grid does not divide the image, a box has a negative side or its center
            outside of the image, or a label is unknown.

    Source:
        Redmon et al. (2016), section 2.
    """
    if grid < 1 or image_size % grid:
        fits = ", ".join(str(s) for s in range(1, image_size + 1) if image_size % s == 0)
        raise ValueError(
            f"a grid of {grid} x {grid} cells does not divide an image of {image_size} x "
            f"{image_size} pixels; grids that do: {fits}"
        )
    cell = image_size // grid  # side of a cell, in pixels
    targets = torch.zeros(len(boxes), 5 + num_classes, grid, grid)
    for target, image_boxes, image_labels in zip(targets, boxes, labels, strict=True):
        check_boxes(image_boxes)
        centers = to_centers(image_boxes).tolist()
        for (x, y, width, height), label in zip(centers, image_labels.tolist(), strict=True):
            if not (0 <= x < image_size and 0 <= y < image_size):
                raise ValueError(
                    f"the center of a box lies at ({x:g}, {y:g}), outside of an image of "
                    f"{image_size} pixels"
                )
            if not 0 <= label < num_classes:
                raise ValueError(f"a label is {label}; it must lie between 0 and {num_classes - 1}")
            column, row = int(x // cell), int(y // cell)
            if target[4, row, column]:
                continue  # the cell is taken
            target[:5, row, column] = torch.tensor(
                [x / cell - column, y / cell - row, width / image_size, height / image_size, 1.0]
            )
            target[5 + label, row, column] = 1.0
    return targets


def decode(output: Tensor, num_classes: int, image_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Read a prediction: all boxes in pixels, their confidences, and class scores.

    Args:
        output: (N, 5 B + C, S, S): for each of B boxes x and y of the center as shares of the
            cell, the roots of width and height as shares of the image, and the confidence; then C
            class scores.
        num_classes: number C of classes.
        image_size: side of the images, in pixels.

    Returns:
        Boxes (N, S * S * B, 4) as left, top, right and bottom in pixels, confidences
        (N, S * S * B), and the class scores (N, S * S * B, C) of their cells.

    Raises:
        ValueError: the number of channels is not 5 B + C.
    """
    boxes, classes = _split(output, num_classes)
    n, count, _, grid, _ = boxes.shape
    cell = torch.arange(grid, dtype=output.dtype, device=output.device)
    x = (boxes[:, :, 0] + cell) / grid  # in shares of the image, from now on
    y = (boxes[:, :, 1] + cell[:, None]) / grid
    sides = boxes[:, :, 2:4].clamp(min=0).square()  # the square undoes the root
    corners = to_corners(torch.stack([x, y, sides[:, :, 0], sides[:, :, 1]], -1))
    of_cells = classes.movedim(1, -1)[:, None].expand(n, count, grid, grid, num_classes)
    return (
        (corners * image_size).flatten(1, 3),
        boxes[:, :, 4].flatten(1),
        of_cells.flatten(1, 3),
    )


def detect(
    output: Tensor,
    num_classes: int,
    image_size: int,
    confidence: float = 0.2,
    overlap: float = 0.5,
) -> list[Detections]:
    """Read a prediction, drop what is unsure, and suppress what overlaps something better.

    The score of a box is its confidence times the largest class score of its cell. Boxes are cut
    at the border of the image.

    Args:
        output: (N, 5 B + C, S, S), as in :func:`decode`.
        num_classes: number C of classes.
        image_size: side of the images, in pixels.
        confidence: the smallest score that is kept.
        overlap: IoU above which the worse of two boxes of a class is dropped.

    Returns:
        Detections of each image, the best first.

    Raises:
        ValueError: the number of channels is not 5 B + C, or ``overlap`` lies outside of [0, 1].

    Source:
        Redmon et al. (2016), sections 2 (equation 1) and 2.3.
    """
    boxes, sure, classes = decode(output.detach(), num_classes, image_size)
    best, labels = classes.max(-1)
    scores = sure * best
    found = []
    for image in zip(boxes.clamp(0, image_size), scores, labels, strict=True):
        detections = Detections(*(part[image[1] >= confidence] for part in image))
        kept = nms(detections.boxes, detections.scores, overlap, detections.labels)
        found.append(Detections(*(part[kept] for part in detections)))
    return found


def grid_loss(output: Tensor, target: Tensor, coord: float = 5.0, noobj: float = 0.5) -> GridLoss:
    """Compute YOLO's loss, a weighted sum of squared errors, term by term.

    In a cell with an object, the one of the B boxes that overlaps the object most answers for it.
    Its confidence should be that overlap, which is a constant for the gradient. If none of the
    boxes overlaps the object, the one whose four numbers are closest answers.

    Args:
        output: (N, 5 B + C, S, S), as in :func:`decode`.
        target: (N, 5 + C, S, S), from :func:`assign`.
        coord: weight of the coordinates, λ_coord.
        noobj: weight of the confidence where there is no object, λ_noobj.

    Returns:
        The terms; ``.total`` is what to minimize.

    Raises:
        ValueError: output and target belong to different grids, or the number of channels is not
            5 B + C.

    Source:
        Redmon et al. (2016), equation 3.
    """
    if output.shape[0] != target.shape[0] or output.shape[2:] != target.shape[2:]:
        raise ValueError(
            f"the output has the shape {tuple(output.shape)} and the target "
            f"{tuple(target.shape)}; batch and grid must be the same"
        )
    boxes, classes = _split(output, target.shape[1] - 5)  # (N, B, 5, S, S)
    here = target[:, 4]  # (N, S, S): 1 where a cell holds an object
    truth = torch.cat([target[:, :2], target[:, 2:4].sqrt()], 1)[:, None]  # (N, 1, 4, S, S)
    errors = (boxes[:, :, :4] - truth).square()  # (N, B, 4, S, S)
    with torch.no_grad():
        overlap = _aligned_iou(boxes, target)  # (N, B, S, S)
        # Overlaps decide; where all are 0, the closest numbers do.
        rank = torch.where(overlap.amax(1, keepdim=True) > 0, overlap, -errors.sum(2))
        answers = torch.zeros_like(overlap).scatter_(1, rank.argmax(1, keepdim=True), 1.0)
        answers = answers * here[:, None]  # 1 for the box that answers for an object
    n = len(output)
    confidence = boxes[:, :, 4]
    return GridLoss(
        center=coord * (answers[:, :, None] * errors[:, :, :2]).sum() / n,
        size=coord * (answers[:, :, None] * errors[:, :, 2:]).sum() / n,
        confident=(answers * (confidence - overlap).square()).sum() / n,
        unsure=noobj * ((1 - answers) * confidence.square()).sum() / n,
        classes=(here[:, None] * (classes - target[:, 5:]).square()).sum() / n,
    )


def _split(output: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Split channels into (N, B, 5, S, S) boxes and (N, C, S, S) class scores."""
    count, rest = divmod(output.shape[1] - num_classes, 5)
    if rest or count < 1:
        raise ValueError(
            f"the output has {output.shape[1]} channels; with {num_classes} classes it must have "
            f"5 B + {num_classes}, such as {10 + num_classes} for B = 2 boxes per cell"
        )
    return output[:, : 5 * count].unflatten(1, (count, 5)), output[:, 5 * count :]


def _aligned_iou(boxes: Tensor, target: Tensor) -> Tensor:
    """Compute the IoU of each box with the object of its cell: (N, B, S, S)."""
    grid = target.shape[-1]

    def corners(
        xy: Tensor, sides: Tensor
    ) -> Tensor:  # relative to the cell, in shares of the image
        return to_corners(torch.cat([xy / grid, sides], -3).movedim(-3, -1))

    a = corners(boxes[:, :, :2], boxes[:, :, 2:4].clamp(min=0).square())
    b = corners(target[:, None, :2], target[:, None, 2:4])
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-12)
