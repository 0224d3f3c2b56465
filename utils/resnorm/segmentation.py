"""Segmentation: how good a mask is, which pixels count, and how to predict images beyond memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def iou(predicted: Tensor, truth: Tensor) -> float:
    """Compute intersection over union, TP / (TP + FP + FN), over all images together.

    Args:
        predicted: mask of any shape; non-zero is foreground.
        truth: mask of the same shape.

    Returns:
        From 0 to 1; 1 if both masks are empty.

    Raises:
        ValueError: the shapes differ.
    """
    both, total = _counts(predicted, truth)
    return both / (total - both) if total else 1.0


def dice(predicted: Tensor, truth: Tensor) -> float:
    """Compute the Dice coefficient, which is F1: 2 TP / (2 TP + FP + FN) = 2 IoU / (1 + IoU).

    Args:
        predicted: mask of any shape; non-zero is foreground.
        truth: mask of the same shape.

    Returns:
        From 0 to 1; 1 if both masks are empty.

    Raises:
        ValueError: the shapes differ.
    """
    both, total = _counts(predicted, truth)
    return 2 * both / total if total else 1.0


def _counts(predicted: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the foreground pixels that both masks share, and those of each, added up."""
    _check_same_shape(predicted, truth)
    a, b = predicted.bool(), truth.bool()
    return (a & b).sum().item(), a.sum().item() + b.sum().item()


def _check_same_shape(predicted: Tensor, truth: Tensor) -> None:
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks of different shapes: {tuple(predicted.shape)} predicted, "
            f"{tuple(truth.shape)} true; they must be equal"
        )


def object_f1(predicted: Tensor, instances: Tensor, threshold: float = 0.5) -> float:
    """Compute F1 over objects: a connected region is correct if its IoU with a cell is large.

    With a threshold of at least 1/2 at most one region can match a cell, so that matching needs no
    choice.

    Args:
        predicted: (n, H, W), non-zero is foreground.
        instances: (n, H, W) int64, 0 for background, cells numbered.
        threshold: IoU above which a region matches a cell, 0.5 or more.

    Returns:
        2 matches / (regions + cells), from 0 to 1; 1 if there are neither.

    Raises:
        ValueError: the threshold is below 0.5, or the shapes differ.
    """
    from scipy import ndimage

    if threshold < 0.5:
        raise ValueError(f"threshold is {threshold}; below 0.5 a cell could be matched twice")
    _check_same_shape(predicted, instances)
    matches = regions = cells = 0
    for mask, truth in zip(predicted.numpy() != 0, instances.numpy(), strict=True):
        labels, count = ndimage.label(mask)
        numbers, sizes = np.unique(truth[truth > 0], return_counts=True)
        regions, cells = regions + count, cells + len(numbers)
        for number, size in zip(numbers, sizes, strict=True):
            inside = labels[truth == number]
            overlaps = np.bincount(inside[inside > 0], minlength=1)
            best = int(overlaps.argmax())
            union = size + (labels == best).sum() - overlaps[best]
            matches += bool(best) and overlaps[best] / union > threshold
    return float(2 * matches / (regions + cells)) if regions + cells else 1.0


def border_weights(instances: Tensor, w0: float = 10.0, sigma: float = 5.0) -> Tensor:
    """Compute pixel weights that force a network to learn the lines between touching cells.

    ``w = w_class + w0 exp(-(d1 + d2)^2 / (2 sigma^2))`` in the background, with the distances d1
    and d2 to the nearest and the second nearest cell; ``w_class`` gives both classes the same
    total weight in the batch, with mean 1.

    Args:
        instances: (n, H, W) int64, 0 for background, cells numbered.
        w0: height of the border term, in units of the mean class weight.
        sigma: width of the border term, in pixels.

    Returns:
        (n, H, W) float32.

    Source:
        Ronneberger et al. (2015), equation 2.
    """
    from scipy import ndimage

    foreground = instances > 0
    share = foreground.float().mean().clamp(1e-6, 1 - 1e-6)
    weights = torch.where(foreground, 0.5 / share, 0.5 / (1 - share))
    for weight, labels in zip(weights, instances.numpy(), strict=True):
        numbers = [k for k in np.unique(labels) if k]
        if len(numbers) < 2:
            continue
        nearest = np.full((2, *labels.shape), np.inf)
        for k in numbers:  # only the two smallest are kept, so that many cells take little memory
            distance = ndimage.distance_transform_edt(labels != k)
            nearest = np.sort(np.concatenate([nearest, distance[None]]), axis=0)[:2]
        border = w0 * np.exp(-(nearest.sum(0) ** 2) / (2 * sigma**2)) * (labels == 0)
        weight += torch.from_numpy(border).float()
    return weights


