"""Generated data in three parts: to train on, to measure on, and to choose learning rates on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor


class Part(Protocol):
    """Images with what they show, such as :class:`resnorm.data.Cells`."""

    @property
    def images(self) -> Tensor:
        """(n, channels, H, W)."""

    @property
    def source(self) -> str:
        """What the data is."""

    def to(self, device: str | torch.device) -> Self:
        """Put the images on a device.

        Args:
            device: what to train on.
        """


APart = TypeVar("APart", bound=Part)


@dataclass(frozen=True)
class Parts(Generic[APart]):
    """Three sets of images with the same kind of content.

    Attributes:
        training: to train on.
        test: to measure on.
        validation: to choose learning rates on.
    """

    training: APart
    test: APart
    validation: APart

    @property
    def source(self) -> str:
        """What the data is, for the record."""
        return f"{self.training.source} (training), {self.test.source} (test)"

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.training.images.device

    def to(self, device: str | torch.device) -> Parts[APart]:
        """Put all parts on a device.

        Args:
            device: what to train on.

        Returns:
            New parts; these are unchanged.
        """
        return Parts(self.training.to(device), self.test.to(device), self.validation.to(device))
