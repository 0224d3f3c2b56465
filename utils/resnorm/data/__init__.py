"""Data: real where it is at hand, generated where it is not."""

from .cells import Cells, cells, microscopy
from .cifar import Cifar10, cifar10
from .gratings import Split, synthetic
from .skeletons import Skeletons, skeletons

__all__ = [
    "Cells",
    "Cifar10",
    "Skeletons",
    "Split",
    "cells",
    "cifar10",
    "microscopy",
    "skeletons",
    "synthetic",
]
