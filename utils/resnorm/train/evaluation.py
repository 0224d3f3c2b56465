"""How good a classifier is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..restoring import evaluation_mode


@torch.no_grad()
def error(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> float:
    """Measure the classification error in evaluation mode; the modes of all modules are restored.

    Args:
        model: maps images to (n, classes) scores.
        images: (n, channels, height, width), on the device of the model.
        labels: (n,) int64; an image whose scores hold a NaN is counted as wrong.
        batch_size: images per forward pass; it changes memory and speed only.

    Returns:
        Percentage of images that are classified wrongly.

    Raises:
        ValueError: there are no images; labels or scores have another shape.
    """
    if not len(labels):
        raise ValueError("there are no images, so there is no share of wrong ones")
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but {len(images)} images have "
            f"({len(images)},) class numbers; in fit, evaluate=False leaves the error out"
        )
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    with evaluation_mode(model):
        wrong = sum(_is_wrong(model(batch), truth).sum() for batch, truth in batches)
    return 100 * int(wrong) / len(labels)


def _is_wrong(scores: Tensor, truth: Tensor) -> Tensor:
    """(n, classes) scores and (n,) labels -> (n,) bool."""
    if scores.ndim != 2 or len(scores) != len(truth):
        raise ValueError(
            f"the model returns scores of shape {tuple(scores.shape)} for {len(truth)} images, "
            f"but a classifier returns ({len(truth)}, classes)"
        )
    return (scores.argmax(1) != truth) | scores.isnan().any(1)
