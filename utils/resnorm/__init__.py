"""Normalization and residual networks, written to be read.

The package behind the course of the same name. Imports flow one way::

    norms -> blocks -> models -> train -> experiments

``probes`` measure any module; ``figures`` and ``explore`` draw what they are handed; ``checking`` compares tensors.
Nothing here prints, plots, seeds the global generators or touches the network on import,
and submodules load when they are first used.
"""

from importlib import import_module

from ._scale import scale

__version__ = "0.1.0"
__all__ = [
    "scale",
    "blocks",
    "checking",
    "explore",
    "data",
    "figures",
    "models",
    "norms",
    "probes",
    "train",
]

_SUBMODULES = {"blocks", "checking", "data", "figures", "models", "norms", "probes", "train"}


def __getattr__(name: str):
    if name == "explore":  # resnorm.explore is the function; its module is resnorm._explore
        return import_module("._explore", __name__).explore
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'resnorm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
