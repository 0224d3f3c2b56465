"""Memory, counted in tensors: what autograd keeps, and the most that is alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def saved_bytes(function: Callable[[], Tensor]) -> int:
    """Bytes of the distinct pieces of memory that ``function``'s result keeps for its backward pass.

    What a checkpointed region recomputes is not counted, nor are its inputs, which the region
    keeps itself: compare such models by :func:`peak_bytes`.
    """
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()  # alive until the sum: memory freed and used again would count once
    total = sum(kept.values())
    del result
    return total


class _Alive(TorchDispatchMode):
    """Follows every storage that an operation returns until it is freed."""

    def __init__(self):
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
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


def peak_bytes(function: Callable[[], object]) -> int:
    """The most bytes of tensors alive at once among those that ``function`` makes.

    Tensors that exist before (weights, the batch) are not counted, nor are workspaces inside an
    operation. The count depends on the shapes alone, so it is the same on every machine,
    and on the meta device, where nothing is computed.

    Args:
        function: forward and backward pass, say.
    """
    with _Alive() as alive:
        function()
    return alive.peak
