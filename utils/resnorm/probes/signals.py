"""Measure any module: activations, gradients, curvature along a step, loss surfaces.

Nothing here trains or draws. Every function leaves the module as it found it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LayerStatistics:
    """What one layer's output looks like, over batch and units.

    Attributes:
        name: of the layer, as in ``named_modules()``.
        mean, std, rms: of the activations.
        zeros: fraction of activations that are exactly zero (a dead or sleeping ReLU).
        grad_rms: root mean square of the loss gradient with respect to them; None without a loss.
    """

    name: str
    mean: float
    std: float
    rms: float
    zeros: float
    grad_rms: float | None


def select_layers(
    model: nn.Module, layers: Iterable[str | type] | None = None
) -> dict[str, nn.Module]:
    """Name -> module for the layers asked for, in the model's order.

    Args:
        layers: names as in ``named_modules()``, or classes; None takes every module without children.

    Raises:
        ValueError: a name that the model does not have, or a class of which it has none.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if layers is None:
        return {name: module for name, module in modules.items() if not any(module.children())}
    chosen: set[str] = set()
    for layer in layers:
        if isinstance(layer, type):
            found = {name for name, module in modules.items() if isinstance(module, layer)}
            what = f"a layer of class {layer.__name__}"
        else:
            found, what = {layer} & modules.keys(), f"a layer named {layer!r}"
        if not found:
            raise ValueError(
                f"the model has no {what.removeprefix('a ')}; its layers are {', '.join(modules)}"
            )
        chosen |= found
    return {name: module for name, module in modules.items() if name in chosen}


def layer_statistics(
    model: nn.Module,
    x: Tensor,
    layers: Iterable[str | type] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
) -> list[LayerStatistics]:
    """Statistics of each layer's output in one forward pass, and one backward pass with ``loss``.

    Args:
        model: any module; a layer that runs several times is reported for its last run.
        x: input batch.
        layers: see :func:`select_layers`.
        loss: maps the model's output to a scalar.
    """
    chosen = select_layers(model, layers)
    outputs: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_module, _inputs, output: Tensor) -> None:
            if output.requires_grad:
                output.retain_grad()
            outputs[name] = output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in chosen.items()]
    with _untouched(model):
        try:
            with torch.set_grad_enabled(loss is not None):
                y = model(x)
                if loss is not None:
                    loss(y).backward()
        finally:
            for handle in handles:
                handle.remove()
    return [
        LayerStatistics(
            name=name,
            mean=out.detach().mean().item(),
            std=out.detach().std(correction=0).item(),
            rms=_rms(out.detach()),
            zeros=(out == 0).double().mean().item(),
            grad_rms=None if out.grad is None else _rms(out.grad),
        )
        for name, out in outputs.items()
    ]


def _rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()


