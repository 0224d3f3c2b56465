"""Checks of arguments that several layers share."""

from __future__ import annotations

from numbers import Integral


def check_eps(eps: float) -> float:
    """Return ``eps`` if it can keep a variance positive.

    Args:
        eps: the number that a layer adds to the variance.

    Returns:
        ``eps`` as it is.

    Raises:
        ValueError: ``eps`` is negative or not a number.
    """
    if not eps >= 0:  # written so that NaN is refused as well
        raise ValueError(f"eps is {eps!r}; it must be zero or more to keep the variance positive")
    return eps


def check_momentum(momentum: float | None) -> float | None:
    """Return ``momentum`` if it can weigh a new value against an old one.

    Args:
        momentum: weight of the new batch in the running statistics.

    Returns:
        ``momentum`` as it is.

    Raises:
        ValueError: ``momentum`` is neither None nor a number from 0 to 1.
    """
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(
            f"momentum is {momentum!r}; it is the weight of the new batch in the running "
            "statistics and must lie between 0 and 1, or be None"
        )
    return momentum


def check_positive_int(value: int, name: str, meaning: str) -> int:
    """Return ``value`` as a Python int if it is a positive integer, NumPy's included.

    Args:
        value: the argument's value.
        name: the argument's name, for the message.
        meaning: what the argument stands for, for the message.

    Returns:
        ``value``, of type int.

    Raises:
        ValueError: ``value`` is not an integer, or is less than 1.
    """
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a positive int: {meaning}")
    return int(value)
