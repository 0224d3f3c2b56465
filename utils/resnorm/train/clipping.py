"""Adaptive gradient clipping: no step may change a unit by more than a fraction of its weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def unitwise_norm(x: Tensor) -> Tensor:
    """Compute the Euclidean norm of each unit's weights.

    Args:
        x: (units, *fan_in) weights or gradients of a layer, whose rows are units. A vector or a
            scalar (bias, gain) counts as one unit.

    Returns:
        (units, 1, ..., 1), which broadcasts against ``x``; a scalar for vectors and scalars.
    """
    if x.ndim <= 1:
        return x.norm()
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


@torch.no_grad()
def clip_gradients_adaptively(
    parameters: nn.Parameter | Iterable[nn.Parameter], clipping: float = 0.01, eps: float = 1e-3
) -> float:
    r"""Shorten the gradients of units that are long compared with the units' weights, in place.

    For each unit, :math:`G \leftarrow \lambda\,\frac{\max(\lVert W\rVert, \epsilon)}{\lVert
    G\rVert}\,G` wherever :math:`\lVert G\rVert / \max(\lVert W\rVert, \epsilon) > \lambda`. Call it
    between ``backward()`` and ``step()``. The authors leave the last linear layer out.

    Args:
        parameters: of the layers to clip; those without a gradient are passed over.
        clipping: the threshold, :math:`\lambda`.
        eps: smallest norm of a unit's weights that counts, so that weights of zero can grow.

    Returns:
        The fraction of units whose gradient was shortened, from 0 to 1.

    Raises:
        ValueError: ``clipping`` or ``eps`` is not positive.

    Source:
        Brock et al. (2021b), section 4.1, equation 3.
    """
    if not (clipping > 0 and eps > 0):
        raise ValueError(f"clipping is {clipping!r} and eps is {eps!r}; both must be positive")
    parameters = [parameters] if isinstance(parameters, nn.Parameter) else parameters
    clipped = total = 0
    for parameter in parameters:
        if parameter.grad is None:
            continue
        limit = clipping * unitwise_norm(parameter).clamp(min=eps)
        length = unitwise_norm(parameter.grad)
        factor = torch.where(length > limit, limit / length, 1.0)
        parameter.grad.mul_(factor)
        clipped += int((factor < 1).sum())
        total += factor.numel()
    return clipped / max(total, 1)
