"""Data: real where it is at hand, generated where it is not."""

from .cells import Cells, cells, microscopy
from .cifar import Cifar10, cifar10
from .dataset import ImageDataset
from .gratings import synthetic
from .skeletons import Skeletons, skeletons

__all__ = [
    "Cells",
    "Cifar10",
    "Skeletons",
    "ImageDataset",
    "cells",
    "cifar10",
    "microscopy",
    "skeletons",
    "synthetic",
]
