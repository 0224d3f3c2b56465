"""Regularization: layers that drop values, weights or branches, and early stopping.

Weight decay and label smoothing are arguments of :func:`resnorm.train.fit`, and what changes the
images is in :mod:`resnorm.augment`.
"""

from .dropout import (
    DropConnectLinear,
    Dropout,
    DropPath,
    SpatialDropout,
    monte_carlo_dropout,
)
from .patience import Patience

__all__ = [
    "DropConnectLinear",
    "DropPath",
    "Dropout",
    "Patience",
    "SpatialDropout",
    "monte_carlo_dropout",
]
