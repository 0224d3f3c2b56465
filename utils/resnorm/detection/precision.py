"""How good a detector is: precision, recall, and the area under their curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .boxes import box_iou, check_boxes, check_scores


class Scored(Protocol):
    """What a detector says of an image, such as :class:`resnorm.detection.Detections`."""

    @property
    def boxes(self) -> Tensor:
        """(n, 4): left, top, right, bottom."""

    @property
    def scores(self) -> Tensor:
        """(n,)."""

    @property
    def labels(self) -> Tensor:
        """(n,)."""


class Curve(NamedTuple):
    """Precision and recall of a class as the threshold of the score falls.

    Attributes:
        scores: (k,), falling: the score of each detection.
        precision: (k,): correct detections among those with at least this score.
        recall: (k,): objects that they find.
        objects: number of objects of the class.
    """

    scores: Tensor
    precision: Tensor
    recall: Tensor
    objects: int


def precision_recall(
    found: Sequence[Scored],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    label: int,
    threshold: float = 0.5,
) -> Curve:
    """Compute the precision-recall curve of one class over a set of images.

    A detection is correct if its IoU with the object that it overlaps most is at least the
    threshold, and no better detection has claimed that object. A second detection of an object is
    as wrong as a detection of nothing. Equal scores count in the order in which they are given.

    Args:
        found: detections of each image.
        boxes: (objects, 4) of each image: left, top, right, bottom.
        labels: (objects,) of each image.
        label: the class.
        threshold: the smallest IoU of a correct detection, in (0, 1].

    Returns:
        The curve, with one point per detection of the class.

    Raises:
        ValueError: the numbers of images, or of boxes and scores or labels, differ, a box has a
            negative side, or the threshold lies outside of (0, 1].

    Source:
        Everingham et al. (2015), section 2.4.3; the object that counts is the one that overlaps
        most, as in the development kit of Pascal VOC.
    """
    _check(found, boxes, labels, threshold)
    scores, correct, objects = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)], 0
    for image, true_boxes, true_labels in zip(found, boxes, labels, strict=True):
        truth, chosen = true_boxes[true_labels == label], image.labels == label
        objects += len(truth)
        scores.append(image.scores[chosen])
        correct.append(_claims(image.boxes[chosen], scores[-1], truth, threshold))
    ranked, hits = torch.cat(scores), torch.cat(correct)
    order = ranked.argsort(descending=True, stable=True)
    right = hits[order].double().cumsum(0)
    places = torch.arange(1, len(right) + 1)
    return Curve(ranked[order], right / places, right / max(objects, 1), objects)


def average_precision(curve: Curve) -> float:
    """Compute the area under a precision-recall curve, after its dips are filled.

    At each recall the precision is the best that can be had at this recall or a higher one.

    Args:
        curve: of one class.

    Returns:
        From 0 to 1; NaN if there is no object of the class.

    Source:
        Everingham & Winn (2010), section 3.4.1, the development kit of Pascal VOC 2010: the area
        under the whole curve, where earlier years had taken eleven points of it.
    """
    if not curve.objects:
        return float("nan")
    best = curve.precision.flip(0).cummax(0).values.flip(0)  # at this recall or a higher one
    steps = curve.recall.diff(prepend=curve.recall.new_zeros(1))
    return float((best * steps).sum())


def mean_average_precision(
    found: Sequence[Scored],
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    threshold: float = 0.5,
) -> float:
    """Compute the mean of the average precisions of all classes that have objects.

    Args:
        found: detections of each image.
        boxes: (objects, 4) of each image: left, top, right, bottom.
        labels: (objects,) of each image.
        num_classes: number of classes.
        threshold: the smallest IoU of a correct detection, in (0, 1].

    Returns:
        From 0 to 1.

    Raises:
        ValueError: as :func:`precision_recall`, or no class has an object.
    """
    curves = (precision_recall(found, boxes, labels, k, threshold) for k in range(num_classes))
    values = [average_precision(curve) for curve in curves if curve.objects]
    if not values:
        raise ValueError(
            f"no image has an object of the classes 0 to {num_classes - 1}; without objects there "
            "is nothing to find, and precision has no meaning"
        )
    return sum(values) / len(values)


def _claims(boxes: Tensor, scores: Tensor, truth: Tensor, threshold: float) -> Tensor:
    """Say which detections of one image and class are correct: (detections,)."""
    correct = torch.zeros(len(boxes), dtype=torch.bool)
    if not len(truth) or not len(boxes):
        return correct
    overlap, best = box_iou(boxes, truth).max(1)  # the object that a detection overlaps most
    claimed = torch.zeros(len(truth), dtype=torch.bool)
    for i in scores.argsort(descending=True, stable=True).tolist():
        if overlap[i] >= threshold and not claimed[best[i]]:
            correct[i] = claimed[best[i]] = True
    return correct


def _check(
    found: Sequence[Scored], boxes: Sequence[Tensor], labels: Sequence[Tensor], threshold: float
) -> None:
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it is an IoU, in (0, 1]")
    if not len(found) == len(boxes) == len(labels):
        raise ValueError(
            f"detections of {len(found)} images, boxes of {len(boxes)} and labels of "
            f"{len(labels)}; give one entry per image, empty where there is nothing"
        )
    for image, true_boxes, true_labels in zip(found, boxes, labels, strict=True):
        check_boxes(image.boxes, "the detected boxes")
        check_scores(image.boxes, image.scores, image.labels)
        check_boxes(true_boxes, "the true boxes")
        if true_labels.shape != true_boxes.shape[:1]:
            raise ValueError(
                f"{len(true_boxes)} true boxes, but their labels have the shape "
                f"{tuple(true_labels.shape)}; give one label per box"
            )
