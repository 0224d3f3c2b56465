"""Which kind of differentiation is at work, as a backward pass of our own serves only one kind."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def needs_plain_operations(*tensors: Tensor | None) -> bool:
    """Tell whether torch itself must be able to differentiate each operation.

    Our ``torch.autograd.Function`` classes have a closed-form backward pass. It serves
    ``backward`` and ``torch.autograd.grad``. The transforms of ``torch.func`` (``grad``, ``vmap``,
    ``jvp``, ...) and forward mode differentiate every operation by its own rule.

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
