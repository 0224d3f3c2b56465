"""Data: real where it is at hand, generated where it is not."""

from .cells import Cells, cells, microscopy
from .gratings import Split, synthetic
from .skeletons import Skeletons, skeletons

__all__ = ["Cells", "Skeletons", "Split", "cells", "microscopy", "skeletons", "synthetic"]
