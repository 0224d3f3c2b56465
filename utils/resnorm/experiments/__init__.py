"""The experiments of the chapters.

Each module states a question, the arms that answer it, and what is measured; it returns plain data
and neither draws nor prints. ``cifar`` holds the named experiments on CIFAR-10, ``microscopy`` the
one on electron-microscopy slices, and those named ``generated_`` use generated images.
``python -m resnorm.experiments`` runs and records all of these. The others train on generated data
within seconds.
"""

from ..loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "architecture_search",
    "budget",
    "choice",
    "cifar",
    "command_line",
    "degradation",
    "generated_blocks",
    "generated_boxes",
    "generated_border",
    "generated_branches",
    "generated_cells",
    "generated_chains",
    "generated_depth",
    "generated_fine_tuning",
    "generated_lesions",
    "generated_masks",
    "generated_skips",
    "generated_votes",
    "generated_equal_cost",
    "images",
    "lesion",
    "microscopy",
    "neighbors",
    "noisy_batch_norm",
    "parts",
    "residual_variance",
    "searched",
    "seeded",
    "segmentation",
    "shattered_gradients",
)
