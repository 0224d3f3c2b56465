"""The loss around a point of parameter space, along directions fitted to the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..restoring import buffers_and_gradients_restored, parameters_restored
from .hooks import widened


def filter_normalized_direction(
    model: nn.Module, generator: torch.Generator | None = None
) -> list[Tensor]:
    """Draw a random direction in parameter space in which each filter is as long as the model's.

    A network with norms does not notice the scale of its weights, so a raw random direction would
    measure that scale and not the surface. Biases and norm parameters, which have one dimension,
    stay put.

    Args:
        model: gives the lengths; a filter is a slice of the first axis.
        generator: source of the random numbers, on the CPU; None takes torch's global generator.

    Returns:
        One tensor per parameter, of the parameter's shape.

    Source:
        Li et al. (2018), section 4.
    """
    direction = []
    for parameter in model.parameters():
        if parameter.ndim < 2:
            direction.append(torch.zeros_like(parameter))
            continue
        d = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        rows = widened(d.to(parameter.device)).flatten(1)
        filters = widened(parameter.detach()).flatten(1)
        fitted = rows / rows.norm(dim=1, keepdim=True) * filters.norm(dim=1, keepdim=True)
        direction.append(fitted.view_as(parameter).to(parameter.dtype))
    return direction


def loss_surface(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    directions: tuple[Sequence[Tensor], Sequence[Tensor]],
    extent: float = 1.0,
    points: int = 21,
) -> tuple[Tensor, Tensor]:
    """Compute the loss on a square grid around the model, spanned by two directions.

    Args:
        model: the center; its parameters and buffers are restored afterwards.
        loss: maps the model to a scalar, on a fixed batch.
        directions: two results of :func:`filter_normalized_direction`.
        extent: the grid reaches from -extent to extent in both directions.
        points: grid points per side, odd so that the center is one of them.

    Returns:
        ``(coordinates, losses)`` of shapes (points,) and (points, points); the first axis of
        ``losses`` follows the first direction. The losses have the dtype of the loss, at least
        float32.

    Raises:
        ValueError: ``points`` is even, or the directions belong to another model.

    Source:
        Li et al. (2018), equation 1.
    """
    if points % 2 == 0:
        raise ValueError(
            f"points={points} is even: the grid would miss the model itself; take {points + 1}"
        )
    shapes = [p.shape for p in model.parameters()]
    if any([d.shape for d in direction] != shapes for direction in directions):
        raise ValueError(
            "the directions do not fit the model's parameters: draw them from this model"
        )
    coordinates = torch.linspace(-extent, extent, points)
    coordinates[points // 2] = 0  # and not a rounding error: the model itself
    losses = []
    with (
        torch.no_grad(),
        buffers_and_gradients_restored(model),
        parameters_restored(model.parameters()) as start,
    ):
        for a in coordinates.tolist():
            for b in coordinates.tolist():
                at_start = zip(model.parameters(), start, *directions, strict=True)
                for parameter, old, u, v in at_start:
                    parameter.data.copy_(old + a * u + b * v)
                losses.append(torch.as_tensor(loss(model)).detach().reshape(()).cpu())
    return coordinates, widened(torch.stack(losses)).view(points, points)
