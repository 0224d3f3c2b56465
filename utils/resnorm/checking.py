"""Comparisons that say what differs, for exercises, chapters and graded cells.

In a graded run every compared value is also emitted as an output of its cell, from where the grader
reads it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

#: The type of the cell output in which a value leaves a graded notebook.
MIME = "application/vnd.resnorm.value+json"
#: The largest value that can be emitted, in numbers.
MAX_VALUES = 20_000
#: The types of real numbers, exactly: a subclass could define its own comparison.
NUMBERS = {int, float, bool} | {
    kind for kind in np.sctypeDict.values() if issubclass(kind, (np.integer, np.floating, np.bool_))
}


def close(
    actual: Any, expected: Any, *, name: str = "the result", rtol: float = 1e-7, atol: float = 1e-10
) -> None:
    """Check that a result equals what is expected, and explain the difference if it does not.

    Only real tensors, arrays and numbers are compared, by torch's arithmetic on plain copies, so
    that an object that defines its own comparison cannot pass. In a graded run the result is also
    emitted, see :func:`emit`.

    Args:
        actual: the computed tensor, array or number.
        expected: the tensor, array or number that it should equal.
        name: what messages call the result.
        rtol: the relative tolerance. A value passes if
            ``|actual - expected| <= atol + rtol * |expected|``.
        atol: the absolute tolerance.

    Raises:
        AssertionError: if the type, the shape or the dtype is wrong, a value or an expected value
            is not finite, or a value differs; the message says which, and where the difference is
            largest.
    """
    emit(name, actual, rtol=rtol, atol=atol)
    got, want = _plain(actual, name), _plain(expected, f"expected {name}")
    if got.shape != want.shape:
        raise AssertionError(
            f"{name} has shape {tuple(got.shape)}, expected {tuple(want.shape)}."
            f"{_shape_hint(got, want)}"
        )
    if isinstance(actual, (torch.Tensor, np.ndarray)) and got.dtype != want.dtype:
        raise AssertionError(f"{name} has dtype {got.dtype}, expected {want.dtype}")
    got, want = got.double(), want.double()
    # Anything finite is closer to NaN and infinity than their tolerance, so neither is expected.
    for values, what in ((got, name), (want, f"expected {name}")):
        if not torch.isfinite(values).all():
            where = tuple((~torch.isfinite(values)).nonzero()[0].tolist())
            raise AssertionError(f"{what} is not finite at index {where}: {values[where].item()}")
    difference = (got - want).abs()
    wrong = ~(difference <= atol + rtol * want.abs())  # also if a tolerance is NaN
    if wrong.any():
        largest = difference.where(wrong, torch.tensor(-1.0, dtype=torch.float64, device="cpu"))
        worst = np.unravel_index(int(largest.argmax()), difference.shape)
        raise AssertionError(
            f"{name} differs at {int(wrong.sum())} of {wrong.numel()} places; the largest "
            f"difference, {difference[worst].item():.3g}, is at index {tuple(map(int, worst))}: "
            f"got {got[worst].item():.6g}, expected {want[worst].item():.6g}."
            f"{_value_hint(got, want)}"
        )


def emit(name: str, value: Any, *, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    """Send a value to the grader.

    In a graded run the value leaves the notebook as an output of the cell. The grader compares it
    with the value from the instructor's solution, in a process that the graded code cannot reach.
    The expected value itself is nowhere in the notebook. Outside of a graded run only the type is
    checked. :func:`close` emits the values that it compares, too.

    Args:
        name: what messages call the value.
        value: a tensor, an array or a number, of at most ``MAX_VALUES`` numbers.
        rtol: the relative tolerance of the grader's comparison; the run of the solution decides it.
        atol: the absolute tolerance of the grader's comparison, likewise.

    Raises:
        AssertionError: if the value is of another type.
        ValueError: if the value has more than ``MAX_VALUES`` numbers.
    """
    plain = _plain(value, name)
    if os.environ.get("RESNORM_GRADED") != "1":
        return
    if plain.numel() > MAX_VALUES:
        raise ValueError(
            f"{name} has {plain.numel()} values; at most {MAX_VALUES} can be emitted. "
            "Emit a part of it, or a sum"
        )
    from IPython.display import publish_display_data

    values = plain.to(torch.float64).contiguous().numpy().tobytes()
    payload = {
        "name": name,
        "dtype": str(plain.dtype),
        "shape": list(plain.shape),
        "values": base64.b64encode(values).decode(),
    }
    publish_display_data({MIME: payload | {"rtol": rtol, "atol": atol}})


def decode(payload: Mapping[str, Any]) -> torch.Tensor:
    """Restore an emitted value, in the grader.

    Args:
        payload: the output that :func:`emit` published.

    Returns:
        The value as a tensor of its own dtype and shape.

    Raises:
        ValueError: if the payload is not what :func:`emit` publishes.
    """
    try:
        dtype, shape = getattr(torch, payload["dtype"].removeprefix("torch.")), payload["shape"]
        values = np.frombuffer(base64.b64decode(payload["values"], validate=True), dtype=np.float64)
        if not isinstance(dtype, torch.dtype) or len(values) > MAX_VALUES:
            raise ValueError
        return torch.from_numpy(values.copy()).reshape(shape).to(dtype)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError):
        raise ValueError("this is not an emitted value") from None


def compare(
    pairs: Mapping[str, tuple[Any, Any]], *, rtol: float = 1e-7, atol: float = 1e-10
) -> Comparison:
    """Compare several results at once and show one line for each.

    Args:
        pairs: name -> ``(actual, expected)``, as in :func:`close`.
        rtol: the relative tolerance, as in :func:`close`.
        atol: the absolute tolerance, as in :func:`close`.

    Returns:
        An object that prints one line per name; ``.passed`` says whether all agree.
    """
    lines, passed = [], True
    for name, (actual, expected) in pairs.items():
        try:
            close(actual, expected, name=name, rtol=rtol, atol=atol)
            lines.append(f"ok     {name}")
        except AssertionError as difference:
            passed = False
            lines.append(f"WRONG  {difference}")
    return Comparison(passed, tuple(lines))


class Comparison:
    """The outcome of :func:`compare`. Printed, it has one line per name.

    Args:
        passed: whether all results agree.
        lines: one line per name.
    """

    def __init__(self, passed: bool, lines: tuple[str, ...]):
        self.passed, self.lines = passed, lines

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def _plain(value: Any, name: str) -> torch.Tensor:
    """A detached copy on the CPU of a value whose type is exactly one of those allowed."""
    kind = type(value)
    if kind in (torch.Tensor, torch.nn.Parameter):
        special = _special(value)
        if special is None:
            return value.detach().to("cpu", copy=True)
        given = f"a {special} tensor; only dense, real values can be compared"
    elif kind is np.ndarray:
        if value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
            return torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
        given = f"an array of {value.dtype}"
    elif kind in NUMBERS:
        try:
            return torch.tensor(float(value), dtype=torch.float64, device="cpu")
        except OverflowError:
            given = "an integer beyond the range of float64"
    else:
        given = "None: does the function return its result?" if value is None else kind.__name__
    raise AssertionError(f"{name} must be a tensor, an array or a number, but is {given}")


def _special(value: torch.Tensor) -> str | None:
    """Say what kind of tensor has no plain real values to compare, if it is one."""
    kinds = {
        "nested": value.is_nested,
        "quantized": value.is_quantized,
        "complex": value.is_complex(),
        "meta": value.is_meta,
        "sparse": value.layout is not torch.strided,
    }
    return next((kind for kind, is_so in kinds.items() if is_so), None)


def _shape_hint(got: torch.Tensor, want: torch.Tensor) -> str:
    if got.numel() == want.numel():
        return " The number of elements is right: reshape, or reduce with keepdim=False."
    if got.ndim == want.ndim and all(
        g in (1, w) for g, w in zip(got.shape, want.shape, strict=True)
    ):
        return " It would broadcast, but one value stands for several."
    return ""


def _value_hint(got: torch.Tensor, want: torch.Tensor) -> str:
    """Name a usual mistake that explains the difference, if there is one."""
    nonzero = want.abs() > 1e-6 * want.abs().max()
    if not nonzero.any():
        return ""
    factor = got[nonzero][0] / want[nonzero][0]
    rounding = 1e-5 * (factor * want).abs().max().item()
    if not torch.allclose(got, factor * want, rtol=0, atol=rounding):
        return ""
    if abs(factor + 1) < 1e-5:
        return " The sign is reversed."
    if want.numel() > 1 and abs(factor - 1) > 1e-3:
        return f" Every value is {factor.item():.4g} times what it should be: a constant factor."
    return ""
