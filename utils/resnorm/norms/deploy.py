r"""Batch normalization at test time: exact statistics, and folding it away.

In evaluation batch norm is one affine map per channel, and the layer before it is affine,
so the two are one layer (chapter 2.1):

.. math::
    W' = \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,W, \qquad
    b' = \beta + \frac{\gamma}{\sqrt{\sigma^2+\epsilon}}\,(b - \mu) .
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm as TorchBatchNorm

from .batch_norm import _BatchNorm
from .functional import at_least_float32, reduced_axes

_BATCH_NORMS = (_BatchNorm, TorchBatchNorm)
_FOLDABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """One layer equal to ``norm(layer(x))`` in evaluation mode.

    Args:
        layer: Linear or Conv1d/2d/3d, with or without bias, any ``groups``.
        norm: batch norm over the layer's output channels, ours or torch's.

    Returns:
        A new layer of the same kind, always with a bias; the arguments are left as they are.

    Raises:
        TypeError: a layer or norm of another kind.
        ValueError: the norm keeps no running statistics, or has another number of channels.
    """
    if not isinstance(layer, _FOLDABLE):
        raise TypeError(
            f"cannot fold into {type(layer).__name__}; the layer before the norm must be "
            f"one of {', '.join(kind.__name__ for kind in _FOLDABLE)}"
        )
    if not isinstance(norm, _BATCH_NORMS):
        raise TypeError(
            f"cannot fold {type(norm).__name__}: only batch norm is an affine map at test time "
            "(layer, instance and group norm compute their statistics from each input)"
        )
    if norm.running_mean is None:
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
    """A copy of ``model`` in evaluation mode with every batch norm that can be folded folded.

    A norm is folded where its only input is a Linear or Conv layer that feeds nothing else.

    Args:
        model: any module that ``torch.fx`` can trace (no data-dependent control flow).

    Returns:
        A ``torch.fx.GraphModule``; ``model`` is left as it is.
    """

    class Tracer(fx.Tracer):  # our norms are leaves, as torch's are
        def is_leaf_module(self, module, name):
            return isinstance(module, _BatchNorm) or super().is_leaf_module(module, name)

    model = copy.deepcopy(model).eval()
    graph = Tracer().trace(model)
    modules = dict(model.named_modules())
    for node in list(graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], _BATCH_NORMS):
            continue
        source = node.args[0] if node.args else node.kwargs["x" if "x" in node.kwargs else "input"]
        norm = modules[node.target]
        if source.op != "call_module" or len(source.users) > 1 or norm.running_mean is None:
            continue
        layer = modules[source.target]
        shared = (
            sum(other.target == source.target for other in graph.nodes if other.op == "call_module")
            > 1
        )
        if not isinstance(layer, _FOLDABLE) or shared:
            continue
        model.set_submodule(source.target, fold(layer, norm))
        modules[source.target] = model.get_submodule(source.target)
        node.replace_all_uses_with(source)
        graph.erase_node(node)
    folded = fx.GraphModule(model, graph, type(model).__name__)
    folded.delete_all_unused_submodules()
    return folded


@torch.no_grad()
def precise_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace every running statistic by the population's, computed over ``batches``.

    The exponential average remembers some tens of batches, each seen by older weights. Here
    the weights stand still and every batch counts: means and centred sums of squares are
    merged by the law of total variance (Chan, Golub & LeVeque 1979), so that the variance is
    that of all values together, not an average of batch variances. Layers before a norm run in
    training mode, that is with batch statistics (Wu & Johnson 2021, "precise BN").

    Args:
        model: any module with batch norms, ours or torch's; changed in place, its train/eval
            mode restored.
        batches: inputs, each passed to the model as it is. Other layers that act differently
            in training, such as dropout, stay in evaluation mode.

    Raises:
        ValueError: no batch norm with running statistics, or no batch.
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BATCH_NORMS) and module.track_running_stats
    ]
    if not norms:
        raise ValueError(
            "the model has no batch norm with running statistics: nothing to recompute"
        )

    totals: dict[nn.Module, tuple[int, Tensor, Tensor]] = {}  # count, mean, centred sum of squares

    def accumulate(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = at_least_float32(inputs[0])
        var, mean = torch.var_mean(x, reduced_axes(x), correction=0)
        n = x.numel() // x.shape[1]
        if norm not in totals:
            totals[norm] = (n, mean, n * var)
            return
        count, old_mean, squares = totals[norm]
        delta = mean - old_mean
        total = count + n
        totals[norm] = (
            total,
            old_mean + delta * (n / total),
            squares + n * var + delta**2 * (count * n / total),
        )

    modes = {module: module.training for module in model.modules()}
    buffers = {norm: [buffer.clone() for buffer in norm.buffers(recurse=False)] for norm in norms}
    hooks = [norm.register_forward_pre_hook(accumulate) for norm in norms]
    try:
        model.eval()
        for norm in norms:
            norm.train()
        for batch in batches:
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
        for norm, kept in buffers.items():  # the passes above moved them
            for buffer, old in zip(norm.buffers(recurse=False), kept):
                buffer.copy_(old)
    if not totals:
        raise ValueError("no batch was given: the statistics are left as they were")
    for norm, (count, mean, squares) in totals.items():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(squares / max(count - 1, 1))
