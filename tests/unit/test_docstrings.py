"""Every public name has a docstring, which lists each of its arguments on a line of its own."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import pytest
import torch
from torch import nn

import resnorm

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(resnorm.__path__, "resnorm.")
    if not name.endswith("__main__")
]


def listed(doc, *titles):
    """The names that a docstring lists under one of the titles, in order."""
    lines = iter(inspect.cleandoc(doc or "").split("\n"))
    names = []
    for line in lines:
        if line.rstrip(":") in titles and line.endswith(":"):
            for entry in lines:
                if entry and not entry.startswith(" "):
                    break
                if match := re.match(r" {4}(\*{0,2}\w+)(?: \([^)]*\))?:", entry):
                    names.append(match[1].lstrip("*"))
    return names


def parameters(function):
    """The names of a function's public parameters, in order."""
    found = list(inspect.signature(function).parameters)
    return [name for name in found if name not in ("self", "cls") and not name.startswith("_")]


def of_its_own(owner, name):
    """Whether a class introduces the method, so that no base class describes it already."""
    return not any(name in vars(base) for base in owner.__mro__[1:])


def has_shape(cls):
    """Whether the docstring of a class, or of one it inherits from, says what goes in and out."""
    return any("Shape:" in (vars(base).get("__doc__") or "") for base in cls.__mro__)


def faults_of_constructor(name, cls):
    """What the docstring of a class leaves out of its constructor's arguments."""
    if getattr(cls, "_is_protocol", False):
        return
    if dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
        if (given := listed(cls.__doc__, "Args", "Attributes")) != fields:
            yield f"{name} lists {given}, but has {fields}"
    elif not issubclass(cls, BaseException | torch.autograd.Function) and "__init__" in vars(cls):
        wanted = parameters(cls.__init__)
        if (given := listed(cls.__doc__, "Args")) != wanted:
            yield f"{name} lists {given}, but takes {wanted}"


def faults_of_class(name, cls):
    if not cls.__doc__:
        yield f"{name} has no docstring"
        return
    yield from faults_of_constructor(name, cls)
    for key, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if key.startswith("_") or not inspect.isfunction(function):
            continue
        if issubclass(cls, torch.autograd.Function) and key in ("forward", "backward"):
            continue
        if issubclass(cls, nn.Module) and key == "forward":
            if not has_shape(cls) and listed(function.__doc__, "Args") != parameters(function):
                yield f"{name} has neither Shape in its docstring nor Args in that of forward"
        elif of_its_own(cls, key):
            yield from faults_of_function(f"{name}.{key}", function)


def faults_of_function(name, function):
    if not function.__doc__:
        yield f"{name} has no docstring"
    elif (given := listed(function.__doc__, "Args")) != (wanted := parameters(function)):
        yield f"{name} lists {given}, but takes {wanted}"


def faults_of_module(module):
    """A sentence for every fault of what a module defines."""
    if not module.__doc__:
        yield f"{module.__name__} has no docstring"
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from faults_of_class(name, value)
        elif inspect.isfunction(inspect.unwrap(value)):
            yield from faults_of_function(name, inspect.unwrap(value))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_name_every_argument(name):
    assert list(faults_of_module(importlib.import_module(name))) == []


# --- examples in which every fault is found -------------------------------------------------------


def complete(x, *rest, y=1, **options):
    """Do it.

    Args:
        x: the input, a tensor.
            It continues here: with a colon.
        *rest: more.
        y: how often.
        **options: what else there is.

    Returns:
        z: nothing.
    """


def one_is_missing(x, y):
    """Do it.

    Args:
        x: the input.
    """


def one_is_too_many(x):
    """Do it.

    Args:
        x: the input.
        y: is gone.
    """


def none_is_listed(x):
    """Do it."""


def not_described(x):
    pass


class Good(nn.Module):
    """A layer.

    Args:
        size: number of features.

    Shape:
        (N, size) -> (N, size)
    """

    def __init__(self, size):
        super().__init__()

    def forward(self, x):
        return x


class InheritsShape(Good):
    """Another layer."""

    def forward(self, x):
        return -x


class WithoutShape(nn.Module):
    """A layer."""

    def forward(self, x):
        return x


class WithoutArguments:
    """A thing."""

    def __init__(self, size):
        self.size = size


class WithAMethod:
    """A thing."""

    def grow(self, by):
        """Make it larger."""


@dataclasses.dataclass
class Fields:
    """A pair.

    Attributes:
        first: the first.
    """

    first: int
    second: int


class NotDescribed:
    pass


def faults_of(value):
    check = faults_of_class if inspect.isclass(value) else faults_of_function
    return list(check(value.__name__, value))


@pytest.mark.parametrize("value", [complete, Good, InheritsShape])
def test_a_good_docstring_has_no_fault(value):
    assert faults_of(value) == []


@pytest.mark.parametrize(
    "value, words",
    [
        (one_is_missing, "one_is_missing lists ['x'], but takes ['x', 'y']"),
        (one_is_too_many, "one_is_too_many lists ['x', 'y'], but takes ['x']"),
        (none_is_listed, "none_is_listed lists [], but takes ['x']"),
        (not_described, "not_described has no docstring"),
        (WithoutShape, "WithoutShape has neither Shape"),
        (WithoutArguments, "WithoutArguments lists [], but takes ['size']"),
        (WithAMethod, "WithAMethod.grow lists [], but takes ['by']"),
        (Fields, "Fields lists ['first'], but has ['first', 'second']"),
        (NotDescribed, "NotDescribed has no docstring"),
    ],
)
def test_a_fault_of_a_docstring_is_found(value, words):
    (fault,) = faults_of(value)
    assert fault.startswith(words)
