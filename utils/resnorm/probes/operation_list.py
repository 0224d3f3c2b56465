"""What happens inside a block, and in which order: its operations and what each of them reads."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..models.layers import check_image_size
from ..restoring import evaluation_mode

#: What an operation may be, in the words that diagrams use.
KINDS = (
    "input",
    "convolution",
    "fully connected",
    "norm",
    "activation",
    "pooling",
    "addition",
    "concatenation",
    "scaling",
    "block",
)
#: Classes of activations, and what a diagram writes.
ACTIVATIONS = {
    "ReLU": "ReLU",
    "ReLU6": "ReLU6",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "GELU": "GELU",
    "SiLU": "SiLU",
}
_FUNCTIONS: dict[Callable, tuple[str, str]] = {
    F.relu: ("activation", "ReLU"),
    torch.relu: ("activation", "ReLU"),
    torch.tanh: ("activation", "tanh"),
    operator.add: ("addition", "+"),
    operator.iadd: ("addition", "+"),
    torch.add: ("addition", "+"),
    torch.cat: ("concatenation", "concatenate"),
    operator.mul: ("scaling", "×"),
}


@dataclass(frozen=True)
class Operation:
    """One step of a block.

    Attributes:
        name: unique within the block.
        kind: one of :data:`KINDS`.
        label: what a diagram writes, such as ``3×3 conv``.
        inputs: names of the operations whose outputs it reads.
        output_shape: without the batch axis.
        parameters: number of its parameters.
    """

    name: str
    kind: str
    label: str
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...]
    parameters: int


def operations(
    model: nn.Module, x: Tensor, whole: Mapping[type, str] | None = None
) -> list[Operation]:
    """List the operations of a block or a network in the order in which they run.

    What changes no value in evaluation mode, such as dropout and flattening, is left out.

    Args:
        model: a module that ``torch.fx`` can trace.
        x: a batch, on the model's device; on the meta device nothing is computed, only shapes.
        whole: classes of modules that are listed as one operation of kind ``"block"``, each with
            the label that a diagram writes for it.

    Returns:
        The operations, the input first.

    Raises:
        ValueError: the model does something that a diagram has no word for.
    """
    whole = whole or {}
    with evaluation_mode(model):
        graph = _Tracer(tuple(whole)).trace(model)
        shapes = _Shapes(fx.GraphModule(model, graph))
        with torch.no_grad():
            shapes.run(x)
    modules = dict(model.named_modules())
    listed: list[Operation] = []
    stands_for: dict[fx.Node, str] = {}  # what is left out stands for what it reads
    for node in graph.nodes:
        reads = tuple(stands_for[parent] for parent in node.all_input_nodes)
        module = modules[node.target] if node.op == "call_module" else None
        kind, label = _describe(node, module, whole)
        if node.op == "output" or not node.users:
            continue
        if not kind and len(reads) == 1:
            stands_for[node] = reads[0]
            continue
        if not kind:
            raise ValueError(f"{node.format_node()}: a diagram knows {', '.join(KINDS)} only")
        parameters = 0 if module is None else sum(p.numel() for p in module.parameters())
        shape = shapes.of[node]
        listed.append(Operation(node.name, kind, label, reads, shape, parameters))
        stands_for[node] = node.name
    return listed


class _Tracer(fx.Tracer):
    """Records modules without children as single calls, and the classes that shall stay whole."""

    def __init__(self, whole: tuple[type, ...]):
        # The check looks at sizes, which a tracer does not know; it is recorded and left out.
        super().__init__(autowrap_functions=(check_image_size,))
        self.whole = whole

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.whole) or not any(m.children())


class _Shapes(fx.Interpreter):
    """Runs a graph and notes the shape of every output, without the batch axis."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.of: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.of[n] = tuple(value.shape[1:])
        return value


def _describe(
    node: fx.Node, module: nn.Module | None, whole: Mapping[type, str]
) -> tuple[str, str]:
    """Kind and label of a node; empty for what a diagram leaves out."""
    if node.op == "placeholder":
        return "input", "input"
    if module is not None:
        label = next((w for kind, w in whole.items() if isinstance(module, kind)), "")
        return ("block", label) if label else _describe_module(module)
    if node.op == "call_function" and node.target in _FUNCTIONS:
        kind, label = _FUNCTIONS[node.target]
        numbers = [a for a in node.args if isinstance(a, (int, float))]
        return kind, f"{label} {numbers[0]:g}" if kind == "scaling" and numbers else label
    return "", ""


def _describe_module(module: nn.Module) -> tuple[str, str]:
    """Kind and label of a module; empty for what a diagram leaves out."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        size, stride = "×".join(map(str, module.kernel_size)), module.stride[0]
        step = f", /{stride}" if stride > 1 else ""
        if module.groups == module.in_channels > 1:
            return "convolution", f"{size} depthwise conv{step}"
        groups = f", {module.groups} groups" if module.groups > 1 else ""
        return "convolution", f"{size} conv{step}{groups}"
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        word = "max" if isinstance(module, nn.MaxPool2d) else "average"
        step = f", /{module.stride}" if module.stride != 1 else ""
        return "pooling", f"{module.kernel_size}×{module.kernel_size} {word} pool{step}"
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return "pooling", "global average pool"  # a larger output leaves usual images as they are
    if isinstance(module, nn.Linear):
        return "fully connected", "fully connected"
    name = type(module).__name__
    if name in ACTIVATIONS:
        return "activation", ACTIVATIONS[name]
    if "norm" in name.lower():
        known = {"BatchNorm": "batch norm", "GroupNorm": "group norm", "LocalResponse": "LRN"}
        known["LayerNorm"] = "layer norm"
        return "norm", next((word for key, word in known.items() if key in name), "norm")
    return "", ""
