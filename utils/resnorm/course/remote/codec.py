"""Values as JSON text, decoded strictly and within bounds, so that reading executes nothing."""

from __future__ import annotations

import base64
import collections
import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

#: The longest text that is written or read, in characters.
MAX_TEXT = 16 * 2**20
#: How deep lists, dictionaries and the like may be nested.
MAX_DEPTH = 40
#: Tensor types by the name under which they travel.
DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in vars(torch).values()
    if isinstance(kind, torch.dtype) and not str(kind).startswith(("torch.q", "torch.bits"))
}
#: Kinds of numbers in NumPy arrays that travel: truth values, integers, real and complex ones.
KINDS = "biufc"
#: Collections that travel item by item, by the name under which they do.
COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "size": torch.Size,
}


class CodecError(ValueError):
    """A value cannot be sent, or a text is not what the other side would write."""


class Codec:
    """Writes plain values, and reads them; a subclass says what becomes of all others.

    Plain are None, truth values, numbers, strings, lists, tuples, sets and dictionaries, dense
    tensors, arrays, generators of random numbers, and types of tensors. Exact types only: an object
    of a subclass could behave in any way.
    """

    def reference(self, value: Any) -> dict[str, Any] | None:
        """Describe an object that the other side has, or None for one that travels by value.

        Args:
            value: any object that is to be sent.
        """
        return None

    def opaque(self, value: Any) -> dict[str, Any]:
        """Describe an object that is not plain.

        Args:
            value: the object.

        Raises:
            CodecError: it cannot be sent.
        """
        raise CodecError(f"an object of type {type(value).__name__} is not plain")

    def resolve(self, data: dict[str, Any]) -> Any:
        """Find what :meth:`reference` or :meth:`opaque` of the other side describe.

        Args:
            data: the description.

        Raises:
            CodecError: there is no such object.
        """
        raise CodecError("a plain value was expected")

    def arrived(self, value: Any, data: dict[str, Any]) -> Any:
        """Give what takes the place of a tensor, an array or a generator that was decoded.

        Args:
            value: as decoded.
            data: its text.
        """
        return value

    def encode(self, value: Any, depth: int = 0) -> Any:
        """Turn a value into something that JSON can hold.

        Args:
            value: any object.
            depth: how deep it is nested in the value that is sent.

        Raises:
            CodecError: it is nested too deeply, or cannot be sent.
        """
        if depth > MAX_DEPTH:
            raise CodecError(f"more than {MAX_DEPTH} levels of nesting")
        kind = type(value)
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:
            if value.bit_length() > 10_000:
                raise CodecError("an integer of more than 10,000 bits")
            return value
        if (known := self.reference(value)) is not None:
            return known

        def items(values: Any) -> list[Any]:
            return [self.encode(item, depth + 1) for item in values]

        if kind is list:
            return items(value)
        for name, collection in COLLECTIONS.items():
            if kind is collection:
                return {"type": name, "items": items(value)}
        if kind in (dict, collections.OrderedDict):
            return {"type": "dict", "items": [items(pair) for pair in value.items()]}
        if kind is slice:
            return {"type": "slice", "items": items((value.start, value.stop, value.step))}
        if kind is type(...):
            return {"type": "ellipsis"}
        if kind is torch.dtype and str(value).removeprefix("torch.") in DTYPES:
            return {"type": "dtype", "name": str(value).removeprefix("torch.")}
        return contents(value) or self.opaque(value)

    def decode(self, data: Any, depth: int = 0) -> Any:
        """Turn what :meth:`encode` returned into the value.

        Args:
            data: JSON data, from any source.
            depth: how deep it is nested in the value that was sent.

        Raises:
            CodecError: this is not what :meth:`encode` returns.
        """
        if depth > MAX_DEPTH:
            raise CodecError(f"more than {MAX_DEPTH} levels of nesting")
        if data is None or type(data) in (bool, int, float, str):
            return data
        if type(data) is list:
            return [self.decode(item, depth + 1) for item in data]
        if type(data) is not dict:
            raise CodecError("not a value")
        kind = data.get("type")
        try:
            if kind in ("tensor", "array", "generator"):
                return self.arrived(_restored(kind, data), data)
            if kind in COLLECTIONS or kind in ("slice", "dict"):
                given = data["items"]
                if type(given) is not list:
                    raise CodecError("items that are not a list")
                items = [self.decode(item, depth + 1) for item in given]
                if kind == "dict":
                    return dict(items)
                return slice(*items) if kind == "slice" else COLLECTIONS[kind](items)
            if kind == "ellipsis":
                return ...
            if kind == "dtype":
                return DTYPES[data["name"]]
        except CodecError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError):
            raise CodecError(f"not a {kind}") from None
        return self.resolve(data)


def contents(value: Any) -> dict[str, Any] | None:
    """Encode a tensor, an array or a generator by value; anything else gives None.

    Args:
        value: any object.
    """
    kind = type(value)
    if kind in (torch.Tensor, torch.nn.Parameter) and _is_dense(value):
        return _tensor(value)
    if kind is np.ndarray and value.dtype.kind in KINDS and value.dtype.itemsize <= 16:
        return _array(value)
    if isinstance(value, np.generic) and value.dtype.kind in KINDS and value.dtype.itemsize <= 16:
        return _array(np.asarray(value)) | {"scalar": True}
    if kind is torch.Generator and value.device.type == "cpu":
        return {"type": "generator", "state": _tensor(value.get_state())}
    return None


