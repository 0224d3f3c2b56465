"""Normalization layers, from scratch, equal to ``torch.nn``'s."""

from .batch_norm import BatchNorm1d, BatchNorm2d
from .deploy import fold, fold_model, precise_statistics
from .family import (
    BatchRenorm2d,
    GhostBatchNorm2d,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
    StandardizeFunction,
    WeightStandardizedConv2d,
    standardize,
)
from .functional import (
    BatchNormFunction,
    batch_norm_closed,
    batch_norm_compiled,
    batch_norm_inference,
    batch_norm_naive,
    batch_norm_var_mean,
)
from .noisy import NoisyBatchNorm2d
from .sync import SyncBatchNorm2d

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNormFunction",
    "BatchRenorm2d",
    "GhostBatchNorm2d",
    "GroupNorm",
    "InstanceNorm2d",
    "LayerNorm",
    "NoisyBatchNorm2d",
    "RMSNorm",
    "StandardizeFunction",
    "SyncBatchNorm2d",
    "WeightStandardizedConv2d",
    "batch_norm_closed",
    "batch_norm_compiled",
    "batch_norm_inference",
    "batch_norm_naive",
    "batch_norm_var_mean",
    "fold",
    "fold_model",
    "precise_statistics",
    "standardize",
]
