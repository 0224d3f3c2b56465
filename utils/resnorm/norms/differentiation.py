"""Which kind of differentiation is at work, as a backward pass of our own serves only one kind."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def needs_plain_operations(*tensors: Tensor | None) -> bool:
    """Tell whether torch itself must be able to differentiate each operation.

    Our ``torch.autograd.Function`` classes have a closed-form backward pass. It serves
    ``backward`` and ``torch.autograd.grad``. The transforms of ``torch.func`` (``grad``, ``vmap``,
    ``jvp``, ...) and forward mode differentiate every operation by its own rule. (Inside of
    ``torch.compile`` this cannot be told, so there the layers take no transform.)

    Args:
        *tensors: what is to be differentiated; None counts for nothing.

    Returns:
        Whether the closed form must not be used.
    """
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or any(
        t is not None and forward_ad.unpack_dual(t).tangent is not None for t in tensors
    )


def is_batched(dy: Tensor) -> bool:
    """Tell whether a gradient stands for several, as with ``is_grads_batched`` or ``vectorize``.

    Args:
        dy: what a backward pass is given; torch cannot write several gradients with ``out=``.
    """
    return not torch.compiler.is_compiling() and torch._C._functorch.is_legacy_batchedtensor(dy)
