"""Architectures: one file a family, one class plus named constructors."""

from .convnet import ConvNet
from .mlp import MLP
from .residual import ResidualMLP, SmallResNet

__all__ = ["ConvNet", "MLP", "ResidualMLP", "SmallResNet"]
