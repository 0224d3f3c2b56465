"""Descriptions of what decides a run, as plain data that two processes can compare."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import random
import re
import sys
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def describe(value: Any, _outer: tuple[int, ...] = ()) -> Any:
    """Describe a value by numbers, text, lists and dictionaries.

    Equal values have equal descriptions, in every process with the same versions of Python and of
    the libraries. A function is described by its name, its code, its defaults and what it reads
    from around it, except for what modules hold; an object by its type, its attributes and, unless
    it comes from a library, its methods; a tensor by a digest; a generator by its seed.

    Args:
        value: of any type.

    Returns:
        Plain data, which ``torch.load(..., weights_only=True)`` can read.
    """
    if value is None or isinstance(value, bool):
        return value
    for plain in (int, float, str):
        if isinstance(value, plain):
            value = plain(value)  # of NumPy's subclass of float, too
            return value if value == value else "nan"  # NaN would not equal itself
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        return describe(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biufc":  # such as text
        return {"type": f"array of {value.dtype}", "values": describe(value.tolist(), _outer)}
    if isinstance(value, Tensor | np.ndarray):
        return _describe_tensor(torch.as_tensor(value))
    if isinstance(value, torch.Generator):
        return f"Generator({value.initial_seed()})"
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
    if isinstance(value, np.random.Generator):
        return within({"type": "Generator", "state": value.bit_generator.state})
    if isinstance(value, random.Random):
        return within({"type": "Random", "state": value.getstate()})
    attributes = {} if isinstance(value, type) else _attributes(value)
    methods = within(_methods(value if isinstance(value, type) else type(value)))
    if isinstance(value, type) and methods:
        return {"name": value.__qualname__, "methods": methods}
    if isinstance(value, type | types.ModuleType) or not (attributes or hasattr(value, "__dict__")):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    described = {"type": type(value).__qualname__, **within(attributes)}
    return described | {"methods": methods} if methods else described


def architecture(model: nn.Module) -> dict[str, Any]:
    """Describe a network by what decides its function, apart from the weights.

    Of each module that is what printing it shows, its public attributes of plain types, and its
    methods unless it comes from a library. The frozen parameters are named as well.

    Args:
        model: its weights are not part of the description.

    Returns:
        Name of the module -> its type and arguments; then attributes, methods, frozen parameters.
    """
    described: dict[str, Any] = {
        name or "whole": f"{type(module).__name__}({module.extra_repr()})"
        for name, module in model.named_modules()
    }
    kinds = {type(module).__qualname__: type(module) for module in model.modules()}
    return described | {
        "attributes": {
            name or "whole": describe(_plain_attributes(module))
            for name, module in model.named_modules()
        },
        "methods": {name: describe(_methods(kind)) for name, kind in kinds.items()},
        "frozen parameters": [
            name for name, value in model.named_parameters() if not value.requires_grad
        ],
    }


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    values = (type(None), int, float, complex, str, bytes, list, tuple, dict, set)
    plain = (*values, torch.Generator, type, types.FunctionType, functools.partial)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, plain) and not name.startswith("_") and name != "training"
    }


def _attributes(value: object) -> dict[str, Any]:
    """Return the attributes of an object, those in slots included."""
    slots = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    names = [name for entry in slots for name in ([entry] if isinstance(entry, str) else entry)]
    kept = {n: getattr(value, n) for n in names if hasattr(value, n) and n[:2] != "__"}
    return kept | getattr(value, "__dict__", {})


def _methods(kind: type) -> dict[str, Any]:
    """Return the functions and values in the body of a class and its bases, without libraries."""
    found: dict[str, Any] = {}
    for base in reversed([base for base in kind.__mro__ if not _of_a_library(base)]):
        for name, value in vars(base).items():
            value = getattr(value, "__func__", getattr(value, "fget", value))
            is_code = inspect.isfunction(value)
            if is_code or (name[:2] != "__" and not hasattr(value, "__get__")):
                found[name] = value
    return found


def _of_a_library(value: object) -> bool:
    """Tell whether a class or function was not written for this run."""
    root = (getattr(value, "__module__", None) or "").partition(".")[0]
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    own = __name__.partition(".")[0]
    return root in sys.stdlib_module_names or root == own or "-packages" in file


def _describe_tensor(tensor: Tensor) -> str:
    text = f"{tensor.dtype} {tuple(tensor.shape)}"
    if tensor.requires_grad:  # it is trained, so that its values are none that were chosen
        return text
    if tensor.layout is not torch.strided:
        text, tensor = f"{tensor.layout} {text}", tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg().contiguous()
    content = tensor.flatten().view(torch.uint8).numpy().data
    return f"{text} {hashlib.blake2b(content, digest_size=6).hexdigest()}"


def _describe_function(function: types.FunctionType, within: functools.partial) -> dict[str, Any]:
    read = dict(inspect.getclosurevars(function).nonlocals)
    if not _of_a_library(function):
        around = function.__globals__
        names = sorted(_global_names(function.__code__))
        read = {name: around[name] for name in names if name in around} | read
    read = {
        # The weights of a network that is trained change; printing it shows none of them.
        name: repr(value) if isinstance(value, nn.Module) else value
        for name, value in sorted(read.items())
        if not isinstance(value, types.ModuleType | types.BuiltinFunctionType)
        and name != "__class__"  # which super() reads
    }
    return {
        "name": function.__qualname__,
        "code": hashlib.sha256(_code(function.__code__).encode()).hexdigest()[:12],
        "defaults": within([function.__defaults__, function.__kwdefaults__]),
        "reads": within(read),
    }


def _global_names(code: types.CodeType) -> set[str]:
    """Return the globals that a function reads, also in functions and loops inside of it."""
    inner = [value for value in code.co_consts if isinstance(value, types.CodeType)]
    loads = [i for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return {i.argval for i in loads}.union(*map(_global_names, inner))


def _code(code: types.CodeType) -> str:
    """Return what a function computes, without where it stands."""

    def constant(value: object) -> str:
        if isinstance(value, types.CodeType):
            return _code(value)
        # The order of a set is another one in each process.
        return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)

    return repr((code.co_code, code.co_names, [constant(value) for value in code.co_consts]))