def written(data: Any) -> str:
    """Write JSON text.

    Args:
        data: what :meth:`Codec.encode` returned.

    Raises:
        CodecError: the text would be too long.
    """
    text = json.dumps(data)
    if len(text) > MAX_TEXT:
        raise CodecError(f"{len(text):,} characters; at most {MAX_TEXT:,} can be sent")
    return text


def read(text: Any) -> Any:
    """Read JSON text from any source.

    Args:
        text: the text.

    Raises:
        CodecError: it is too long, or not JSON.
    """
    if type(text) is not str or len(text) > MAX_TEXT:
        raise CodecError(f"not a text of at most {MAX_TEXT:,} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CodecError("not JSON") from None


def _is_dense(value: torch.Tensor) -> bool:
    return (
        value.layout is torch.strided
        and not value.is_nested
        and not value.is_quantized
        and value.device.type in ("cpu", "meta")
        and str(value.dtype).removeprefix("torch.") in DTYPES
    )


def _tensor(value: torch.Tensor) -> dict[str, Any]:
    """Type, shape, numbers in the order in which they lie in memory, and what autograd knows."""
    plain = value.detach().resolve_conj().resolve_neg()
    data: dict[str, Any] = {"type": "tensor", "dtype": str(value.dtype).removeprefix("torch.")}
    data["shape"] = list(value.shape)
    if value.is_meta:
        data["meta"] = True
    else:
        if (order := _memory_order(plain)) != list(range(plain.ndim)):
            data["order"] = order
        flat = plain.permute(order).contiguous().reshape(-1)
        data["numbers"] = base64.b64encode(flat.view(torch.uint8).numpy().tobytes()).decode()
    if value.requires_grad:
        data["requires_grad"] = True
        data["leaf"] = value.is_leaf
        if value.is_leaf and value.grad is not None and _is_dense(value.grad):
            data["grad"] = _tensor(value.grad.detach())
    return data


def _memory_order(value: torch.Tensor) -> list[int]:
    """The axes from the slowest to the quickest in memory, if each number has its own place."""
    strides = value.stride()
    order = sorted(range(value.ndim), key=lambda axis: -strides[axis])
    step = 1
    for axis in reversed(order):
        if value.shape[axis] != 1 and strides[axis] != step:
            return list(range(value.ndim))
        step *= value.shape[axis]
    return list(range(value.ndim)) if value.is_contiguous() else order


def _array(value: np.ndarray) -> dict[str, Any]:
    numbers = base64.b64encode(value.tobytes()).decode()
    return {
        "type": "array",
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "numbers": numbers,
    }


def _restored(kind: str, data: dict[str, Any]) -> Any:
    """The tensor, array or generator that is described."""
    if kind == "generator":
        generator = torch.Generator()
        generator.set_state(_restored("tensor", data["state"]))
        return generator
    shape = _shape(data["shape"])
    if kind == "array":
        if not re.fullmatch(r"[<>|][a-zA-Z]\d{1,3}", data["dtype"]):  # NumPy would evaluate others
            raise CodecError("a type of array that is none")
        dtype = np.dtype(data["dtype"])
        if dtype.kind not in KINDS:
            raise CodecError(f"an array of {dtype}")
        raw = _numbers(data, math.prod(shape) * dtype.itemsize)
        array = np.frombuffer(raw, dtype).reshape(shape) if raw else np.empty(shape, dtype)
        return array[()] if data.get("scalar") else array
    return _restored_tensor(DTYPES[data["dtype"]], shape, data)


def _restored_tensor(dtype: torch.dtype, shape: list[int], data: dict[str, Any]) -> torch.Tensor:
    if data.get("meta"):
        value = torch.empty(shape, dtype=dtype, device="meta")
    else:
        order = data.get("order", list(range(len(shape))))
        if sorted(order) != list(range(len(shape))):
            raise CodecError("an order of axes that is none")
        raw = _numbers(data, math.prod(shape) * dtype.itemsize)
        flat = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0).byte().cpu()
        # A byte other than 0 and 1 is no truth value.
        flat = flat.ne(0) if dtype is torch.bool else flat.view(dtype)
        stored = flat.view([shape[axis] for axis in order])
        value = stored.permute([order.index(axis) for axis in range(len(shape))])
    if data.get("requires_grad"):
        value.requires_grad_()
        if data.get("grad") is not None:
            value.grad = _restored("tensor", data["grad"])
    return value


def _shape(sizes: Any) -> list[int]:
    if (
        type(sizes) is not list
        or len(sizes) > 32
        or not all(type(n) is int and 0 <= n < 2**40 for n in sizes)
    ):
        raise CodecError("a shape that is none")
    return sizes


def _numbers(data: dict[str, Any], size: int) -> bytearray:
    raw = bytearray(base64.b64decode(data["numbers"], validate=True))
    if len(raw) != size:
        raise CodecError(f"{len(raw)} bytes where {size} belong")
    return raw
