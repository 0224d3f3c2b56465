"""How the loss and its gradient change along one gradient step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..restoring import buffers_and_gradients_restored, parameters_restored
from .hooks import widened


@dataclass(frozen=True)
class StepProfile:
    """How the loss and its gradient change along one gradient step.

    Attributes:
        step_sizes: of the steps tried, in units of the gradient.
        losses: loss after each step.
        gradient_changes: length of the difference between the gradients before and after each
            step.
        beta_smoothness: the largest ratio of such a difference to the distance moved; NaN if one
            of them is NaN, or if the gradient is zero, so that nothing moves.
    """

    step_sizes: tuple[float, ...]
    losses: tuple[float, ...]
    gradient_changes: tuple[float, ...]
    beta_smoothness: float


def gradient_step_profile(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], step_sizes: Sequence[float]
) -> StepProfile:
    """Walk along the negative gradient and measure the loss and the gradient on the way.

    Args:
        model: its parameters, buffers and gradients are restored afterwards; frozen parameters
            stay where they are, and have no part in the gradient.
        loss: maps the model to a scalar, on a fixed batch.
        step_sizes: positive, in units of the gradient (a learning rate of plain SGD).

    Returns:
        One loss and one change of the gradient per step size.

    Raises:
        ValueError: there are no step sizes, one is not positive, or all parameters are frozen.

    Source:
        Santurkar et al. (2018), section 3.1 and figure 4.
    """
    if not step_sizes or min(step_sizes) <= 0:
        raise ValueError(f"step_sizes is {list(step_sizes)}; give one or more positive numbers")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("every parameter of the model is frozen: let some have requires_grad=True")
    losses, changes, ratios = [], [], []
    with buffers_and_gradients_restored(model), parameters_restored(trained) as start:
        _, gradient = _loss_and_gradient(model, loss, trained)
        length = _length(gradient)
        for step in step_sizes:
            with torch.no_grad():
                for parameter, old, g in zip(trained, start, gradient, strict=True):
                    parameter.data.copy_(old - step * g)
            value, moved = _loss_and_gradient(model, loss, trained)
            change = _length([a - b for a, b in zip(moved, gradient, strict=True)])
            losses.append(value)
            changes.append(change)
            ratios.append(change / (step * length) if step * length else math.nan)
    beta = math.nan if any(map(math.isnan, ratios)) else max(ratios)
    return StepProfile(tuple(step_sizes), tuple(losses), tuple(changes), beta)


def _loss_and_gradient(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], parameters: Sequence[nn.Parameter]
) -> tuple[float, list[Tensor]]:
    """Return the loss and its gradient, which is zero for parameters that the loss ignores."""
    value = loss(model)
    gradients = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
    return value.item(), list(gradients)


def _length(vectors: Sequence[Tensor]) -> float:
    """Return the Euclidean length of all the tensors taken as one vector."""
    wide = [widened(v) for v in vectors]
    squares = sum((v.square().sum() for v in wide), start=wide[0].new_zeros(()))
    return squares.sqrt().item()
