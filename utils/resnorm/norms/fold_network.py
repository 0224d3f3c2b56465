"""Folding in a whole network: trace it, find the pairs that one layer can equal, fold them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase as TorchNormBase

from .folding import BATCH_DIMS, FOLDABLE, TAKES_SEVERAL_DIMS, AnyBatchNorm, check_foldable, fold
from .group_norm import GroupNorm
from .layer_norm import _ElementwiseNorm
from .norm_base import _NormBase


def fold_model(
    model: nn.Module, example: Tensor | tuple[Tensor, ...] | None = None
) -> fx.GraphModule:
    """Return a copy of ``model`` in evaluation mode in which batch norms are folded where possible.

    A norm is folded where its only input is a Linear or Conv layer that feeds nothing else and is
    used nowhere else, see :func:`resnorm.norms.fold`. All others stay, those of a layer that runs
    several times among them. The result's ``meta["not_folded"]`` names them: a dict from the name
    of the norm to the reason. (``torch.save`` of the whole result leaves it out, as all ``meta``.)

    Args:
        model: any module that ``torch.fx`` can trace (no data-dependent control flow).
        example: an input of the model, or a tuple of its inputs. BatchNorm1d and torch's
            SyncBatchNorm take batches with several numbers of dimensions, and only an example
            shows whether their channels are those of the layer before. Without it these norms stay.

    Returns:
        A ``torch.fx.GraphModule``; ``model`` is left as it is.

    Raises:
        ValueError: the model cannot be traced, or it cannot take the example.
    """
    model = copy.deepcopy(model, _copies_of_computed(model)).eval()
    graph = _trace(model)
    if example is not None:
        _note_dimensions(model, graph, example if isinstance(example, tuple) else (example,))

    not_folded = {}
    for node, norm in _batch_norms(graph, model):
        source = node.all_input_nodes[0]
        reason = _why_not(source, node, model)
        if reason is not None:
            not_folded[str(node.target)] = reason
            continue
        layer = model.get_submodule(str(source.target))
        model.set_submodule(str(source.target), fold(layer, norm))
        node.replace_all_uses_with(source)
        graph.erase_node(node)
    folded = fx.GraphModule(model, graph, type(model).__name__)
    folded.meta["not_folded"] = not_folded
    return folded


def _copies_of_computed(model: nn.Module) -> dict[int, Any]:
    """Copy what ``copy.deepcopy`` refuses, by the identity of the original.

    Old-style weight norm, spectral norm and pruning compute ``weight`` in each forward pass and
    keep the result, which has a history.
    """
    values = [value for module in model.modules() for value in vars(module).values()]
    computed = [v for v in values if isinstance(v, Tensor) and v.grad_fn is not None]
    return {id(value): value.detach().clone() for value in computed}


def _note_dimensions(model: nn.Module, graph: fx.Graph, example: tuple[Tensor, ...]) -> None:
    """Run the example through the model, and note in each node how many dimensions it puts out."""

    class Noting(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, Tensor):
                n.meta["dims"] = result.ndim
            return result

    noting = Noting(model, garbage_collect_values=False, graph=graph)
    noting.extra_traceback = False
    try:
        with torch.no_grad():
            noting.run(*example)
    except Exception as error:  # whatever the model does with an input that does not fit
        given = ", ".join(f"{tuple(x.shape)} {x.dtype}" for x in example)
        raise ValueError(
            f"{type(model).__name__} cannot take the example ({given}): {error}. Give fold_model "
            "an input as the model takes it; for several inputs, a tuple"
        ) from error


class _Tracer(fx.Tracer):
    """Records norms, linear and convolution layers as single calls, subclasses included."""

    leaves = (_NormBase, TorchNormBase, GroupNorm, _ElementwiseNorm, *FOLDABLE)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.leaves) or super().is_leaf_module(m, module_qualified_name)


def _trace(model: nn.Module) -> fx.Graph:
    """Trace ``model``, or say what to do where that fails."""
    try:
        return _Tracer().trace(model)
    except Exception as error:  # whatever the model's forward does with an input without values
        raise ValueError(
            f"torch.fx cannot trace {type(model).__name__}, probably because its forward depends "
            f"on the values or the shape of its input ({error}). Fold the parts that can be "
            "traced: model.part = fold_model(model.part)."
        ) from error


def _batch_norms(graph: fx.Graph, model: nn.Module) -> Iterator[tuple[fx.Node, nn.Module]]:
    """Go through the calls of batch norms, in the order in which they run."""
    for node in list(graph.nodes):
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            if isinstance(module, AnyBatchNorm):
                yield node, module


def _why_not(source: fx.Node, node: fx.Node, model: nn.Module) -> str | None:
    """Return why the norm of ``node`` stays where it is; None if it can be folded."""
    if source.op != "call_module":
        return "its input is not the output of a layer"
    if len(source.users) > 1:
        return f"the output of {source.target!r} is used elsewhere as well"
    if _used_elsewhere(source):
        return f"{source.target!r} or its weight is used elsewhere as well"
    layer, norm = (model.get_submodule(str(call.target)) for call in (source, node))
    try:
        check_foldable(layer, norm)
    except (TypeError, ValueError) as error:
        return str(error)
    if not isinstance(norm, TAKES_SEVERAL_DIMS):
        return None
    if "dims" not in source.meta:
        return (
            "whether its channels are the layer's depends on the input; give fold_model an example"
        )
    dims = source.meta["dims"]
    if dims != BATCH_DIMS[type(layer)]:
        return f"on an output of {dims} dimensions its channels are not those of {source.target!r}"
    return None


def _used_elsewhere(call: fx.Node) -> bool:
    """Return whether any other node uses the called module, a part of it, or a whole it is in."""
    name = f"{call.target}."
    others = (
        f"{other.target}."
        for other in call.graph.nodes
        if other.op in ("call_module", "get_attr") and other is not call
    )
    return any(name.startswith(other) or other.startswith(name) for other in others)
