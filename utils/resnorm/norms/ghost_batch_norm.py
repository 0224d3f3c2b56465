"""Ghost batch normalization: a large batch with the statistics of a small one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .batch_norm import BatchNorm2d
from .validation import check_positive_int


class GhostBatchNorm2d(BatchNorm2d):
    """Batch norm over parts of the batch: a large batch with a small batch's statistics.

    In training, each run of ``ghost_size`` images is normalized by itself, and the running
    statistics move once per ghost batch. In evaluation it is batch norm.

    Args:
        num_features: C, the size of axis 1.
        ghost_size: number of images in a ghost batch; must divide the batch size.
        *args: ``eps``, ``momentum``, ``affine``, ... of :class:`resnorm.norms.BatchNorm2d`, in
            that order.
        **kwargs: the same by keyword.

    Raises:
        ValueError: an argument is out of range; ``ghost_size`` does not divide the batch.

    Shape:
        - Input: (N, C, H, W), in training with N a multiple of ``ghost_size``.
        - Output: as the input.

    Source:
        Hoffer, Hubara & Soudry (2017), algorithm 1.
    """

    def __init__(self, num_features: int, ghost_size: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(num_features, *args, **kwargs)
        self.ghost_size = check_positive_int(ghost_size, "ghost_size", "images in a ghost batch")

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each ghost batch by itself in training; in evaluation this is batch norm."""
        normalize = super().forward
        if not self.training:
            return normalize(x)
        if x.shape[0] % self.ghost_size:
            raise ValueError(
                f"a batch of {x.shape[0]} images cannot be split into ghost batches of "
                f"{self.ghost_size}; use a batch size that is a multiple "
                "(drop_last=True in the DataLoader)"
            )
        return torch.cat([normalize(ghost) for ghost in x.split(self.ghost_size)])

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return f"{super().extra_repr()}, ghost_size={self.ghost_size}"
