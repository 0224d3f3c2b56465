"""Which parameters the optimizer trains, and which of them decay."""

from __future__ import annotations

from typing import Any

from torch import nn


def parameter_groups(
    model: nn.Module, weight_decay: float, decay_all: bool
) -> list[dict[str, Any]]:
    """Group the trainable parameters for an optimizer.

    Args:
        model: parameters that do not require gradients are left out.
        weight_decay: coefficient of the weight decay.
        decay_all: False exempts norms and biases, that is, every parameter of one dimension.

    Returns:
        Groups as ``torch.optim`` expects them.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if decay_all:
        return [{"params": trainable, "weight_decay": weight_decay}]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
