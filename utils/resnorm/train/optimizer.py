"""Which parameters the optimizer trains, how fast, for how long, and which of them decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    decay_all: bool,
    norm_bias_rate: float = 1.0,
    train_until: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Group the trainable parameters for an optimizer and for :func:`set_learning_rates`.

    Args:
        model: parameters that do not require gradients are left out.
        weight_decay: coefficient of the weight decay.
        decay_all: False exempts norms and biases, that is, every parameter of one dimension.
        norm_bias_rate: the learning rate of the norms' biases as a multiple of the others'. Their
            weight decay is divided by it, because SGD multiplies it by the learning rate: they
            decay as fast as before.
        train_until: name of a parameter -> the fraction of the training after which it stays as it
            is.

    Returns:
        Groups as ``torch.optim`` expects them. A group with a learning rate of its own has the keys
        ``"rate"``, the multiple, and ``"until"``, the fraction of the training.

    Raises:
        ValueError: ``norm_bias_rate`` is not positive, or ``train_until`` names no trainable
            parameter.

    Source: Jordan (2024), section 3, on scaled biases; airbench94 has a multiple of 64.
    """
    if not norm_bias_rate > 0:
        raise ValueError(f"norm_bias_rate is {norm_bias_rate}; it must be positive")
    names = {p: name for name, p in model.named_parameters() if p.requires_grad}
    until = dict(train_until or {})
    if unknown := set(until) - set(names.values()):
        raise ValueError(
            f"train_until names {', '.join(sorted(unknown))}; the trainable parameters are "
            f"{', '.join(names.values())}"
        )
    biases = _norm_biases(model) if norm_bias_rate != 1 else set()

    def own_pace(group: dict[str, Any]) -> list[dict[str, Any]]:
        """Split a group by the rate of its parameters and by how long they are trained."""
        usual: dict[str, Any] = {"params": [], "weight_decay": group["weight_decay"]}
        parts = {(1.0, 1.0): usual}
        for p in group["params"]:
            rate, end = norm_bias_rate if p in biases else 1.0, until.get(names[p], 1.0)
            special = {"weight_decay": group["weight_decay"] / rate, "rate": rate, "until": end}
            parts.setdefault((rate, end), {"params": [], **special})["params"].append(p)
        return list(parts.values())

    trainable = list(names)
    if decay_all:
        return own_pace({"params": trainable, "weight_decay": weight_decay})
    return [
        *own_pace({"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay}),
        *own_pace({"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0}),
    ]


def make_sgd(
    groups: list[dict[str, Any]], lr: float, momentum: float, nesterov: bool, *, fused: bool
) -> torch.optim.SGD:
    """Make the optimizer, such that any parameter may get its first gradient at any step.

    Stochastic depth skips blocks, so that their parameters have no gradient in a step. The fused
    step starts the momentum of all parameters together, and fails where some start later than
    others. Momentum that starts at zero gives the same steps, and is there for all of them.

    Args:
        groups: as from :func:`parameter_groups`; the parameters are where they will be trained.
        lr: learning rate.
        momentum: in [0, 1).
        nesterov: use Nesterov's form of the momentum.
        fused: update all parameters by one kernel, which a GPU does without waiting for the loss
            scale.

    Returns:
        The optimizer.
    """
    optimizer = torch.optim.SGD(groups, lr, momentum, nesterov=nesterov, fused=fused or None)
    if fused and momentum:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def set_learning_rates(optimizer: torch.optim.Optimizer, lr: float, progress: float) -> None:
    """Set the learning rate of each group for the next step.

    Args:
        optimizer: with the groups of :func:`parameter_groups`.
        lr: the learning rate of those without a rate of their own.
        progress: of the training, in [0, 1).
    """
    for group in optimizer.param_groups:
        trained = progress < group.get("until", 1.0)
        group["lr"] = lr * group.get("rate", 1.0) if trained else 0.0


def _norm_biases(model: nn.Module) -> set[nn.Parameter]:
    """Find the biases beside a scale: one number per channel, as norms have and no convolution."""
    return {
        bias
        for module in model.modules()
        for scale, bias in [(getattr(module, "weight", None), getattr(module, "bias", None))]
        if isinstance(bias, nn.Parameter) and isinstance(scale, nn.Parameter) and scale.ndim == 1
    }
