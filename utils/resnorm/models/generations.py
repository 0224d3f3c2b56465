"""Four generations of networks for 32 x 32 images, with about the same multiply-adds: chapter 1.1.

Each has the traits of its generation at the budget of LeNet-5. Batch norm can stand in all of them,
and so can none, so that its effect can be told apart from that of the generation.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ..blocks import Norm
from .classic import HEADS, LeNet5
from .inception import ConvNormReLU, InceptionModule
from .layers import check_choice, he_initialization


def small_lenet(
    norm: Norm | None = None,
    activation: str = "relu",
    pooling: str = "max",
    in_channels: int = 3,
    num_classes: int = 10,
) -> nn.Module:
    """Make LeNet-5 with a norm after each convolution, or without.

    Args:
        norm: Makes a norm from a number of channels; None makes none.
        activation: ``"tanh"`` or ``"relu"``.
        pooling: ``"average"`` or ``"max"``.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Returns:
        The network, initialized by :func:`he_initialization`.

    Raises:
        ValueError: The activation or the pooling is unknown.

    Shape:
        (N, in_channels, 32, 32) -> (N, num_classes), the logits.

    Source:
        LeCun et al. (1998), section II.B, in the form of :class:`LeNet5`.
    """
    model = LeNet5(num_classes, in_channels, activation, pooling)
    if norm is not None:
        conv1, act1, pool1, conv2, act2, pool2 = model.features
        model.features = nn.Sequential(
            conv1, norm(6), act1, pool1, conv2, norm(16), act2, pool2
        )  # fmt: skip
    he_initialization(model)
    return model


def small_alexnet(
    norm: Norm | None = None, in_channels: int = 3, num_classes: int = 10
) -> nn.Module:
    """Make a small AlexNet: a large kernel with a stride, overlapping poolings, five convolutions.

    It has neither groups nor dropout, nor local response normalization.

    Args:
        norm: Makes a norm after each convolution, from a number of channels; None makes none.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Returns:
        The network, initialized by :func:`he_initialization`.

    Shape:
        (N, in_channels, 32, 32) -> (N, num_classes), the logits.

    Source:
        Krizhevsky et al. (2012), section 3.5, for the order of the layers.
    """

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, padding=1)

    model = nn.Sequential(
        ConvNormReLU(in_channels, 9, 5, stride=2, norm=norm),  # (N, 3, 32, 32) -> (N, 9, 16, 16)
        pool(),  # -> (N, 9, 8, 8)
        ConvNormReLU(9, 18, 5, norm=norm),  # -> (N, 18, 8, 8)
        pool(),  # -> (N, 18, 4, 4)
        ConvNormReLU(18, 24, 3, norm=norm),  # -> (N, 24, 4, 4)
        ConvNormReLU(24, 24, 3, norm=norm),
        ConvNormReLU(24, 18, 3, norm=norm),  # -> (N, 18, 4, 4)
        pool(),  # -> (N, 18, 2, 2)
        *_head("wide", 18, num_classes),
    )
    he_initialization(model)
    return model


def small_vgg(
    norm: Norm | None = None, head: str = "wide", in_channels: int = 3, num_classes: int = 10
) -> nn.Module:
    """Make a small VGG: four stages of 3x3 convolutions, with a maximum pooling after each.

    Args:
        norm: Makes a norm after each convolution, from a number of channels; None makes none.
        head: ``"wide"`` is three fully connected layers, ``"global"`` is the average over all
            positions and one fully connected layer.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Returns:
        The network, initialized by :func:`he_initialization`.

    Raises:
        ValueError: The head is unknown.

    Shape:
        (N, in_channels, 32, 32) -> (N, num_classes), the logits.

    Source:
        Simonyan & Zisserman (2015), table 1, column A, with four stages.
    """
    check_choice("head", head, HEADS)
    model = nn.Sequential()
    channels = in_channels
    for widths in ((6,), (10,), (14, 14), (24, 24)):
        for before, after in pairwise((channels, *widths)):
            model.append(ConvNormReLU(before, after, 3, norm=norm))
        model.append(nn.MaxPool2d(2))  # 32 -> 16 -> 8 -> 4 -> 2
        channels = widths[-1]
    model.extend(_head(head, channels, num_classes))
    he_initialization(model)
    return model


def small_inception(
    norm: Norm | None = None, in_channels: int = 3, num_classes: int = 10
) -> nn.Module:
    """Make a small Inception network: a stem, three modules, and an average over all positions.

    Args:
        norm: Makes a norm after each convolution, from a number of channels; None makes none.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Returns:
        The network, initialized by :func:`he_initialization`.

    Shape:
        (N, in_channels, 32, 32) -> (N, num_classes), the logits.

    Source:
        Szegedy et al. (2015), table 1, with one convolution in the stem and three modules.
    """
    model = nn.Sequential(
        ConvNormReLU(in_channels, 12, 5, stride=2, norm=norm),  # (N, 3, 32, 32) -> (N, 12, 16, 16)
        nn.MaxPool2d(2),  # -> (N, 12, 8, 8)
        InceptionModule(12, 8, 8, 16, 4, 4, 4, norm=norm),  # -> (N, 32, 8, 8)
        InceptionModule(32, 10, 10, 16, 4, 6, 8, norm=norm),  # -> (N, 40, 8, 8)
        nn.MaxPool2d(2),  # -> (N, 40, 4, 4)
        InceptionModule(40, 16, 16, 32, 4, 8, 8, norm=norm),  # -> (N, 64, 4, 4)
        *_head("global", 64, num_classes),
    )
    he_initialization(model)
    return model


def _head(kind: str, channels: int, num_classes: int) -> list[nn.Module]:
    """Three fully connected layers that read 2 x 2 positions, or one that reads averages."""
    if kind == "global":
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)]
    return [
        nn.Flatten(),  # (N, channels, 2, 2) -> (N, 4 channels)
        nn.Linear(4 * channels, 64), nn.ReLU(inplace=True),
        nn.Linear(64, 64), nn.ReLU(inplace=True),
        nn.Linear(64, num_classes),
    ]  # fmt: skip
