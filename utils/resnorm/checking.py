"""Comparisons that say what differs, for exercises, chapters and graded cells."""

from __future__ import annotations

import numbers

import numpy as np
import torch


def close(actual, expected, *, name: str = "the result", rtol: float = 1e-7, atol: float = 1e-10) -> None:
    """Do nothing if ``actual`` equals ``expected`` within tolerance; explain the difference if not.

    Only real tensors, arrays and numbers are compared, by torch's arithmetic on plain copies, so
    that an object with a comparison of its own cannot pass.

    Args:
        actual: what was computed.
        expected: what it should be: a tensor, an array or a number.
        name: what to call it in messages.
        rtol, atol: passes where ``|actual - expected| <= atol + rtol * |expected|``.

    Raises:
        AssertionError: another type, shape or dtype, a value that is not finite, or a difference;
            the message says which, and where the largest one is.
    """
    got, want = _plain(actual, name), _plain(expected, f"expected {name}")
    if got.shape != want.shape:
        raise AssertionError(
            f"{name} has shape {tuple(got.shape)}, expected {tuple(want.shape)}.{_shape_hint(got, want)}"
        )
    if isinstance(actual, (torch.Tensor, np.ndarray)) and got.dtype != want.dtype:
        raise AssertionError(f"{name} has dtype {got.dtype}, expected {want.dtype}")
    got, want = got.double(), want.double()
    if not torch.isfinite(got).all():
        where = tuple((~torch.isfinite(got)).nonzero()[0].tolist())
        raise AssertionError(f"{name} is not finite at index {where}: {got[where].item()}")
    difference = (got - want).abs()
    wrong = difference > atol + rtol * want.abs()
    if wrong.any():
        worst = np.unravel_index(int(difference.argmax()), difference.shape)
        raise AssertionError(
            f"{name} differs at {int(wrong.sum())} of {wrong.numel()} places; the largest difference, "
            f"{difference.max().item():.3g}, is at index {tuple(map(int, worst))}: "
            f"got {got[worst].item():.6g}, expected {want[worst].item():.6g}.{_value_hint(got, want)}"
        )


def compare(pairs: dict, *, rtol: float = 1e-7, atol: float = 1e-10) -> "Comparison":
    """Compare several results at once and show a line for each.

    Args:
        pairs: name -> ``(actual, expected)``.

    Returns:
        An object that prints one line a name; ``.passed`` tells whether all agree.
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
    """What :func:`compare` found: ``passed`` and, as text, a line a name."""

    def __init__(self, passed: bool, lines: tuple[str, ...]):
        self.passed, self.lines = passed, lines

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def _plain(value, name: str) -> torch.Tensor:
    """A detached copy on the CPU of a value whose type is exactly one of those allowed."""
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        return value.detach().to("cpu", copy=True)
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return torch.from_numpy(value.copy())
    if isinstance(value, numbers.Real) and type(value) in (int, float, bool, np.float32, np.float64, np.int64):
        return torch.tensor(float(value), dtype=torch.float64)
    given = "None: does the function return its result?" if value is None else type(value).__name__
    raise AssertionError(f"{name} must be a tensor, an array or a number, but is {given}")


def _shape_hint(got: torch.Tensor, want: torch.Tensor) -> str:
    if got.numel() == want.numel():
        return " The number of elements is right: reshape, or reduce with keepdim=False."
    if got.ndim == want.ndim and all(g in (1, w) for g, w in zip(got.shape, want.shape)):
        return " It would broadcast, but one value stands for several."
    return ""


def _value_hint(got: torch.Tensor, want: torch.Tensor) -> str:
    """Name the usual slips."""
    if want.abs().max() > 0 and torch.allclose(got, -want, rtol=1e-5):
        return " The sign is reversed."
    nonzero = want.abs() > 1e-12
    ratio = got[nonzero] / want[nonzero]
    if ratio.numel() > 1 and torch.allclose(ratio, ratio[0], rtol=1e-5):
        return f" Every value is {ratio[0].item():.4g} times what it should be: a constant factor."
    return ""
