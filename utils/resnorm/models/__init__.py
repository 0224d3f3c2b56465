"""Architectures: one file a family, one class plus named constructors."""

from .convnet import ConvNet
from .mlp import MLP

__all__ = ["ConvNet", "MLP"]
