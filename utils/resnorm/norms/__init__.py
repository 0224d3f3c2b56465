"""Normalization layers, from scratch, equal to ``torch.nn``'s.

Every layer here standardizes groups of m values, ``x_hat = (x - mu) / sqrt(var + eps)``, then
scales and shifts. The layers differ in which values form a group (chapter 2.3). With ``x`` of shape
(N, C, H, W):

========================  =====================  ==================================
layer                     a group holds          statistics
========================  =====================  ==================================
batch norm                (N, H, W) of one C     C means, C variances
layer norm (per image)    (C, H, W) of one N     N of each
instance norm             (H, W) of one N and C  N x C of each
group norm                (C/G, H, W) of one N   N x G of each
========================  =====================  ==================================

Batch norm has several forms, see :mod:`resnorm.norms.functional`. Each of the others is a reshape
to (groups, m), one closed-form function, and a reshape back, see
:mod:`resnorm.norms.standardization`.
"""

from . import in_numpy
from .batch_norm import BatchNorm1d, BatchNorm2d
from .batch_renorm import BatchRenorm2d
from .channel_noise import ChannelNoise2d
from .fold_network import fold_model
from .folding import fold
from .functional import (
    BatchNormFunction,
    batch_norm_closed,
    batch_norm_compiled,
    batch_norm_inference,
    batch_norm_naive,
    batch_norm_var_mean,
)
from .ghost_batch_norm import GhostBatchNorm2d
from .group_norm import GroupNorm
from .instance_norm import InstanceNorm2d
from .layer_norm import LayerNorm, RMSNorm
from .noisy_batch_norm import NoisyBatchNorm2d
from .precise_bn import precise_statistics
from .scaled_weight_standardization import ScaledWeightStandardizedConv2d, variance_gain
from .standardization import StandardizeFunction, standardize
from .sync_batch_norm import SyncBatchNorm2d
from .weight_standardization import WeightStandardizedConv2d

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNormFunction",
    "BatchRenorm2d",
    "ChannelNoise2d",
    "GhostBatchNorm2d",
    "GroupNorm",
    "InstanceNorm2d",
    "LayerNorm",
    "NoisyBatchNorm2d",
    "RMSNorm",
    "ScaledWeightStandardizedConv2d",
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
    "in_numpy",
    "precise_statistics",
    "standardize",
    "variance_gain",
]
