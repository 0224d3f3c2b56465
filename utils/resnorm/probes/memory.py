"""Memory, counted in tensors: what autograd keeps, and how much is alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def saved_bytes(function: Callable[[], Tensor]) -> int:
    """Count the bytes that ``function``'s result keeps for its backward pass.

    Each piece of memory counts once. What a checkpointed region recomputes is not counted, nor are
    its inputs, which the region keeps itself: compare such models by :func:`peak_bytes`.

    Args:
        function: the forward pass; takes nothing and returns its result.

    Returns:
        Bytes in distinct pieces of memory.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # not its address, which is 0 on the meta device
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()  # kept alive until the sum: freed and reused memory would count once
    total = sum(kept.values())
    del result
    return total


def peak_bytes(function: Callable[[], object]) -> int:
    """Count the largest number of bytes alive at once in the tensors that ``function`` makes.

    Tensors that exist before (weights, the batch) are not counted, nor are workspaces inside an
    operation. The count depends on the shapes alone, so it is the same on every machine,
    and on the meta device, where nothing is computed.

    Args:
        function: takes nothing, and runs a forward and a backward pass, for example.

    Returns:
        Bytes.
    """
    with _LiveStorages() as alive:
        function()
    return alive.peak


class _LiveStorages(TorchDispatchMode):
    """Follows every storage that an operation returns until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {
            t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)
        }
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in given:
                self._follow(tensor.untyped_storage())
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.sizes:
            return
        self.sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key).atexit = False

    def _forget(self, key: int) -> None:
        self.now -= self.sizes.pop(key, 0)
