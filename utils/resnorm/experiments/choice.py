"""Looking an arm up by its name, with a message that lists the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def choose(what: str, name: str, choices: Mapping[str, T]) -> T:
    """Look a name up in a table.

    Args:
        what: what the name stands for, such as ``"arm"``.
        name: the name.
        choices: the table.

    Returns:
        The entry of the table.

    Raises:
        ValueError: if the table has no such name; the message lists the names that it has.
    """
    if name not in choices:
        raise ValueError(f"{what} is {name!r}; it must be one of {', '.join(choices)}")
    return choices[name]
