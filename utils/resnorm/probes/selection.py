"""Choose layers of a model by name or by class."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def select_layers(
    model: nn.Module, layers: Iterable[str | type] | None = None
) -> dict[str, nn.Module]:
    """Return the chosen layers by name, in the model's order.

    Args:
        model: any module.
        layers: names as in ``named_modules()``, or classes; None takes every module without
            children.

    Returns:
        A dictionary from name to module.

    Raises:
        ValueError: the model has no layer of one of the names or classes.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if layers is None:
        return {name: module for name, module in modules.items() if not any(module.children())}
    chosen: set[str] = set()
    for layer in layers:
        if isinstance(layer, type):
            found = {name for name, module in modules.items() if isinstance(module, layer)}
            wanted = f"layer of class {layer.__name__}"
        else:
            found, wanted = {layer} & modules.keys(), f"layer named {layer!r}"
        if not found:
            raise ValueError(f"the model has no {wanted}; its layers are {', '.join(modules)}")
        chosen |= found
    return {name: module for name, module in modules.items() if name in chosen}
