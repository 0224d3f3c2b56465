"""Arms that take the recipe of airbench94 apart (chapter 4.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .arms import Arm, Training
from .tuning import at_rates

#: The recipe of airbench94 (Jordan 2024; script airbench94.py), with 10 epochs in place of 9.9. Its
#: rate of 11.5 and its decay of 0.0153 are decoupled from the momentum and for sums over 1,024
#: images: for means, SGD with momentum 0.85 has a rate of 11.5 / (1 + 1 / 0.15) = 1.5 and a decay
#: of 0.0153 / 11.5. Freezing the bias of the whitening makes the original faster; here, where its
#: learning rate becomes 0, it only ends the training of that bias at the same point.
TRAINING = Training(
    epochs=10,
    batch_size=1024,
    lr=1.5,
    momentum=0.85,
    nesterov=True,
    weight_decay=1.33e-3,
    norm_bias_rate=64.0,
    train_until=(("whitening.bias", 0.3),),
    lookahead=True,
    label_smoothing=0.2,
    schedule="one cycle",
    warm_up=0.23,
    initial=0.2,
    final=0.07,
    padding=2,
    padding_mode="reflect",
    alternating_flip=True,
    compile=True,
    curve=False,
)
#: The network of airbench94.
OPTIONS: dict[str, Any] = {
    "widths": (64, 256, 256),
    "flip_average": True,
    "shift_average": True,
    "activation": "gelu",
    "norm_scales": False,
    "whitening_bias": True,
}
#: What leaving out a part changes in the training, and in the network.
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "whitening": ({"train_until": ()}, {"whitened": False}),
    "scaled biases": ({"norm_bias_rate": 1.0}, {}),
    "identity start": ({}, {"identity_start": False}),
    "multi-crop": ({}, {"shift_average": False}),
    "alternating flip": ({"alternating_flip": False}, {}),
    "lookahead": ({"lookahead": False}, {}),
    "whitening bias": ({"train_until": ()}, {"whitening_bias": False}),
    "GELU": ({}, {"activation": "relu"}),
    "fixed norm scales": ({}, {"norm_scales": True}),
}


def without(*parts: str) -> Arm:
    """Make an arm of the recipe that lacks some of its parts.

    Args:
        *parts: keys of ``PARTS``; none gives the whole recipe.

    Returns:
        The arm. Without multi-crop it still averages over the flip.
    """
    training, options = TRAINING, OPTIONS
    for part in parts:
        changed, other = PARTS[part]
        training, options = replace(training, **changed), options | other
    return Arm("SpeedNet", training, options)


def ablation() -> dict[str, Arm]:
    """Take out each part by itself, and all of them, with whitening and without."""
    arms = {"all": without()} | {f"without {part}": without(part) for part in PARTS}
    arms["whitening alone"] = without(*(part for part in PARTS if part != "whitening"))
    return arms | {"none": without(*PARTS)}


def at_lengths(lengths: Iterable[int]) -> dict[str, Arm]:
    """Train the whole recipe for several numbers of epochs.

    Args:
        lengths: the numbers of epochs.

    Returns:
        ``"N epochs"`` -> arm.
    """
    arm = without()
    return {
        f"{epochs} epochs": replace(arm, training=replace(arm.training, epochs=epochs))
        for epochs in lengths
    }


def rate_search() -> dict[str, Arm]:
    """Train the whole recipe at five learning rates around the published one."""
    return at_rates({"all": without()}, (0.375, 0.75, 1.5, 3.0, 6.0))
