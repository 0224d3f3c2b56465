"""Segmentation: how good a mask is, which pixels count, and how to predict images larger than memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def _counts(predicted: Tensor, truth: Tensor) -> tuple[float, float]:
    if predicted.shape != truth.shape:
        raise ValueError(
            f"masks of different shapes: {tuple(predicted.shape)} predicted, {tuple(truth.shape)} true"
        )
    a, b = predicted.bool(), truth.bool()
    return (a & b).sum().item(), a.sum().item() + b.sum().item()


def iou(predicted: Tensor, truth: Tensor) -> float:
    """Intersection over union of two masks, all images together: TP / (TP + FP + FN); 1 if both are empty.

    Args:
        predicted, truth: equal shapes; nonzero is foreground.

    Raises:
        ValueError: shapes that differ.
    """
    both, total = _counts(predicted, truth)
    return both / (total - both) if total else 1.0


def dice(predicted: Tensor, truth: Tensor) -> float:
    """Dice coefficient, which is F1: 2 TP / (2 TP + FP + FN) = 2 IoU / (1 + IoU). Arguments as :func:`iou`."""
    both, total = _counts(predicted, truth)
    return 2 * both / total if total else 1.0


def object_f1(predicted: Tensor, instances: Tensor, threshold: float = 0.5) -> float:
    """F1 of objects: a connected region counts as found if its IoU with one cell is above ``threshold``.

    From 1/2 on at most one region can match a cell, so that matching needs no choice.

    Args:
        predicted: (n, H, W), nonzero is foreground.
        instances: (n, H, W) int64, 0 for background, cells numbered.
        threshold: 0.5 or more.

    Returns:
        2 found / (regions + cells), 1 if there are neither.

    Raises:
        ValueError: a threshold below 0.5, shapes that differ.
    """
    from scipy import ndimage

    if threshold < 0.5:
        raise ValueError(f"threshold is {threshold}; below 0.5 a cell could be matched twice")
    if predicted.shape != instances.shape:
        raise ValueError(
            f"shapes differ: {tuple(predicted.shape)} predicted, {tuple(instances.shape)} true"
        )
    found = regions = cells = 0
    for mask, truth in zip(predicted.numpy() != 0, instances.numpy()):
        labels, count = ndimage.label(mask)
        numbers, sizes = np.unique(truth[truth > 0], return_counts=True)
        regions, cells = regions + count, cells + len(numbers)
        for number, size in zip(numbers, sizes):
            inside = labels[truth == number]
            overlaps = np.bincount(inside[inside > 0], minlength=1)
            best = int(overlaps.argmax())
            union = size + (labels == best).sum() - overlaps[best]
            found += bool(best) and overlaps[best] / union > threshold
    return float(2 * found / (regions + cells)) if regions + cells else 1.0


def border_weights(instances: Tensor, w0: float = 10.0, sigma: float = 5.0) -> Tensor:
    """Weights of pixels that force a network to learn the lines between touching cells.

    ``w = w_class + w0 exp(-(d1 + d2)^2 / (2 sigma^2))`` in the background, with the distances d1
    and d2 to the nearest and the second nearest cell; ``w_class`` gives both classes the same
    total weight in the batch, with mean 1.

    Args:
        instances: (n, H, W) int64, 0 for background, cells numbered.
        w0, sigma: height, and width in pixels.

    Returns:
        (n, H, W) float32.

    Source: Ronneberger et al. (2015), equation 2.
    """
    from scipy import ndimage

    foreground = instances > 0
    share = foreground.float().mean().clamp(1e-6, 1 - 1e-6)
    weights = torch.where(foreground, 0.5 / share, 0.5 / (1 - share))
    for weight, labels in zip(weights, instances.numpy()):
        numbers = [k for k in np.unique(labels) if k]
        if len(numbers) < 2:
            continue
        nearest = np.full((2, *labels.shape), np.inf)
        for k in numbers:  # only the two smallest are kept, so that many cells take little memory
            nearest = np.sort(
                np.concatenate([nearest, ndimage.distance_transform_edt(labels != k)[None]]), axis=0
            )[:2]
        border = w0 * np.exp(-(nearest.sum(0) ** 2) / (2 * sigma**2)) * (labels == 0)
        weight += torch.from_numpy(border).float()
    return weights


def weighted_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with a weight for each pixel, averaged over pixels.

    Args:
        logits: (n, classes, h, w); smaller than the target for a valid network, whose output is
            the middle.
        target: (n, 2, H, W) float32: class and weight.
    """
    top, left = ((a - b) // 2 for a, b in zip(target.shape[2:], logits.shape[2:]))
    target = target[:, :, top : top + logits.shape[2], left : left + logits.shape[3]]
    loss = F.cross_entropy(logits, target[:, 0].long(), reduction="none")
    return (loss * target[:, 1]).mean()


def overlap_tile(
    predict: Callable[[Tensor], Tensor], images: Tensor, tile: int, margin: int
) -> Tensor:
    """Predict an image of any size by tiles that overlap, mirrored at the border.

    Each tile of the output is computed from a larger tile of the input; what a network needs
    beyond the image's border is reflected, as Ronneberger et al. (2015) do, figure 2.

    Args:
        predict: (n, c, tile + 2 margin, ...) -> (n, k, tile, tile), as a valid U-Net does.
        images: (n, c, H, W).
        tile: side of the output's tiles.
        margin: what is lost at each side of the input.

    Returns:
        (n, k, H, W).

    Raises:
        ValueError: a margin that reflection cannot fill, or a prediction of another size.
    """
    height, width = images.shape[2:]
    down, right = -height % tile, -width % tile
    if margin + max(down, right) >= min(height, width):
        raise ValueError(
            f"an image of {height} x {width} cannot be mirrored by {margin + max(down, right)} pixels (margin {margin}, "
            f"tile {tile}): the image must be larger than that"
        )
    padded = F.pad(images, (margin, margin + right, margin, margin + down), mode="reflect")
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            out = predict(
                padded[:, :, top : top + tile + 2 * margin, left : left + tile + 2 * margin]
            )
            if out.shape[2:] != (tile, tile):
                raise ValueError(
                    f"predict returned {tuple(out.shape[2:])} for a tile of {tile}: does margin={margin} fit the network?"
                )
            row.append(out)
        rows.append(torch.cat(row, 3))
    return torch.cat(rows, 2)[:, :, :height, :width]


def vote(masks: Tensor) -> Tensor:
    """Majority of an odd number of masks: (members, n, H, W) of 0 and 1 -> (n, H, W).

    Raises:
        ValueError: an even number, which can tie.
    """
    if len(masks) % 2 == 0:
        raise ValueError(f"{len(masks)} masks can tie; an odd number of members decides")
    return (masks.float().mean(0) > 0.5).long()
