"""Every public name says what it does, and names each of its arguments on a line of its own."""

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
    found = list(inspect.signature(function).parameters)
    return [name for name in found if name not in ("self", "cls") and not name.startswith("_")]


def of_its_own(owner, name):
    """Whether a class introduces the method, so that no base class describes it already."""
    return not any(name in vars(base) for base in owner.__mro__[1:])


def faults_of_class(name, cls):
    if not cls.__doc__:
        yield f"{name} has no docstring"
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
        if (given := listed(cls.__doc__, "Args", "Attributes")) != fields:
            yield f"{name} lists {given}, but has {fields}"
    elif not issubclass(cls, BaseException | torch.autograd.Function) and "__init__" in vars(cls):
        wanted = parameters(cls.__init__)
        if (given := listed(cls.__doc__, "Args")) != wanted:
            yield f"{name} lists {given}, but takes {wanted}"
    for key, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if key.startswith("_") or not inspect.isfunction(function) or not of_its_own(cls, key):
            continue
        if issubclass(cls, nn.Module | torch.autograd.Function) and key in ("forward", "backward"):
            continue
        yield from faults_of_function(f"{name}.{key}", function)


def faults_of_function(name, function):
    if not function.__doc__:
        yield f"{name} has no docstring"
    elif (given := listed(function.__doc__, "Args")) != (wanted := parameters(function)):
        yield f"{name} lists {given}, but takes {wanted}"


def faults_of_module(module):
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield from faults_of_class(name, value)
        elif inspect.isfunction(inspect.unwrap(value)):
            yield from faults_of_function(name, inspect.unwrap(value))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_name_every_argument(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert list(faults_of_module(module)) == []


def example(x, *rest, y=1, **options):
    """Do it.

    Args:
        x: the input, a tensor.
            It goes on here: with a colon.
        *rest: more.
        y: how often.

    Returns:
        z: nothing.
    """


def test_an_argument_that_is_not_named_is_found():
    assert listed(example.__doc__, "Args") == ["x", "rest", "y"]
    (fault,) = faults_of_function("example", example)
    assert fault.endswith("takes ['x', 'rest', 'y', 'options']")
