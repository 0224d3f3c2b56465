r"""Folding: batch norm at test time disappears into the layer before it.

In evaluation batch norm is one affine map per channel, and the layer before it is affine,
so the two are one layer (chapter 2.1):

.. math::
    W' = \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,W, \qquad
    b' = \beta + \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,(b - \mu) .

:mod:`resnorm.norms.fold_network` folds all of a network.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as TorchBatchNorm

from .batch_norm import BatchNorm1d, BatchNorm2d, _BatchNorm
from .batch_renorm import BatchRenorm2d
from .ghost_batch_norm import GhostBatchNorm2d
from .sync_batch_norm import SyncBatchNorm2d

AnyBatchNorm: TypeAlias = _BatchNorm | TorchBatchNorm
FoldableLayer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d

_NORMS_1D = (BatchNorm1d, nn.BatchNorm1d)
_NORMS_2D = (BatchNorm2d, GhostBatchNorm2d, BatchRenorm2d, SyncBatchNorm2d, nn.BatchNorm2d)
#: The layers that can take a norm in, and the norms whose channels are that layer's channels.
#: Only these very classes, because a subclass may compute something else.
FOLDABLE: dict[type[nn.Module], tuple[type[nn.Module], ...]] = {
    nn.Linear: _NORMS_1D,
    nn.Conv1d: (*_NORMS_1D, nn.SyncBatchNorm),
    nn.Conv2d: (*_NORMS_2D, nn.SyncBatchNorm),
    nn.Conv3d: (nn.BatchNorm3d, nn.SyncBatchNorm),
}
#: Number of dimensions of a batch that the layer puts out, with channels in axis 1.
BATCH_DIMS = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}
#: These norms also take batches with another number of dimensions, whose axis 1 is no channel axis
#: of the layer: (N, L, C) from Linear, (C, L) from Conv1d.
TAKES_SEVERAL_DIMS = (*_NORMS_1D, nn.SyncBatchNorm)


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """Return one layer equal to ``norm(layer(x))`` in evaluation mode.

    Args:
        layer: Linear or Conv1d/2d/3d, with or without bias, with any ``groups``; not a subclass
            of these, which may compute something else.
        norm: batch norm over the layer's output channels, ours or torch's.

    Returns:
        A new layer of the same kind, always with a bias, and frozen if all parameters of the two
        are; the arguments are left as they are.
        Where the norm would take axis 1 of an unusual input for the channels, as BatchNorm1d does
        with (N, L, C) from Linear, the new layer refuses that input with a ValueError.

    Raises:
        TypeError: the layer or the norm is of another kind.
        ValueError: the norm keeps no running statistics or has another number of channels; one of
            the two has forward hooks.
    """
    check_foldable(layer, norm)
    assert isinstance(layer, FoldableLayer) and isinstance(norm, AnyBatchNorm)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = torch.zeros_like(scale) if norm.bias is None else norm.bias
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias

    weight = layer.weight * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(weight.to(layer.weight.dtype))
    folded.bias = nn.Parameter((shift + scale * (bias - norm.running_mean)).to(layer.weight.dtype))
    learns = any(p.requires_grad for module in (layer, norm) for p in module.parameters())
    folded.requires_grad_(learns)
    if isinstance(norm, TAKES_SEVERAL_DIMS):
        check = partial(_check_batch, norm=type(norm).__name__)
        folded.register_forward_pre_hook(check, with_kwargs=True)
    return folded


def check_foldable(layer: nn.Module, norm: nn.Module) -> None:
    """Refuse two modules that no single layer is known to equal.

    Args:
        layer: the module that runs first.
        norm: the module that takes its output.

    Raises:
        TypeError: the layer or the norm is of a kind that cannot be folded.
        ValueError: the two are of the right kinds, but these two cannot be folded.
    """
    layer_name, norm_name = type(layer).__name__, type(norm).__name__
    if type(layer) not in FOLDABLE:
        kinds = ", ".join(kind.__name__ for kind in FOLDABLE)
        advice = "; call parametrize.remove_parametrizations first"
        raise TypeError(
            f"cannot fold into {layer_name}; the layer before the norm must be one of {kinds}, and "
            "not a subclass, which may compute something else"
            + (advice if hasattr(layer, "parametrizations") else "")
        )
    if not any(type(norm) in kinds for kinds in FOLDABLE.values()):
        raise TypeError(
            f"cannot fold {norm_name}: only batch norm is an affine map at test time (layer, "
            "instance and group norm compute their statistics from each input, and a subclass may "
            "compute something else)"
        )
    if type(norm) not in FOLDABLE[type(layer)]:
        raise TypeError(f"cannot fold {norm_name} into {layer_name}: their channel axes differ")
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            "the norm has no running statistics (track_running_stats=False), so it is not constant"
        )
    assert isinstance(layer, FoldableLayer)
    channels = layer.weight.shape[0]
    if channels != norm.num_features:
        raise ValueError(f"the layer has {channels} output channels, the norm {norm.num_features}")
    for module in (layer, norm):
        if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
            raise ValueError(
                f"{type(module).__name__} has forward hooks or a forward of its own, which may "
                "change what it computes; remove them first"
            )


def _check_batch(
    layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], norm: str
) -> None:
    """Refuse an input for which the norm that was folded in had another channel axis."""
    x = inputs[0] if inputs else named.get("input")
    dims = BATCH_DIMS[type(layer)]
    if isinstance(x, Tensor) and x.ndim != dims:
        raise ValueError(
            f"{type(layer).__name__} was folded with {norm}, which is exact for batches of {dims} "
            f"dimensions, but was given {x.ndim}: {tuple(x.shape)}. Use the two unfolded layers."
        )