def weighted_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Compute cross-entropy with a weight for each pixel, averaged over pixels.

    Args:
        logits: (n, classes, h, w). A valid network's output is smaller than the target; it is
            compared with the target's center.
        target: (n, 2, H, W) float32: class and weight of each pixel.

    Returns:
        A scalar.
    """
    (height, width), (h, w) = target.shape[2:], logits.shape[2:]
    top, left = (height - h) // 2, (width - w) // 2
    target = target[:, :, top : top + h, left : left + w]
    loss = F.cross_entropy(logits, target[:, 0].long(), reduction="none")
    return (loss * target[:, 1]).mean()


def overlap_tile(
    predict: Callable[[Tensor], Tensor], images: Tensor, tile: int, margin: int, pooling: int
) -> Tensor:
    """Predict an image of any size from overlapping tiles, mirrored at the border.

    Each tile of the output is computed from a larger tile of the input. What a network needs
    beyond the image's border is reflected. Tiles advance by a multiple of ``pooling``, so that the
    cells of every pooling are those of the whole image; where tiles overlap they are equal.

    Args:
        predict: (n, c, tile + 2 margin, ...) -> (n, k, tile, ...), as a valid U-Net does.
        images: (n, c, *size), in two or three dimensions.
        tile: side of the output's tiles, in pixels.
        margin: pixels that the network loses at each side of its input.
        pooling: pixels of the image that lie in a pixel of the lowest level, per side; 2^(L-1) for
            a U-Net of L levels.

    Returns:
        (n, k, *size).

    Raises:
        ValueError: a tile is smaller than ``pooling``, reflection cannot fill the margin, or a
            prediction has another size.

    Source:
        Ronneberger et al. (2015), figure 2.
    """
    if not 1 <= pooling <= tile:
        raise ValueError(
            f"tile is {tile} and pooling {pooling}: tiles advance by multiples of pooling, so take "
            f"a tile of {pooling} or more, and pooling = 2^(L-1) for a U-Net of L levels"
        )
    size = images.shape[2:]
    step = tile - tile % pooling
    starts = [range(0, max(length - (tile - step), 1), step) for length in size]
    reach = [start[-1] + tile for start in starts]  # tiles may end beyond the image
    padded = _mirrored(images, margin, reach)
    result = None
    for corner in itertools.product(*starts):
        inside = [slice(start, start + tile + 2 * margin) for start in corner]
        out = predict(padded[:, :, *inside])
        if out.shape[2:] != (tile,) * len(size):
            raise ValueError(
                f"predict returned {tuple(out.shape[2:])} for a tile of {tile}: "
                f"does margin={margin} fit the network?"
            )
        if result is None:
            result = out.new_empty(*out.shape[:2], *reach)
        result[:, :, *(slice(start, start + tile) for start in corner)] = out
    assert result is not None  # there is a tile at least
    return result[:, :, *(slice(length) for length in size)]


def _mirrored(images: Tensor, margin: int, reach: Sequence[int]) -> Tensor:
    """Mirror images at their borders: by ``margin`` before, and up to ``reach + margin`` behind."""
    size = images.shape[2:]
    padding: list[int] = []
    for length, end in zip(size, reach, strict=True):
        behind = end - length + margin
        if behind >= length:
            raise ValueError(
                f"an image of {' x '.join(map(str, size))} cannot be mirrored by {behind} pixels "
                f"(margin {margin}, tiles to {end}): a side must be longer than that"
            )
        padding = [margin, behind, *padding]  # F.pad begins with the last axis
    return F.pad(images, padding, mode="reflect")


def vote(masks: Tensor) -> Tensor:
    """Return the majority of an odd number of masks, pixel by pixel.

    Args:
        masks: (members, n, H, W) of 0 and 1.

    Returns:
        (n, H, W) int64 of 0 and 1.

    Raises:
        ValueError: the number of members is even, so that they can tie.
    """
    if len(masks) % 2 == 0:
        raise ValueError(f"{len(masks)} masks can tie; an odd number of members decides")
    return (masks.float().mean(0) > 0.5).long()
