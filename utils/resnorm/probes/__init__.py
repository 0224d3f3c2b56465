"""Measure any module: signals and gradients, loss surfaces, the paths of residual networks.

Nothing here trains or draws, and every function leaves the module as it found it.
"""

from .activations import LayerStatistics, layer_statistics
from .architecture import Part, multiply_adds, outline
from .gradients import autocorrelation, input_gradients, mean_pairwise_cosine
from .landscape import filter_normalized_direction, loss_surface
from .lesions import lesion, permuted, removable, subsets
from .memory import peak_bytes, saved_bytes
from .operation_list import Operation, operations
from .paths import PathLengthProfile, gradient_by_path_length, path_jacobians
from .selection import select_layers
from .step_profile import StepProfile, gradient_step_profile
from .timing import time_ratios

__all__ = [
    "LayerStatistics",
    "Operation",
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
    "operations",
    "outline",
    "path_jacobians",
    "peak_bytes",
    "permuted",
    "removable",
    "saved_bytes",
    "select_layers",
    "subsets",
    "time_ratios",
]
