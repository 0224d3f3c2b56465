"""Arms that ask how the test error depends on time, data and width (chapter 2.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .arms import Arm, Training


def epoch_wise(training: Training) -> dict[str, Arm]:
    """Three widths with and without careless labels, to be trained far beyond the fit.

    Args:
        training: how all of them are trained.

    Returns:
        Name -> arm.

    Source: Nakkiran et al. (2020), section 6.
    """
    return {
        f"width {width}, {kind}": Arm(
            "ConvNet",
            replace(training, wrong_labels=wrong),
            {"norm": "batch", "widths": (width, 2 * width, 4 * width), "depth": 2},
        )
        for wrong, kind in ((0.2, "20 % wrong labels"), (0.0, "all labels right"))
        for width in (4, 16, 32)
    }


def scaling(training: Training, steps: int, sizes: Iterable[int]) -> dict[str, Arm]:
    """Each of three widths with each number of images, in the same number of steps.

    Args:
        training: how all of them are trained, except for the number of epochs.
        steps: number of steps of each run.
        sizes: numbers of training images.

    Returns:
        Name -> arm.
    """
    return {
        f"width {width}, {images:,} images": Arm(
            "ConvNet",
            replace(
                training,
                images=images,
                epochs=steps // (images // training.batch_size),
                curve=False,
            ),
            {"norm": "batch", "widths": (width, 2 * width, 4 * width), "depth": 2},
        )
        for width in (8, 16, 32)
        for images in sizes
    }
