"""The blocks that deep networks repeat, residual and dense, in one place.

======================  ===========================================================
module                  blocks
======================  ===========================================================
``fully_connected``     :class:`ResidualBlock`, in the orders that chapter 3.1 compares
``postact``             :class:`BasicBlock`, :class:`Bottleneck` and :class:`SEBottleneck`
``preact``              :class:`PreActBasicBlock` and :class:`PreActBottleneck`
``dense``               :class:`DenseBlock` of DenseNet and its :class:`DenseLayer`
``squeeze_excitation``  :class:`SqueezeExcitation`, a gate for each channel
``repetition``          :class:`Repetition`, for a pass that is run again in the backward pass
``shortcuts``           what takes the input across where a block changes the shape
``layers``              the convolutions and the type of a norm that blocks share
======================  ===========================================================
"""

from .dense import DenseBlock, DenseLayer
from .fully_connected import ORDERS, ResidualBlock
from .layers import Norm, check_norm, conv1x1, conv3x3
from .postact import BasicBlock, Bottleneck, SEBottleneck
from .preact import PreActBasicBlock, PreActBottleneck
from .repetition import Repetition
from .shortcuts import SubsampleAndPad, make_shortcut
from .squeeze_excitation import SqueezeExcitation

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "DenseBlock",
    "DenseLayer",
    "Norm",
    "ORDERS",
    "PreActBasicBlock",
    "PreActBottleneck",
    "Repetition",
    "ResidualBlock",
    "SEBottleneck",
    "SqueezeExcitation",
    "SubsampleAndPad",
    "check_norm",
    "conv1x1",
    "conv3x3",
    "make_shortcut",
]
