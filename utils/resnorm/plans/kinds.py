"""What each kind of layer is: the options it takes, the shapes it maps, what it costs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Channels, height and width of what a layer gets or returns for one image.
Shape = tuple[int, int, int]
#: Options are kept within these bounds, so that a plan from anybody can be built safely.
LARGEST_WIDTH, LARGEST_KERNEL, MOST_BRANCHES = 4096, 31, 64
MOST_LAYERS, MOST_NESTING = 2000, 6


class PlanError(ValueError):
    """A plan cannot be built. The message says which layer is wrong, and how."""


@dataclass(frozen=True)
class Option:
    """What an option of a layer may be.

    Attributes:
        kind: its type.
        low: least value.
        high: largest value.
    """

    kind: type
    low: float
    high: float

    def includes(self, number: Any) -> bool:
        """Say whether a number lies within the bounds.

        Args:
            number: of the right type.
        """
        return self.low <= number <= self.high


WIDTH, KERNEL = Option(int, 1, LARGEST_WIDTH), Option(int, 1, LARGEST_KERNEL)
FLAG = Option(bool, 0, 1)


@dataclass(frozen=True)
class Kind:
    """A kind of layer without branches.

    Attributes:
        options: name -> what it may be; a layer gives all of them.
        output: maps the input's shape and the options to the output's shape; it raises PlanError
            where they do not fit.
        multiply_adds: maps both shapes and the options to multiply-adds for one image.
        make: maps the input's shape and the options to a module.
    """

    options: Mapping[str, Option]
    output: Callable[[Shape, dict[str, Any]], Shape]
    multiply_adds: Callable[[Shape, Shape, dict[str, Any]], int]
    make: Callable[[Shape, dict[str, Any]], nn.Module]


class PadChannels(nn.Module):
    """Append channels of zeros.

    Args:
        out: number of channels afterwards.

    Shape:
        (N, C, H, W) -> (N, out, H, W).
    """

    def __init__(self, out: int):
        super().__init__()
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        """Pad the batch."""
        return F.pad(x, (0, 0, 0, 0, 0, self.out - x.shape[1]))


class Flat(nn.Linear):
    """A linear layer over all values of an example, which keeps two axes of size 1.

    Shape:
        (N, C, H, W) -> (N, out_features, 1, 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the matrix."""
        return super().forward(x.flatten(1))[..., None, None]


def _same(shape: Shape, options: dict[str, Any]) -> Shape:
    return shape


def _free(before: Shape, after: Shape, options: dict[str, Any]) -> int:
    return 0


def _convolved(shape: Shape, options: dict[str, Any]) -> Shape:
    channels, *sides = shape
    out, kernel, groups = options["out"], options["kernel"], options["groups"]
    if channels % groups or out % groups:
        raise PlanError(f"{groups} groups do not divide {channels} input and {out} output channels")
    high, wide = (
        (side + 2 * (kernel // 2) - kernel) // options["stride"] + 1 if side else 0
        for side in sides
    )
    return out, high, wide


def _cost_of_conv(before: Shape, after: Shape, options: dict[str, Any]) -> int:
    per_value = before[0] // options["groups"] * options["kernel"] ** 2
    return after[0] * after[1] * after[2] * per_value


def _make_conv(shape: Shape, options: dict[str, Any]) -> nn.Module:
    kernel, rest = options["kernel"], {name: options[name] for name in ("groups", "bias", "stride")}
    return nn.Conv2d(shape[0], options["out"], kernel, padding=kernel // 2, **rest)


def _grouped(shape: Shape, options: dict[str, Any]) -> Shape:
    if shape[0] % options["groups"]:
        raise PlanError(f"{options['groups']} groups do not divide {shape[0]} channels")
    return shape


def _pooled(shape: Shape, options: dict[str, Any]) -> Shape:
    channels, high, wide = shape
    kernel, stride = options["kernel"], options["stride"]
    if min(high, wide) < kernel:
        raise PlanError(f"a window of {kernel} pixels does not fit into {high} x {wide}")
    return channels, (high - kernel) // stride + 1, (wide - kernel) // stride + 1


def _padded(shape: Shape, options: dict[str, Any]) -> Shape:
    if options["out"] < shape[0]:
        raise PlanError(f"there are {shape[0]} channels already, more than {options['out']}")
    return options["out"], shape[1], shape[2]


def _size(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


def _pointwise(make: Callable[[], nn.Module]) -> Kind:
    return Kind({}, _same, _free, lambda shape, options: make())


#: Kind of layer by its name.
KINDS: Mapping[str, Kind] = {
    "conv": Kind(
        {"out": WIDTH, "kernel": KERNEL, "stride": KERNEL, "groups": WIDTH, "bias": FLAG},
        _convolved,
        _cost_of_conv,
        _make_conv,
    ),
    "batch_norm": Kind({}, _same, _free, lambda shape, options: nn.BatchNorm2d(shape[0])),
    "group_norm": Kind(
        {"groups": WIDTH},
        _grouped,
        _free,
        lambda shape, options: nn.GroupNorm(options["groups"], shape[0]),
    ),
    "relu": _pointwise(nn.ReLU),
    "gelu": _pointwise(nn.GELU),
    "silu": _pointwise(nn.SiLU),
    "sigmoid": _pointwise(nn.Sigmoid),
    "max_pool": Kind(
        {"kernel": KERNEL, "stride": KERNEL},
        _pooled,
        _free,
        lambda shape, options: nn.MaxPool2d(options["kernel"], options["stride"]),
    ),
    "avg_pool": Kind(
        {"kernel": KERNEL, "stride": KERNEL},
        _pooled,
        _free,
        lambda shape, options: nn.AvgPool2d(options["kernel"], options["stride"]),
    ),
    "global_pool": Kind(
        {},
        lambda shape, options: (shape[0], 1, 1),
        _free,
        lambda shape, options: nn.AdaptiveAvgPool2d(1),
    ),
    "pad_channels": Kind(
        {"out": WIDTH}, _padded, _free, lambda shape, options: PadChannels(options["out"])
    ),
    "dropout": Kind(
        {"p": Option(float, 0, 0.95)},
        _same,
        _free,
        lambda shape, options: nn.Dropout(options["p"]),
    ),
    "linear": Kind(
        {"out": WIDTH, "bias": FLAG},
        lambda shape, options: (options["out"], 1, 1),
        lambda before, after, options: _size(before) * options["out"],
        lambda shape, options: Flat(_size(shape), options["out"], options["bias"]),
    ),
}


def _equal(shapes: list[Shape]) -> Shape:
    if len(set(shapes)) > 1:
        raise PlanError(f"the branches return {_listed(shapes)}, which cannot be added")
    return shapes[0]


def _stacked(shapes: list[Shape]) -> Shape:
    if len({shape[1:] for shape in shapes}) > 1:
        raise PlanError(f"the branches return {_listed(shapes)}: sides differ")
    return sum(shape[0] for shape in shapes), shapes[0][1], shapes[0][2]


def _scaled(shapes: list[Shape]) -> Shape:
    largest = max(shapes, key=_size)
    if any(shape not in (largest, (largest[0], 1, 1)) for shape in shapes):
        raise PlanError(f"the branches return {_listed(shapes)}, which cannot be multiplied")
    return largest


def _listed(shapes: list[Shape]) -> str:
    return " and ".join(str(shape) for shape in dict.fromkeys(shapes))


def _product(parts: list[Tensor]) -> Tensor:
    return functools.reduce(torch.mul, parts)


def _sum(parts: list[Tensor]) -> Tensor:
    return functools.reduce(torch.add, parts)


def _concatenated(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, 1)


#: Kind of layer with branches -> the shape of its output, and how it joins what they return.
JOINS: Mapping[str, tuple[Callable[[list[Shape]], Shape], Callable[[list[Tensor]], Tensor]]] = {
    "add": (_equal, _sum),
    "concat": (_stacked, _concatenated),
    "multiply": (_scaled, _product),
}


def checked_options(name: str, given: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Check the options of a layer.

    Args:
        name: of its kind.
        given: the options, without the kind.
        kind: what the layer may have.

    Returns:
        The options, with their exact types.

    Raises:
        PlanError: an option is missing, unknown, of another type or out of bounds.
    """
    if set(given) != set(kind.options):
        takes = ", ".join(kind.options) or "no options"
        has = ", ".join(map(str, given))[:80] or "none"
        raise PlanError(f"{name} takes {takes}, but has {has}")
    options = {}
    for key, allowed in kind.options.items():
        value = given[key]
        if allowed.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not allowed.kind or not allowed.includes(value):
            wanted = f"of type {allowed.kind.__name__}, from {allowed.low:g} to {allowed.high:g}"
            raise PlanError(f"{key} is {repr(value)[:50]}; it must be {wanted}")
        options[key] = value
    return options
