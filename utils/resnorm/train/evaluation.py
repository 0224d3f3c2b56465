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
        labels: (n,) int64.
        batch_size: images per forward pass; it changes memory and speed only.

    Returns:
        Percentage of images that are classified wrongly.

    Raises:
        ValueError: there are no images.
    """
    if not len(labels):
        raise ValueError("there are no images, so there is no share of wrong ones")
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    with evaluation_mode(model):
        wrong = sum((model(batch).argmax(1) != truth).sum() for batch, truth in batches)
    return 100 * int(wrong) / len(labels)
