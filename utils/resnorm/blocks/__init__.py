"""The blocks that deep networks repeat, residual and dense, in one place.

======================  ===========================================================
module                  blocks
======================  ===========================================================
``fully_connected``     :class:`ResidualBlock`, in the orders that chapter 3.1 compares
``postact``             :class:`BasicBlock`, :class:`Bottleneck` and :class:`SEBottleneck`
``preact``              :class:`PreActBasicBlock` and :class:`PreActBottleneck`
``norm_free``           :class:`NormFreeBlock`, which needs no norm
``transformer``         :class:`Sublayer`, :class:`SelfAttention` and :class:`FeedForward`
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
from .norm_free import NormFreeBlock
from .postact import BasicBlock, Bottleneck, SEBottleneck
from .preact import PreActBasicBlock, PreActBottleneck
from .repetition import Repetition
from .shortcuts import SubsampleAndPad, make_shortcut
from .squeeze_excitation import SqueezeExcitation
from .transformer import FeedForward, SelfAttention, Sublayer

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "DenseBlock",
    "DenseLayer",
    "FeedForward",
    "Norm",
    "NormFreeBlock",
    "ORDERS",
    "PreActBasicBlock",
    "PreActBottleneck",
    "Repetition",
    "ResidualBlock",
    "SEBottleneck",
    "SelfAttention",
    "SqueezeExcitation",
    "Sublayer",
    "SubsampleAndPad",
    "check_norm",
    "conv1x1",
    "conv3x3",
    "make_shortcut",
]
