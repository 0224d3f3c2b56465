"""Anchors: reference boxes of several shapes at every place of a map (Faster R-CNN, SSD, YOLOv2).

A network with anchors does not predict boxes. It predicts, for each anchor, a class and the offsets
that turn the anchor into the box. Training needs to know which anchor answers for which object.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .boxes import box_iou, check_boxes, to_centers, to_corners


def anchor_boxes(grid: int, size: float, shapes: Sequence[tuple[float, float]]) -> Tensor:
    """Lay boxes of the same shapes around the center of every cell of a grid.

    Args:
        grid: number of cells per side.
        size: side of the image in pixels.
        shapes: width and height of each anchor, in pixels.

    Returns:
        (grid * grid * len(shapes), 4): left, top, right, bottom in pixels, row by row, all shapes
        of a cell one after another. Anchors may reach beyond the image.

    Raises:
        ValueError: there is no cell or no shape, or a side is not above 0.

    Source:
        Liu et al. (2016), section 2.2, for one map.
    """
    if grid < 1 or not shapes or any(side <= 0 for shape in shapes for side in shape):
        raise ValueError(
            f"anchor_boxes(grid={grid}, shapes={list(shapes)}): give at least one cell and one "
            "shape, a width and a height above 0 in pixels"
        )
    centers = (torch.arange(grid) + 0.5) * size / grid
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    places = torch.stack([x, y], -1).view(-1, 1, 2).expand(-1, len(shapes), 2)
    sides = torch.tensor(shapes, dtype=places.dtype).expand_as(places)
    return to_corners(torch.cat([places, sides], -1)).view(-1, 4)


def encode_offsets(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Compute what a network should predict for anchors that answer for boxes.

    Args:
        boxes: (n, 4): left, top, right, bottom, with sides above 0.
        anchors: (n, 4), one per box, with sides above 0.

    Returns:
        (n, 4): the distance of the centers in widths and heights of the anchor, and the logarithms
        of the ratios of the sides.

    Raises:
        ValueError: a side is negative or 0, or there is not one anchor per box.

    Source:
        Ren et al. (2015), equation 2.
    """
    for name, value in (("boxes", boxes), ("anchors", anchors)):
        check_boxes(value, name)
        if (value[:, 2:] <= value[:, :2]).any():
            raise ValueError(f"{name} has a side of length 0, whose logarithm is not finite")
    _check_pairs("boxes", boxes, anchors)
    (center, sides), (place, shape) = (to_centers(b).split(2, -1) for b in (boxes, anchors))
    return torch.cat([(center - place) / shape, (sides / shape).log()], -1)


def decode_offsets(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Turn predictions into boxes: the inverse of :func:`encode_offsets`.

    Args:
        offsets: (n, 4).
        anchors: (n, 4): left, top, right, bottom.

    Returns:
        (n, 4): left, top, right, bottom, in the unit of the anchors.

    Raises:
        ValueError: an anchor has a negative side, or there is not one anchor per row of offsets.
    """
    check_boxes(anchors, "anchors")
    _check_pairs("offsets", offsets, anchors)
    place, shape = to_centers(anchors).split(2, -1)
    shift, stretch = offsets.split(2, -1)
    return to_corners(torch.cat([place + shift * shape, shape * stretch.exp()], -1))


def match_anchors(anchors: Tensor, boxes: Tensor, threshold: float = 0.5) -> Tensor:
    """Decide for which object each anchor answers.

    An anchor answers for the object that it overlaps most, if the IoU reaches the threshold.
    Besides, every object gets the anchor that overlaps it most; of two objects that want the same
    anchor, the later one gets it.

    Args:
        anchors: (n, 4): left, top, right, bottom.
        boxes: (m, 4), the objects of one image.
        threshold: the smallest IoU, in (0, 1].

    Returns:
        (n,) int64: the position of the object, or -1 for background.

    Raises:
        ValueError: a box has a negative side, there is no anchor, or the threshold lies outside of
            (0, 1].

    Source:
        Liu et al. (2016), section 2.2, "Matching strategy".
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it is an IoU, in (0, 1]")
    if not len(anchors):
        raise ValueError("there are no anchors; make them with anchor_boxes")
    if not len(boxes):
        return torch.full((len(anchors),), -1, device=anchors.device)
    overlap = box_iou(anchors, boxes)
    best, match = overlap.max(1)
    match[best < threshold] = -1
    for position, anchor in enumerate(overlap.argmax(0).tolist()):
        match[anchor] = position
    return match


def _check_pairs(what: str, values: Tensor, anchors: Tensor) -> None:
    if values.shape != anchors.shape:
        raise ValueError(
            f"{what} has the shape {tuple(values.shape)} and anchors {tuple(anchors.shape)}; "
            "each row needs an anchor of its own"
        )
