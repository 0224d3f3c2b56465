r"""Folding: batch norm at test time disappears into the layer before it.

In evaluation batch norm is one affine map per channel, and the layer before it is affine,
so the two are one layer (chapter 2.1):

.. math::
    W' = \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,W, \qquad
    b' = \beta + \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,(b - \mu) .
"""

from __future__ import annotations

import copy
from typing import TypeAlias

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm as TorchBatchNorm

from .batch_norm import _BatchNorm

AnyBatchNorm: TypeAlias = _BatchNorm | TorchBatchNorm
Foldable: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_FOLDABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """Return one layer equal to ``norm(layer(x))`` in evaluation mode.

    Args:
        layer: Linear or Conv1d/2d/3d, with or without bias, with any ``groups``.
        norm: batch norm over the layer's output channels, ours or torch's.

    Returns:
        A new layer of the same kind, always with a bias; the arguments are left as they are.

    Raises:
        TypeError: the layer or the norm is of another kind.
        ValueError: the norm keeps no running statistics, or has another number of channels.
    """
    if not isinstance(layer, _FOLDABLE):
        raise TypeError(
            f"cannot fold into {type(layer).__name__}; the layer before the norm must be "
            f"one of {', '.join(kind.__name__ for kind in _FOLDABLE)}"
        )
    if not isinstance(norm, AnyBatchNorm):
        raise TypeError(
            f"cannot fold {type(norm).__name__}: only batch norm is an affine map at test time "
            "(layer, instance and group norm compute their statistics from each input)"
        )
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            "the norm has no running statistics (track_running_stats=False), so it is not constant"
        )
    channels = layer.weight.shape[0]
    if channels != norm.num_features:
        raise ValueError(f"the layer has {channels} output channels, the norm {norm.num_features}")

    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = torch.zeros_like(scale) if norm.bias is None else norm.bias
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias

    folded = copy.deepcopy(layer)
    folded.weight = nn.Parameter(layer.weight * scale.view(-1, *[1] * (layer.weight.ndim - 1)))
    folded.bias = nn.Parameter(shift + scale * (bias - norm.running_mean))
    return folded


def fold_model(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` in evaluation mode in which batch norms are folded where possible.

    A norm is folded where its only input is a Linear or Conv layer that feeds nothing else.

    Args:
        model: any module that ``torch.fx`` can trace (no data-dependent control flow).

    Returns:
        A ``torch.fx.GraphModule``; ``model`` is left as it is.
    """
    model = copy.deepcopy(model).eval()
    graph = _Tracer().trace(model)
    for node in list(graph.nodes):
        source = _foldable_source(node, model)
        if source is None:
            continue
        layer, norm = (model.get_submodule(str(call.target)) for call in (source, node))
        model.set_submodule(str(source.target), fold(layer, norm))
        node.replace_all_uses_with(source)
        graph.erase_node(node)
    folded = fx.GraphModule(model, graph, type(model).__name__)
    folded.delete_all_unused_submodules()
    return folded


class _Tracer(fx.Tracer):
    """Records our norms as single calls, as ``torch.fx`` does with torch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _BatchNorm) or super().is_leaf_module(m, module_qualified_name)


def _foldable_source(node: fx.Node, model: nn.Module) -> fx.Node | None:
    """Return the layer call whose result ``node`` normalizes, if the two calls can become one."""
    if node.op != "call_module":
        return None
    norm = model.get_submodule(str(node.target))
    if not isinstance(norm, AnyBatchNorm) or norm.running_mean is None:
        return None
    source = node.all_input_nodes[0]
    if source.op != "call_module" or len(source.users) > 1:
        return None
    calls = [other for other in node.graph.nodes if other.op == "call_module"]
    if sum(other.target == source.target for other in calls) > 1:
        return None  # the layer is used twice, and no single weight can serve both places
    return source if isinstance(model.get_submodule(str(source.target)), _FOLDABLE) else None