@contextmanager
def _untouched(model: nn.Module):
    """Restore buffers (running statistics) and parameter gradients at the end."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        for name, parameter in model.named_parameters():
            parameter.grad = grads[name]


# --- gradients with respect to inputs ---------------------------------------------------------


def input_gradients(model: nn.Module, x: Tensor) -> Tensor:
    """dy/dx of each example, for a model with one output: (n, d) -> (n, d).

    Examples must not influence each other, or the sum over them mixes their gradients: put batch
    norm in evaluation mode, or detach its statistics.

    Args:
        model: maps (n, d) to (n,) or (n, 1).
        x: (n, d) inputs.

    Raises:
        ValueError: the model gives more than one output an example.
    """
    x = x.detach().requires_grad_()
    with _untouched(model):
        y = model(x)
        if y.numel() != x.shape[0]:
            raise ValueError(
                f"the model gives {tuple(y.shape)} for {x.shape[0]} inputs; it must give one number each"
            )
        (gradient,) = torch.autograd.grad(y.sum(), x)
    return gradient


def autocorrelation(series: Tensor, max_lag: int) -> Tensor:
    """Autocorrelation of a series at lags 0 to ``max_lag``.

    The sum over pairs at each lag is divided by the sum of squares, both of the centred series
    (the biased estimator, as Balduzzi et al. 2017 plot it).

    Args:
        series: (n,) values at equally spaced points.
        max_lag: largest lag, less than n.

    Returns:
        (max_lag + 1,), the first entry 1.

    Raises:
        ValueError: ``max_lag`` out of range, or a constant series, which has none.
    """
    n = series.shape[0]
    if series.ndim != 1 or not 0 <= max_lag < n:
        raise ValueError(
            f"autocorrelation needs a series (n,) and max_lag < n, not {tuple(series.shape)} and {max_lag}"
        )
    centered = series - series.mean()
    energy = centered.square().sum()
    if energy == 0:
        raise ValueError("the series is constant: its autocorrelation is 0/0")
    return torch.stack(
        [(centered[: n - lag] * centered[lag:]).sum() / energy for lag in range(max_lag + 1)]
    )


def mean_pairwise_cosine(vectors: Tensor) -> float:
    """Mean cosine between all pairs of different rows of (n, d)."""
    unit = nn.functional.normalize(vectors, dim=1)
    n = len(unit)
    gram = unit @ unit.T
    return ((gram.sum() - gram.diagonal().sum()) / (n * (n - 1))).item()


# --- the loss around a point of parameter space -----------------------------------------------


@contextmanager
def _parameters_restored(model: nn.Module):
    saved = [parameter.detach().clone() for parameter in model.parameters()]
    try:
        yield saved
    finally:
        with torch.no_grad():
            for parameter, old in zip(model.parameters(), saved):
                parameter.copy_(old)


def _gradient(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> tuple[float, list[Tensor]]:
    value = loss(model)
    gradients = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return value.item(), [
        torch.zeros_like(p) if g is None else g for g, p in zip(gradients, model.parameters())
    ]


@dataclass(frozen=True)
class StepProfile:
    """How the loss and its gradient change along one gradient step (Santurkar et al. 2018, figure 4).

    Attributes:
        step_sizes: of the steps tried, in units of the gradient.
        losses: loss after each step.
        gradient_changes: length of the difference between the gradients before and after each step.
        beta_smoothness: the largest such difference over the distance moved.
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
        model: its parameters and buffers are restored afterwards.
        loss: maps the model to a scalar, on a fixed batch.
        step_sizes: positive, in units of the gradient (a learning rate of plain SGD).

    Raises:
        ValueError: no step sizes, or one that is not positive.
    """
    if not step_sizes or min(step_sizes) <= 0:
        raise ValueError(f"step_sizes is {list(step_sizes)}; give one or more positive numbers")
    losses, changes, ratios = [], [], []
    with _untouched(model), _parameters_restored(model) as start:
        _, gradient = _gradient(model, loss)
        length = sum(g.square().sum() for g in gradient).sqrt().item()
        for step in step_sizes:
            with torch.no_grad():
                for parameter, old, g in zip(model.parameters(), start, gradient):
                    parameter.copy_(old - step * g)
            value, moved = _gradient(model, loss)
            change = sum((a - b).square().sum() for a, b in zip(moved, gradient)).sqrt().item()
            losses.append(value)
            changes.append(change)
            ratios.append(change / (step * length))
    return StepProfile(tuple(step_sizes), tuple(losses), tuple(changes), max(ratios))


def filter_normalized_direction(
    model: nn.Module, generator: torch.Generator | None = None
) -> list[Tensor]:
    """A random direction in parameter space, each filter as long as the model's own.

    A network with norms does not notice the scale of its weights, so a raw random direction
    measures that scale, not the surface. Biases and norm parameters (one dimension) stay put.

    Args:
        model: gives the lengths; a filter is a slice of the first axis.
        generator: of the random numbers.

    Source: Li et al. (2018), section 4.
    """
    direction = []
    for parameter in model.parameters():
        if parameter.ndim < 2:
            direction.append(torch.zeros_like(parameter))
            continue
        d = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype).to(
            parameter.device
        )
        rows, lengths = d.flatten(1), parameter.detach().flatten(1).norm(dim=1, keepdim=True)
        direction.append((rows / rows.norm(dim=1, keepdim=True) * lengths).view_as(parameter))
    return direction


def loss_surface(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    directions: tuple[list[Tensor], list[Tensor]],
    extent: float = 1.0,
    points: int = 21,
) -> tuple[Tensor, Tensor]:
    """Loss on a square grid around the model, spanned by two directions.

    Args:
        model: the centre; its parameters and buffers are restored afterwards.
        loss: maps the model to a scalar, on a fixed batch.
        directions: two of :func:`filter_normalized_direction`.
        extent: the grid reaches from -extent to extent in both directions.
        points: grid points a side, odd so that the centre is one of them.

    Returns:
        ``(coordinates, losses)`` of shapes (points,) and (points, points); the first axis of
        ``losses`` follows the first direction.

    Raises:
        ValueError: an even number of points, or directions of another model.

    Source: Li et al. (2018), equation 1.
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
    losses = torch.empty(points, points)
    with torch.no_grad(), _untouched(model), _parameters_restored(model) as start:
        for i, a in enumerate(coordinates.tolist()):
            for j, b in enumerate(coordinates.tolist()):
                for parameter, old, u, v in zip(model.parameters(), start, *directions):
                    parameter.copy_(old + a * u + b * v)
                losses[i, j] = loss(model)
    return coordinates, losses
