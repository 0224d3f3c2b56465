"""Data: real where it is at hand, generated where it is not."""

from .cell_images import Cells, cells
from .cifar import Cifar10, cifar10
from .dataset import ImageDataset
from .electron_microscopy import microscopy
from .gratings import synthetic
from .handwriting import digits
from .shapes import SHAPES, Scenes, scenes
from .stick_figures import Skeletons, skeletons

__all__ = [
    "Cells",
    "Cifar10",
    "ImageDataset",
    "SHAPES",
    "Scenes",
    "Skeletons",
    "cells",
    "cifar10",
    "digits",
    "microscopy",
    "scenes",
    "skeletons",
    "synthetic",
]
