"""Measure any module: signals and gradients, loss surfaces, the paths of residual networks.

Nothing here trains or draws, and every function leaves the module as it found it.
"""

from .memory import peak_bytes, saved_bytes
from .outline import Part, multiply_adds, outline
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
    "Part",
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
    "multiply_adds",
    "outline",
    "path_jacobians",
    "peak_bytes",
    "permuted",
    "removable",
    "saved_bytes",
    "select_layers",
    "subsets",
]
