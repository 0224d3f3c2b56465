"""How good a classifier is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def error(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 512) -> float:
    """Measure the classification error in evaluation mode; the model's mode is restored.

    Args:
        model: maps images to (n, classes) scores.
        images: (n, channels, height, width), on the device of the model.
        labels: (n,) int64.
        batch_size: images per forward pass; it changes memory and speed only.

    Returns:
        Percentage of images that are classified wrongly.
    """
    training = model.training
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    wrong = sum((model(batch).argmax(1) != truth).sum() for batch, truth in batches)
    model.train(training)
    return 100 * int(wrong) / len(labels)
