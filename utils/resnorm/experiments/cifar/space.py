"""The arms of the small space of networks that chapter 3.7 searches, each trained once."""

from __future__ import annotations

from itertools import product
from typing import Any

from ...models.search_space import DECISIONS, widest
from .arms import Arm, Training

#: Multiply-adds for one image that every network of the space may spend.
BUDGET = 500_000


def choices() -> list[dict[str, Any]]:
    """List the networks of the space.

    Returns:
        A value for each key of :data:`resnorm.models.search_space.DECISIONS`, for each network.
    """
    return [dict(zip(DECISIONS, values, strict=True)) for values in product(*DECISIONS.values())]


def name_of(choice: dict[str, Any]) -> str:
    """Name a network in the record by its choices.

    Args:
        choice: a value for each decision.

    Returns:
        Such as ``"inverted 3x3, 2 blocks, growth 1.5, gates, no shortcut"``.
    """
    return (
        f"{choice['kind']} {choice['kernel']}x{choice['kernel']}, {choice['blocks']} "
        f"block{'s' * (choice['blocks'] > 1)}, growth {choice['growth']:g}, "
        f"{'gates' if choice['gates'] else 'no gates'}, "
        f"{'shortcut' if choice['shortcut'] else 'no shortcut'}"
    )


def space(training: Training) -> dict[str, Arm]:
    """Every network of the space, each as wide as the budget allows.

    Args:
        training: how all of them are trained.

    Returns:
        Name -> arm.
    """
    return {
        name_of(choice): Arm(
            "space", training, {"width": widest(choice, BUDGET, training.side), **choice}
        )
        for choice in choices()
    }
