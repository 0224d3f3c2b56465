"""Descriptions of what decides a run, as plain data that two processes can compare."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def describe(value: Any, _outer: tuple[int, ...] = ()) -> Any:
    """Describe a value by numbers, text, lists and dictionaries.

    Equal values have equal descriptions, in every process with the same versions of Python and of
    the libraries. A function is described by its name, its code, its defaults and what it reads
    from around it; an object by its type and its attributes; a tensor by a digest.

    Args:
        value: of any type.

    Returns:
        Plain data, which ``torch.load(..., weights_only=True)`` can read.
    """
    if value is None or isinstance(value, bool):
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            return plain(value)  # of NumPy's subclass of float, too
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, Tensor | np.ndarray):
        return _describe_tensor(torch.as_tensor(value))
    if id(value) in _outer:  # it contains itself
        return type(value).__qualname__
    within = functools.partial(describe, _outer=(*_outer, id(value)))
    if isinstance(value, dict):
        return {str(key): within(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [within(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((within(item) for item in value), key=repr)
    if isinstance(value, functools.partial):
        parts = {"function": value.func, "arguments": value.args, "keywords": value.keywords}
        return within(parts)
    if inspect.ismethod(value):
        return within({"method": value.__func__, "of": value.__self__})
    if inspect.isfunction(value):
        return _describe_function(value, within)
    if isinstance(value, type | types.ModuleType) or not hasattr(value, "__dict__"):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return {"type": type(value).__qualname__, **within(vars(value))}


def architecture(model: nn.Module) -> dict[str, Any]:
    """Describe a network by what printing it shows of each module, and by its frozen parameters.

    Args:
        model: its weights are not part of the description.

    Returns:
        Name of the module -> its type and arguments.
    """
    described: dict[str, Any] = {
        name or "whole": f"{type(module).__name__}({module.extra_repr()})"
        for name, module in model.named_modules()
    }
    frozen = [name for name, value in model.named_parameters() if not value.requires_grad]
    return described | {"frozen parameters": frozen}


def _describe_tensor(tensor: Tensor) -> str:
    text = f"{tensor.dtype} {tuple(tensor.shape)}"
    if tensor.requires_grad:  # it is trained, so that its values are none that were chosen
        return text
    content = tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data
    return f"{text} {hashlib.blake2b(content, digest_size=6).hexdigest()}"


def _describe_function(function: types.FunctionType, within: functools.partial) -> dict[str, Any]:
    around = inspect.getclosurevars(function)
    plain = int | float | str | list | tuple | dict | Tensor | np.ndarray | functools.partial
    read = {
        name: value
        for name, value in around.globals.items()
        if isinstance(value, plain)
        or (inspect.isfunction(value) and value.__module__ == function.__module__)
    }
    return {
        "name": function.__qualname__,
        "code": hashlib.sha256(_code(function.__code__).encode()).hexdigest()[:12],
        "defaults": within([function.__defaults__, function.__kwdefaults__]),
        "reads": within(dict(sorted((read | dict(around.nonlocals)).items()))),
    }


def _code(code: types.CodeType) -> str:
    """Return what a function computes, without where it stands."""

    def constant(value: object) -> str:
        if isinstance(value, types.CodeType):
            return _code(value)
        # The order of a set is another one in each process.
        return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)

    return repr((code.co_code, code.co_names, [constant(value) for value in code.co_consts]))
