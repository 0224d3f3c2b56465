"""Build the module that a plan describes, and count what it costs without running it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .kinds import (
    JOINS,
    KINDS,
    MOST_BRANCHES,
    MOST_LAYERS,
    MOST_NESTING,
    PlanError,
    Shape,
    checked_options,
)

#: Images of CIFAR-10.
IMAGE: Shape = (3, 32, 32)
#: Values that all layers of a network may return for one image, together.
MOST_VALUES = 8_000_000


@dataclass(frozen=True)
class Cost:
    """What a network costs, counted from its plan.

    Attributes:
        parameters: number of trained values; running statistics are none.
        multiply_adds: for one image, of convolutions and linear layers.
        output: number of outputs for one image.
        largest: number of values that the largest output of a layer has for one image.
    """

    parameters: int
    multiply_adds: int
    output: int
    largest: int


class Branches(nn.Module):
    """Give the same input to several branches, and join what they return.

    Args:
        kind: a key of ``JOINS``.
        branches: modules.

    Shape:
        (N, C, H, W) -> (N, C', H', W').
    """

    def __init__(self, kind: str, branches: list[nn.Module]):
        super().__init__()
        self.kind, self.branches = kind, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Run the branches one after another."""
        return JOINS[self.kind][1]([branch(x) for branch in self.branches])

    def extra_repr(self) -> str:
        """Name the operation that joins the branches."""
        return self.kind


class PlannedNetwork(nn.Sequential):
    """A network that was built from a plan, which it keeps as ``plan``.

    Args:
        plan: layers, see :mod:`resnorm.plans.vocabulary`.
        image: channels, height and width of an image.

    Shape:
        (N, C, H, W) -> (N, outputs), the logits.

    Raises:
        PlanError: a layer is unknown or does not fit, or the plan is larger than anybody needs.
    """

    def __init__(self, plan: list[dict[str, Any]], image: Shape = IMAGE):
        builder = _Builder()
        layers, shape = builder.sequence(plan, image, "")
        super().__init__(*layers)
        self.plan = copy.deepcopy(plan)  # whoever made it may go on with the list
        self.cost = Cost(
            parameters=sum(p.numel() for p in self.parameters()),
            multiply_adds=builder.multiply_adds,
            output=math.prod(shape),
            largest=builder.largest,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch."""
        return super().forward(x).flatten(1)


def build(plan: list[dict[str, Any]], image: Shape = IMAGE) -> PlannedNetwork:
    """Build a network, randomly initialized as PyTorch initializes its layers.

    Args:
        plan: layers, see :mod:`resnorm.plans.vocabulary`.
        image: channels, height and width of an image.

    Returns:
        The network.

    Raises:
        PlanError: a layer is unknown or does not fit, or the plan is larger than anybody needs.
    """
    cost(plan, image)  # before memory is taken for the weights
    return PlannedNetwork(plan, image)


def cost(plan: list[dict[str, Any]], image: Shape = IMAGE) -> Cost:
    """Count what a network costs. Nothing is computed, and no memory is taken for its weights.

    Args:
        plan: layers, see :mod:`resnorm.plans.vocabulary`.
        image: channels, height and width of an image.

    Returns:
        Its counts.

    Raises:
        PlanError: a layer is unknown or does not fit, or the plan is larger than anybody needs.
    """
    with torch.device("meta"):
        return PlannedNetwork(plan, image).cost


class _Builder:
    """Makes modules and keeps account of layers, multiply-adds and values."""

    def __init__(self) -> None:
        self.layers = self.multiply_adds = self.values = self.largest = 0

    def sequence(self, plan: Any, shape: Shape, place: str) -> tuple[list[nn.Module], Shape]:
        """The modules of layers in a row, and the shape of what the last one returns."""
        if type(plan) is not list:
            where = place or "the plan"
            raise PlanError(f"{where} must be a list of layers, but is of type {_type(plan)}")
        modules: list[nn.Module] = []
        for number, layer in enumerate(plan, 1):
            here = f"{place}, layer {number}" if place else f"layer {number}"
            try:
                module, shape = self.layer(layer, shape, here)
            except PlanError as problem:
                if str(problem).startswith("layer "):  # it says already where it is
                    raise
                kind = layer.get("layer") if type(layer) is dict else _type(layer)
                raise PlanError(f"{here} ({str(kind)[:30]}): {problem}") from None
            modules.append(module)
        return modules, shape

    def layer(self, layer: Any, shape: Shape, place: str) -> tuple[nn.Module, Shape]:
        """The module of one layer, and the shape of what it returns."""
        self.layers += 1
        if self.layers > MOST_LAYERS:
            raise PlanError(f"a plan has at most {MOST_LAYERS} layers")
        if type(layer) is not dict or type(layer.get("layer")) is not str:
            raise PlanError("a layer is what a function of resnorm.plans returns, such as relu()")
        name, given = layer["layer"], {key: layer[key] for key in layer if key != "layer"}
        if name in JOINS:
            return self.branched(name, given, shape, place)
        if name not in KINDS:
            raise PlanError(f"there is no such layer; there are {', '.join([*KINDS, *JOINS])}")
        options = checked_options(name, given, KINDS[name])
        after = KINDS[name].output(shape, options)
        self.multiply_adds += KINDS[name].multiply_adds(shape, after, options)
        self.count(after)
        return KINDS[name].make(shape, options), after

    def branched(
        self, name: str, given: dict[str, Any], shape: Shape, place: str
    ) -> tuple[nn.Module, Shape]:
        """The module of a layer with branches, and the shape of what it returns."""
        branches = given.get("branches")
        if set(given) != {"branches"} or type(branches) is not list:
            raise PlanError(f"{name} takes branches, which are lists of layers")
        if not 2 <= len(branches) <= MOST_BRANCHES:
            raise PlanError(f"{name} has {len(branches)} branches; give 2 to {MOST_BRANCHES}")
        if place.count("branch") >= MOST_NESTING:
            raise PlanError(f"branches are nested more than {MOST_NESTING} deep")
        made: list[nn.Module] = []
        shapes: list[Shape] = []
        for number, branch in enumerate(branches, 1):
            modules, after = self.sequence(branch, shape, f"{place}, branch {number}")
            made.append(nn.Sequential(*modules))
            shapes.append(after)
        joined = JOINS[name][0](shapes)
        self.count(joined)
        return Branches(name, made), joined

    def count(self, shape: Shape) -> None:
        """Add what a layer returns to the account."""
        size = math.prod(shape)
        if not size:
            raise PlanError("nothing is left of the image here: use fewer strides")
        self.values, self.largest = self.values + size, max(self.largest, size)
        if self.values > MOST_VALUES:
            raise PlanError(f"the layers up to here return more than {MOST_VALUES:,} values")


def _type(value: object) -> str:
    return type(value).__name__
