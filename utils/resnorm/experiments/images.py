"""The images of a command, which several processes can load.

They are not in ``__main__``: a process that is spawned does not import that module of a package.
"""

from __future__ import annotations

from pathlib import Path

import torch

from .. import data
from .jobs import Split


class Images:
    """CIFAR-10 in a folder. A process loads a split when it is asked for, and keeps the last one.

    Args:
        folder: where the images are.
        device: the device to train on.
    """

    def __init__(self, folder: Path, device: torch.device):
        self.folder, self.device = folder, device
        self.last: tuple[str, data.ImageDataset] | None = None

    def __call__(self, part: Split) -> data.ImageDataset:
        """Return the images of a split, on the device.

        Args:
            part: which split.
        """
        if self.last is None or self.last[0] != part:
            self.last = None  # so that there are never two
            self.last = part, data.cifar10(self.folder).split(part).to(self.device)
        return self.last[1]

    def __reduce__(self) -> tuple[type[Images], tuple[Path, torch.device]]:
        """Say how to make it in another process, which loads the images itself."""
        return type(self), (self.folder, self.device)
