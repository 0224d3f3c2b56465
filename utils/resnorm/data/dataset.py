"""The data set that every loop and experiment reads: four tensors and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageDataset:
    """Images and labels of a training and a test set.

    Attributes:
        train_images: (n, channels, height, width), float32.
        train_labels: (n,), int64; for segmentation and key points, whatever the loss reads.
        test_images: as ``train_images``.
        test_labels: as ``train_labels``.
        source: what the data is, to be printed under results.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    source: str

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.train_images.device

    def to(self, device: torch.device | str) -> ImageDataset:
        """Copy all images and labels to a device, so that no step waits for the disk or the bus.

        Args:
            device: such as ``"cuda"``.

        Returns:
            A new data set; this one is unchanged.
        """
        return ImageDataset(
            self.train_images.to(device),
            self.train_labels.to(device),
            self.test_images.to(device),
            self.test_labels.to(device),
            self.source,
        )
