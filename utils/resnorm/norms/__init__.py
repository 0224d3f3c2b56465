"""Normalization layers, from scratch, equal to ``torch.nn``'s."""

from .batch_norm import BatchNorm1d, BatchNorm2d
from .deploy import fold, fold_model, precise_statistics
from .functional import (
    BatchNormFunction,
    batch_norm_closed,
    batch_norm_compiled,
    batch_norm_inference,
    batch_norm_naive,
    batch_norm_var_mean,
)

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNormFunction",
    "batch_norm_closed",
    "batch_norm_compiled",
    "batch_norm_inference",
    "batch_norm_naive",
    "batch_norm_var_mean",
    "fold",
    "fold_model",
    "precise_statistics",
]
