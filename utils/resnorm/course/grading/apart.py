"""What keeps one test apart from the others: copies of values, and states of random numbers."""

from __future__ import annotations

import contextlib
import copy
import pickle
import random
from typing import Any

import numpy as np
import torch

#: Values that a test can change in place.
CHANGEABLE = (torch.Tensor, torch.Generator, np.ndarray, list, dict, set)


def random_state() -> bytes:
    """Save the states of the generators that torch, NumPy and Python share among all code.

    Returns:
        Bytes that are equal if the states are.
    """
    state = torch.get_rng_state().numpy(), np.random.get_state(), random.getstate()
    return pickle.dumps(state)


def restore_random_state(state: bytes) -> None:
    """Go back to saved states of the generators.

    Args:
        state: from :func:`random_state`.
    """
    of_torch, of_numpy, of_python = pickle.loads(state)
    torch.set_rng_state(torch.from_numpy(of_torch))
    np.random.set_state(of_numpy)
    random.setstate(of_python)


def copies(space: dict[str, Any]) -> dict[str, Any]:
    """Copy the values in a namespace that can be changed, as far as they can be copied.

    Args:
        space: the namespace.

    Returns:
        Copies by name, which share what the values share.
    """
    found: dict[str, Any] = {}
    known: dict[int, Any] = {}
    for name, value in space.items():
        if isinstance(value, CHANGEABLE) and name != "__builtins__":
            with contextlib.suppress(RuntimeError, TypeError):
                found[name] = copy.deepcopy(value, known)
    return found
