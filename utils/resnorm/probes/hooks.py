"""Hooks that see every call, and the tensors in what they are given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


@contextmanager
def hooks_run() -> Iterator[list[Any]]:
    """Let hooks see every call, compiled modules' too, and remove the hooks at the end.

    A compiled module runs without the hooks of its parts, so what is compiled runs eagerly inside.

    Yields:
        An empty list for the handles of the hooks.
    """
    handles: list[Any] = []
    try:
        if (
            "torch._dynamo" not in sys.modules
        ):  # nothing is compiled, and importing it takes seconds
            yield handles
        else:
            with torch.compiler.set_stance("force_eager"):
                yield handles
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(value: Any, what: str) -> Tensor:
    """Return the first tensor in what a module takes or returns: a tensor, or tensors in lists.

    Args:
        value: the inputs or the output of a module.
        what: describes the value, for the message.

    Raises:
        ValueError: there is none.
    """
    for leaf in tree_leaves(value):
        if isinstance(leaf, Tensor):
            return leaf
    raise ValueError(f"{what} holds no tensor; choose layers that take and return tensors")


def widened(x: Tensor) -> Tensor:
    """Return ``x`` in float32 if its precision is lower: squares and sums overflow float16.

    Args:
        x: any shape.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
