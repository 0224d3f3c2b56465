"""Comparisons that say what differs, for exercises, chapters and graded cells.

In a graded run the grader takes every comparison, see :func:`recorded`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

#: The types of real numbers, exactly: a subclass could define its own comparison.
NUMBERS = {int, float, bool} | {
    kind for kind in np.sctypeDict.values() if issubclass(kind, (np.integer, np.floating, np.bool_))
}
#: Takes a name, the actual value, the expected one or None, and two tolerances.
Recorder = Callable[[str, Any, Any, float, float], None]
_recorder: Recorder | None = None


def close(
    actual: Any, expected: Any, *, name: str = "the result", rtol: float = 1e-7, atol: float = 1e-10
) -> None:
    """Check that a result equals what is expected, and explain the difference if it does not.

    Only real tensors, arrays and numbers are compared, by torch's arithmetic on plain copies, so
    that an object that defines its own comparison cannot pass.

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
    if _recorder is not None:
        _recorder(name, actual, expected, rtol, atol)
    elif problem := difference(actual, expected, name=name, rtol=rtol, atol=atol):
        raise AssertionError(problem)


def emit(name: str, value: Any, *, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    """Give a value to the grader, which compares it with that of the instructor's solution.

    The expected value stands nowhere in the notebook. Outside of a graded run only the type is
    checked.

    Args:
        name: what messages call the value.
        value: a tensor, an array or a number.
        rtol: the relative tolerance of the grader's comparison.
        atol: the absolute tolerance of the grader's comparison.

    Raises:
        AssertionError: if the value is of another type.
    """
    if _recorder is not None:
        _recorder(name, value, None, rtol, atol)
    else:
        plain(value, name)


@contextlib.contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Hand every comparison to a grader, so that none raises an error.

    Args:
        recorder: is called with the name, the actual value, the expected value (None for
            :func:`emit`), and the relative and the absolute tolerance.
    """
    global _recorder
    before, _recorder = _recorder, recorder
    try:
        yield
    finally:
        _recorder = before


def difference(
    actual: Any,
    expected: Any,
    *,
    name: str = "the result",
    rtol: float = 1e-7,
    atol: float = 1e-10,
    numbers: bool = True,
) -> str:
    """Say how a result differs from what is expected.

    Args:
        actual: as in :func:`close`.
        expected: as in :func:`close`.
        name: as in :func:`close`.
        rtol: as in :func:`close`.
        atol: as in :func:`close`.
        numbers: whether the text may tell values, from which what is expected could be learned.

    Returns:
        One sentence or two; empty if the result is as expected.
    """
    try:
        got, want = plain(actual, name), plain(expected, f"expected {name}")
    except AssertionError as problem:
        return str(problem)
    if got.shape != want.shape:
        return (
            f"{name} has shape {tuple(got.shape)}, expected {tuple(want.shape)}."
            f"{_shape_hint(got, want)}"
        )
    if isinstance(actual, (torch.Tensor, np.ndarray)) and got.dtype != want.dtype:
        return f"{name} has dtype {got.dtype}, expected {want.dtype}"
    got, want = got.double(), want.double()
    # Anything finite is closer to NaN and infinity than their tolerance, so neither is expected.
    for values, what in ((got, name), (want, f"expected {name}")):
        if not torch.isfinite(values).all():
            where = tuple((~torch.isfinite(values)).nonzero()[0].tolist())
            return f"{what} is not finite at index {where}: {values[where].item()}"
    gap = (got - want).abs()
    wrong = ~(gap <= atol + rtol * want.abs())  # also if a tolerance is NaN
    if not wrong.any():
        return ""
    count = f"{name} differs at {int(wrong.sum())} of {wrong.numel()} places"
    if not numbers:
        return count
    largest = gap.where(wrong, torch.tensor(-1.0, dtype=torch.float64, device="cpu"))
    worst = np.unravel_index(int(largest.argmax()), gap.shape)
    return (
        f"{count}; the largest difference, {gap[worst].item():.3g}, is at index "
        f"{tuple(map(int, worst))}: got {got[worst].item():.6g}, "
        f"expected {want[worst].item():.6g}.{_value_hint(got, want)}"
    )


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
        problem = difference(actual, expected, name=name, rtol=rtol, atol=atol)
        passed = passed and not problem
        lines.append(f"WRONG  {problem}" if problem else f"ok     {name}")
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


def plain(value: Any, name: str) -> torch.Tensor:
    """Copy a value that can be compared.

    Args:
        value: a tensor, an array or a number.
        name: what messages call the value.

    Returns:
        A detached copy on the CPU.

    Raises:
        AssertionError: the type is not exactly one of those.
    """
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
    if want.numel() > 1 and factor == 0:
        return " Every value is 0."
    if want.numel() > 1 and abs(factor - 1) > 1e-3:
        return f" Every value is {factor.item():.4g} times what it should be: a constant factor."
    return ""
