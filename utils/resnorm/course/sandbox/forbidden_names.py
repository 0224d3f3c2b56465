"""Names that an assignment may forbid: torch's operators that work for them, and whose they are."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable

#: The name that forbids gradients by autograd, where a task asks to derive them by hand.
AUTOGRAD = "autograd"
#: Functions whose operators are watched wherever they run, by their plain names.
NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
#: Folders of Python, of its libraries and of this package.
_LIBRARIES = tuple(
    f"{os.path.realpath(path)}/"
    for path in (sys.prefix, sys.base_prefix, os.path.join(os.path.dirname(__file__), *[".."] * 3))
)
_PREFIXES = ("native_", "cudnn_", "miopen_", "mkldnn_", "fused_", "quantized_")
_SUFFIXES = (
    *("_backward", "_legit", "_functional", "_no_training", "_impl_index", "_with_update"),
    # Parts of a norm, of which each does a task alone.
    *("_update_stats", "_gather_stats", "_gather_stats_with_counts", "_stats", "_no_update"),
    *("_elemt", "_reduce", "_helper", "_decomposition"),
)


@functools.lru_cache(maxsize=10_000)  # an observed call asks for the same few names again
def plain(name: str) -> str:
    """Reduce the name of an operator of torch to that of the function that it works for.

    Args:
        name: such as ``_native_batch_norm_legit``.

    Returns:
        Such as ``batch_norm``. The name of anything else is returned as it is.
    """
    before = ""
    while before != name:
        before, name = name, name.strip("_") or name
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
    return name


@functools.cache
def listed_by_plain_name(names: frozenset[str]) -> dict[str, str]:
    """Index names by what :func:`plain` makes of them.

    Args:
        names: those of an assignment.

    Returns:
        Plain name -> name, the shortest of several.
    """
    return {plain(name): name for name in sorted(names, key=lambda name: (-len(name), name))}


@functools.cache
def is_own(module: str) -> bool:
    """Say whether a module is the notebook itself, or a file beside it or that it has written.

    Args:
        module: its name.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    is_file = isinstance(file, str) and not os.path.realpath(file).startswith(_LIBRARIES)
    return module == "__main__" or is_file


def modules_around(path: str, names: Iterable[str]) -> set[str]:
    """Say which of some names are modules that something is in, or are its own full name.

    Args:
        path: such as ``resnorm.blocks.postact``.
        names: those with a dot are modules, such as ``resnorm.blocks``; others are ignored.
    """
    return {name for name in names if "." in name and f"{path}.".startswith(f"{name}.")}
