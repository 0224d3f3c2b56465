"""EfficientNet: one network, found by a search, in sizes that grow by a rule.

Module names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from ..blocks import SqueezeExcitation
from .layers import check_choice, conv_norm, he_initialization, multiple_of_8

#: EfficientNet-B0: expansion, kernel, first stride, channels and blocks of each stage.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
#: Factors of width and depth, side of the images in pixels, and dropout of the released networks.
SIZES = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
}


class MBConv(nn.Module):
    """An inverted residual with squeeze-and-excitation between its second and third convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the depthwise convolution.
        stride: Its stride; 2 halves the resolution.
        expansion: Channels inside, divided by ``in_channels``; 1 leaves the first convolution out.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Tan & Le (2019), section 4; the gates have a quarter of the *input's* channels inside.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 6,
    ):
        super().__init__()
        hidden, act = in_channels * expansion, nn.SiLU
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(in_channels, hidden, 1, activation=act))
        layers += [
            conv_norm(hidden, hidden, kernel, stride, groups=hidden, activation=act),
            SqueezeExcitation(hidden, max(1, in_channels // 4), activation=act),
            conv_norm(hidden, out_channels, 1, activation=None),
        ]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Add the input where the shape stays."""
        return x + self.block(x) if self.residual else self.block(x)


class EfficientNet(nn.Module):
    """A stem, stages of MBConv blocks, a 1x1 convolution, pooling and a classifier.

    Args:
        width: Factor of the channels of B0; the products are rounded to multiples of 8.
        depth: Factor of the blocks per stage of B0, rounded up.
        dropout: Probability of dropping a feature in front of the classifier.
        num_classes: Number of classes.

    Raises:
        ValueError: ``width`` or ``depth`` is not above 0.

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits.

    Source:
        Tan & Le (2019), table 1.
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,
        dropout: float = 0.2,
        num_classes: int = 1000,
    ):
        super().__init__()
        if min(width, depth) <= 0:
            raise ValueError(f"width is {width} and depth is {depth}; both must be above 0")
        channels = multiple_of_8(32 * width)
        layers: list[nn.Module] = [conv_norm(3, channels, 3, stride=2, activation=nn.SiLU)]
        for expansion, kernel, first_stride, out, blocks in STAGES:
            stage: list[nn.Module] = []
            for i in range(math.ceil(blocks * depth)):
                stride, out_channels = first_stride if i == 0 else 1, multiple_of_8(out * width)
                stage.append(MBConv(channels, out_channels, kernel, stride, expansion))
                channels = out_channels
            layers.append(nn.Sequential(*stage))
        layers.append(conv_norm(channels, 4 * channels, 1, activation=nn.SiLU))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * channels, num_classes))
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # B0: (N, 3, 224, 224) -> (N, 1280, 7, 7)
        x = x.mean((2, 3))  # -> (N, 1280)
        return self.classifier(x)


def efficientnet(size: str = "b0", **kwargs: Any) -> EfficientNet:
    """Make an EfficientNet of a released size.

    Args:
        size: A key of ``SIZES``.
        **kwargs: Further arguments of :class:`EfficientNet`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The size is unknown.
    """
    check_choice("size", size, SIZES)
    width, depth, _, dropout = SIZES[size]
    return EfficientNet(width, depth, **{"dropout": dropout, **kwargs})


def compound_scaling(
    phi: float, depth: float = 1.2, width: float = 1.1, side: float = 1.15
) -> tuple[float, float, float]:
    """Scale depth, width and resolution of B0 together.

    Args:
        phi: The compound coefficient; with the default bases the multiply-adds grow by about
            2 ** phi.
        depth: Base of the factor of the depth.
        width: Base of the factor of the width.
        side: Base of the factor of the side of the images.

    Returns:
        The factor of the width, the factor of the depth, and the side of the images in pixels, not
        rounded.

    Source:
        Tan & Le (2019), equation 3 and section 4.
    """
    return width**phi, depth**phi, 224 * side**phi
