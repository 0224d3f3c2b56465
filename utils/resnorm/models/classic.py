"""Networks from LeNet-5 to VGG-19: convolutions and pooling, then fully connected layers.

AlexNet and VGG have torchvision's module names, so that weights travel both ways. The file is
longer than others because each of the eight VGGs has torchvision's constructor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import Norm, check_norm
from .layers import (
    check_choice,
    check_image_size,
    check_probability,
    check_stages,
    he_initialization,
)

#: What may stand after a convolution of LeNet-5, in its pooling layers, and at its end.
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}
HEADS = ("wide", "global")

#: 3x3 convolutions per stage, from the number of layers with weights.
VGG_LAYERS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
VGG_WIDTHS = (64, 128, 256, 512, 512)


class LeNet5(nn.Module):
    """Two convolutions with pooling, then three fully connected layers, for 32 x 32 images.

    This is the form in common use. The paper's third layer reads a fixed choice of the six maps,
    its pooling learns a scale and a bias, and its outputs are distances to fixed patterns.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the images.
        activation: ``"tanh"`` or ``"relu"``.
        pooling: ``"average"`` or ``"max"``.
        head: ``"wide"`` is three fully connected layers; ``"global"`` averages each of the 16
            channels over all positions, and one fully connected layer reads the averages.

    Raises:
        ValueError: The activation, the pooling or the head is unknown.

    Shape:
        (N, in_channels, 32, 32) -> (N, num_classes), the logits.

    Source:
        LeCun et al. (1998), section II.B and figure 2.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        activation: str = "tanh",
        pooling: str = "average",
        head: str = "wide",
    ):
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("pooling", pooling, POOLINGS)
        check_choice("head", head, HEADS)
        act, pool = ACTIVATIONS[activation], POOLINGS[pooling]
        self.head = head
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5),  # (N, in_channels, 32, 32) -> (N, 6, 28, 28)
            act(),
            pool(2),  # -> (N, 6, 14, 14)
            nn.Conv2d(6, 16, 5),  # -> (N, 16, 10, 10)
            act(),
            pool(2),  # -> (N, 16, 5, 5)
        )
        if head == "wide":
            self.classifier = nn.Sequential(
                nn.Linear(16 * 5 * 5, 120), act(), nn.Linear(120, 84), act(),
                nn.Linear(84, num_classes),
            )  # fmt: skip
        else:
            self.features.append(nn.AdaptiveAvgPool2d(1))  # -> (N, 16, 1, 1)
            self.classifier = nn.Sequential(nn.Linear(16, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        check_image_size(x, "LeNet-5", 14 if self.head == "global" else 32, self.head == "wide")
        x = self.features(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


class AlexNet(nn.Module):
    """Five convolutions, three overlapping max poolings, three fully connected layers.

    Args:
        original: True makes the network of 2012: its first layers are wider, three convolutions
            have two groups (one per GPU), and responses are normalized locally. False makes the
            later form that torchvision has.
        num_classes: Number of classes.
        dropout: Probability with which an input of the first two fully connected layers is
            dropped, as in torchvision; the paper drops their outputs (section 4.2).

    Raises:
        ValueError: The probability lies outside [0, 1).

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits; H and W are at least 63, and usually 224.

    Source:
        Krizhevsky et al. (2012), section 3.5; Krizhevsky (2014), for the later form.
    """

    def __init__(self, original: bool = False, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        check_probability("dropout", dropout)
        groups = 2 if original else 1
        widths = (96, 256, 384, 384, 256) if original else (64, 192, 384, 256, 256)
        # Section 3.3 has alpha = 1e-4 for a sum over five channels; PyTorch's is of the mean.
        norm = [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)] if original else []
        self.features = nn.Sequential(
            nn.Conv2d(3, widths[0], 11, stride=4, padding=2),  # 224 -> 55
            nn.ReLU(inplace=True),
            *norm,
            nn.MaxPool2d(3, stride=2),  # -> 27
            nn.Conv2d(widths[0], widths[1], 5, padding=2, groups=groups),
            nn.ReLU(inplace=True),
            *norm,
            nn.MaxPool2d(3, stride=2),  # -> 13
            nn.Conv2d(widths[1], widths[2], 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths[2], widths[3], 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths[3], widths[4], 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),  # -> 6
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)  # the identity for images of 224
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(widths[4] * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        check_image_size(x, "AlexNet", 63)
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 256, 6, 6)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


class VGG(nn.Module):
    """Stages of 3x3 convolutions with a max pooling after each, then three fully connected layers.

    Args:
        layers: Convolutions per stage, one entry for each stage.
        widths: Channels per stage, one entry for each stage.
        norm: Makes a norm, after each convolution, from a number of channels; None makes none.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        dropout: Probability with which a unit after the first two fully connected layers is
            dropped.

    Raises:
        ValueError: ``layers`` and ``widths`` do not fit together, ``norm`` cannot make layers, or
            the probability lies outside [0, 1).

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits; H and W are at least 32 for five
        stages, and usually 224.

    Source:
        Simonyan & Zisserman (2015), section 2 and table 1.
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int] = VGG_WIDTHS,
        *,
        norm: Norm | None = None,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_stages(layers, widths)
        check_probability("dropout", dropout)
        if norm is not None:
            check_norm(norm)
        self.smallest = 2 ** len(layers)  # smaller images vanish in the poolings
        self.features = nn.Sequential()
        channels = in_channels
        for depth, width in zip(layers, widths, strict=True):
            for _ in range(depth):
                self.features.append(nn.Conv2d(channels, width, 3, padding=1))
                if norm is not None:
                    self.features.append(norm(width))
                self.features.append(nn.ReLU(inplace=True))
                channels = width
            self.features.append(nn.MaxPool2d(2))  # halves the resolution
        self.avgpool = nn.AdaptiveAvgPool2d(7)  # the identity for images of 224
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        check_image_size(x, "VGG", self.smallest)
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 512, 7, 7)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def lenet5(**kwargs: Any) -> LeNet5:
    """Make LeNet-5, for gray images of 32 x 32 unless arguments say otherwise.

    Args:
        **kwargs: Arguments of :class:`LeNet5`.

    Returns:
        The network, randomly initialized.
    """
    return LeNet5(**kwargs)


def alexnet(**kwargs: Any) -> AlexNet:
    """Make AlexNet; ``original=True`` is the network of 2012, with two groups.

    Args:
        **kwargs: Arguments of :class:`AlexNet`.

    Returns:
        The network, randomly initialized.
    """
    return AlexNet(**kwargs)


def vgg(depth: int, **kwargs: Any) -> VGG:
    """Make the VGG of 11, 13, 16 or 19 layers with weights: columns A, B, D and E of the table.

    Args:
        depth: Number of convolutions and fully connected layers.
        **kwargs: Further arguments of :class:`VGG`, such as ``norm``.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: No VGG has this depth.

    Source:
        Simonyan & Zisserman (2015), table 1.
    """
    if depth not in VGG_LAYERS:
        allowed = ", ".join(map(str, VGG_LAYERS))
        raise ValueError(
            f"depth is {depth}; it must be one of {allowed}. "
            "VGG(layers, widths) makes networks of other depths."
        )
    return VGG(VGG_LAYERS[depth], **kwargs)


def vgg11(**kwargs: Any) -> VGG:
    """Make VGG-11.

    Args:
        **kwargs: Further arguments of :class:`VGG`.

    Returns:
        The network, randomly initialized.
    """
    return vgg(11, **kwargs)


def vgg11_bn(**kwargs: Any) -> VGG:
    """Make VGG-11 with batch norm after each convolution.

    Args:
        **kwargs: Further arguments of :class:`VGG`; ``norm`` is batch norm unless given.

    Returns:
        The network, randomly initialized.
    """
    return vgg(11, **{"norm": nn.BatchNorm2d} | kwargs)


def vgg13(**kwargs: Any) -> VGG:
    """Make VGG-13.

    Args:
        **kwargs: Further arguments of :class:`VGG`.

    Returns:
        The network, randomly initialized.
    """
    return vgg(13, **kwargs)


def vgg13_bn(**kwargs: Any) -> VGG:
    """Make VGG-13 with batch norm after each convolution.

    Args:
        **kwargs: Further arguments of :class:`VGG`; ``norm`` is batch norm unless given.

    Returns:
        The network, randomly initialized.
    """
    return vgg(13, **{"norm": nn.BatchNorm2d} | kwargs)


def vgg16(**kwargs: Any) -> VGG:
    """Make VGG-16.

    Args:
        **kwargs: Further arguments of :class:`VGG`.

    Returns:
        The network, randomly initialized.
    """
    return vgg(16, **kwargs)


def vgg16_bn(**kwargs: Any) -> VGG:
    """Make VGG-16 with batch norm after each convolution.

    Args:
        **kwargs: Further arguments of :class:`VGG`; ``norm`` is batch norm unless given.

    Returns:
        The network, randomly initialized.
    """
    return vgg(16, **{"norm": nn.BatchNorm2d} | kwargs)


def vgg19(**kwargs: Any) -> VGG:
    """Make VGG-19.

    Args:
        **kwargs: Further arguments of :class:`VGG`.

    Returns:
        The network, randomly initialized.
    """
    return vgg(19, **kwargs)


def vgg19_bn(**kwargs: Any) -> VGG:
    """Make VGG-19 with batch norm after each convolution.

    Args:
        **kwargs: Further arguments of :class:`VGG`; ``norm`` is batch norm unless given.

    Returns:
        The network, randomly initialized.
    """
    return vgg(19, **{"norm": nn.BatchNorm2d} | kwargs)
