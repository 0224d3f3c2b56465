"""Arms that compare four generations of networks at the multiply-adds of LeNet-5 (chapter 1.1)."""

from __future__ import annotations

from typing import Any

from .arms import Arm, Training
from .tuning import at_rates

#: Learning rates to search, each about three times the one before.
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def generations(training: Training) -> dict[str, Arm]:
    """Each generation with and without batch norm, each at every learning rate.

    LeNet-5 comes with tanh and average pooling as well, and VGG with the Inception network's head.

    Args:
        training: how all of them are trained, except for the learning rate.

    Returns:
        Name -> arm.
    """
    networks = {
        "LeNet-5, ReLU and max": "small LeNet-5",
        "small AlexNet": "small AlexNet",
        "small VGG": "small VGG",
        "small Inception": "small Inception",
    }
    options: dict[str, Any] = {"norm": "none", "activation": "tanh", "pooling": "average"}
    arms = {"LeNet-5": Arm("small LeNet-5", training, options)}
    for name, model in networks.items():
        arms[name] = Arm(model, training, {"norm": "none"})
        arms[f"{name}, batch norm"] = Arm(model, training, {"norm": "batch"})
    options = {"norm": "batch", "head": "global"}
    arms["small VGG, batch norm, global head"] = Arm("small VGG", training, options)
    return at_rates(arms, RATES)
