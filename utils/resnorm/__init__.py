"""Normalization and residual networks, written to be read.

The package behind the course of the same name. Imports flow one way::

    norms -> blocks -> models -> train -> experiments

``data`` and ``augment`` feed ``train``. ``probes`` measure any module and know nothing of training.
``figures`` draw what they are given, ``ledger`` reads and writes recorded runs, ``checking``
compares tensors, and ``course`` releases and grades assignments. Importing the package prints,
plots, seeds and downloads nothing, and each submodule loads when it is first used.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from .settings import scale

__version__ = "0.1.0"

_SUBMODULES = (
    "augment",
    "blocks",
    "checking",
    "course",
    "data",
    "experiments",
    "figures",
    "ledger",
    "models",
    "norms",
    "probes",
    "segmentation",
    "train",
)
__all__ = ["explore", "scale", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType | Any:
    if name == "explore":
        return import_module(".figures.explore", __name__).explore
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'resnorm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
