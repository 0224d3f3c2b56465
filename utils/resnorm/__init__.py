"""Normalization and residual networks, written to be read.

The package behind the course of the same name. Imports flow one way::

    norms -> blocks -> models -> train -> experiments

``data`` and ``augment`` feed ``train``, and ``regularization`` holds dropout and early stopping.
``probes`` measure any module and know nothing of training; ``restoring`` helps all of them to leave
a module as it was, and ``renaming`` replaces a file whole. ``continuous`` solves differential
equations, ``figures`` draw what they are given, ``ledger`` reads and writes recorded runs,
``checking`` compares tensors, ``plans`` are networks as data, and ``course`` releases and grades
assignments. Importing the package prints, plots, seeds and downloads nothing, and each submodule
loads when it is first used.
"""

from importlib import import_module
from typing import Any

from .loading import on_first_use
from .settings import scale

__version__ = "0.1.0"

_SUBMODULES = (
    "augment",
    "blocks",
    "checking",
    "continuous",
    "course",
    "data",
    "detection",
    "experiments",
    "figures",
    "ledger",
    "models",
    "norms",
    "plans",
    "probes",
    "regularization",
    "renaming",
    "restoring",
    "segmentation",
    "train",
)
__all__ = ["explore", "scale", *_SUBMODULES]


_submodule = on_first_use(__name__, *_SUBMODULES)


def __getattr__(name: str) -> Any:
    if name == "explore":  # the function; its module is resnorm.figures.explore
        return import_module(".figures.explore", __name__).explore
    return _submodule(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
