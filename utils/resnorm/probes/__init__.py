"""Measure any module: signals and gradients, loss surfaces, the paths of residual networks.

Nothing here trains or draws, and every function leaves the module as it found it.
"""

from .residual import (
    PathLengthProfile,
    gradient_by_path_length,
    lesion,
    path_jacobians,
    permuted,
    removable,
    subsets,
)
from .signals import (
    LayerStatistics,
    StepProfile,
    autocorrelation,
    filter_normalized_direction,
    gradient_step_profile,
    input_gradients,
    layer_statistics,
    loss_surface,
    mean_pairwise_cosine,
    select_layers,
)

__all__ = [
    "LayerStatistics",
    "PathLengthProfile",
    "StepProfile",
    "autocorrelation",
    "filter_normalized_direction",
    "gradient_by_path_length",
    "gradient_step_profile",
    "input_gradients",
    "layer_statistics",
    "lesion",
    "loss_surface",
    "mean_pairwise_cosine",
    "path_jacobians",
    "permuted",
    "removable",
    "select_layers",
    "subsets",
]
