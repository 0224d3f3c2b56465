"""Networks for telephones: MobileNet v1 and v2, whose k x k convolutions are depthwise.

MobileNet v2 has torchvision's module names, so that weights travel both ways.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..blocks import Norm, check_norm
from .layers import conv_norm, he_initialization, multiple_of_8

#: MobileNet v1: output channels and stride of each depthwise separable convolution.
SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
#: MobileNet v2: expansion, channels, blocks and first stride of each stage.
INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class DepthwiseSeparable(nn.Sequential):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution that mixes the channels.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the 3x3 convolution; 2 halves the resolution.
        norm: Makes the norm after each of the two from a number of channels.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Howard et al. (2017), section 3.1 and figure 3, right.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm: Norm = nn.BatchNorm2d
    ):
        super().__init__(
            conv_norm(in_channels, in_channels, 3, stride, groups=in_channels, norm=norm),
            conv_norm(in_channels, out_channels, 1, norm=norm),
        )


class MobileNetV1(nn.Module):
    """A 3x3 convolution of stride 2, 13 depthwise separable ones, pooling and a classifier.

    Args:
        width: Factor of the number of channels of every layer, such as 0.5.
        num_classes: Number of classes.
        norm: Makes a norm from a number of channels.

    Raises:
        ValueError: ``width`` leaves a layer without channels, or ``norm`` cannot make layers.

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits.

    Source:
        Howard et al. (2017), table 1.
    """

    def __init__(self, width: float = 1.0, num_classes: int = 1000, norm: Norm = nn.BatchNorm2d):
        super().__init__()
        check_width(width)
        check_norm(norm)
        channels = max(1, int(32 * width))
        layers: list[nn.Module] = [conv_norm(3, channels, 3, stride=2, norm=norm)]
        for out, stride in SEPARABLE:
            layers.append(DepthwiseSeparable(channels, int(out * width), stride, norm))
            channels = int(out * width)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1024, 7, 7)
        x = x.mean((2, 3))  # -> (N, 1024)
        return self.classifier(x)


class InvertedResidual(nn.Module):
    """Expand by a 1x1 convolution, convolve each channel by itself, and project to few channels.

    The projection has no activation ("linear bottleneck"): a ReLU would lose information where the
    channels are few. The shortcut joins the narrow ends, where the shape stays.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the depthwise convolution; 2 halves the resolution.
        expansion: Channels inside, divided by ``in_channels``; 1 leaves the first convolution out.
        norm: Makes a norm from a number of channels.

    Raises:
        ValueError: ``stride`` is neither 1 nor 2.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Sandler et al. (2018), table 1 and figure 4d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        expansion: int = 6,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride is {stride}; an inverted residual has stride 1 or 2")
        hidden, act = in_channels * expansion, nn.ReLU6
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(in_channels, hidden, 1, norm=norm, activation=act))
        layers.append(conv_norm(hidden, hidden, 3, stride, hidden, norm, act))
        layers += [nn.Conv2d(hidden, out_channels, 1, bias=False), norm(out_channels)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Add the input where the shape stays."""
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """A stem, stages of inverted residuals, a 1x1 convolution, pooling and a classifier.

    Args:
        width: Factor of the number of channels of every layer, such as 0.5; the products are
            rounded to multiples of 8.
        num_classes: Number of classes.
        dropout: Probability of dropping a feature in front of the classifier.
        norm: Makes a norm from a number of channels.

    Raises:
        ValueError: ``width`` is not above 0, or ``norm`` cannot make layers.

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits.

    Source:
        Sandler et al. (2018), table 2.
    """

    def __init__(
        self,
        width: float = 1.0,
        num_classes: int = 1000,
        dropout: float = 0.2,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        check_width(width)
        check_norm(norm)
        act, channels = nn.ReLU6, multiple_of_8(32 * width)
        layers: list[nn.Module] = [conv_norm(3, channels, 3, 2, norm=norm, activation=act)]
        for expansion, out, blocks, first_stride in INVERTED:
            for i in range(blocks):
                stride, out_channels = first_stride if i == 0 else 1, multiple_of_8(out * width)
                layers.append(InvertedResidual(channels, out_channels, stride, expansion, norm))
                channels = out_channels
        last = multiple_of_8(1280 * max(1.0, width))
        layers.append(conv_norm(channels, last, 1, norm=norm, activation=act))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1280, 7, 7)
        x = x.mean((2, 3))  # -> (N, 1280)
        return self.classifier(x)


def mobilenet_v1(**kwargs: Any) -> MobileNetV1:
    """Make MobileNet v1.

    Args:
        **kwargs: Arguments of :class:`MobileNetV1`.

    Returns:
        The network, randomly initialized.
    """
    return MobileNetV1(**kwargs)


def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """Make MobileNet v2.

    Args:
        **kwargs: Arguments of :class:`MobileNetV2`.

    Returns:
        The network, randomly initialized.
    """
    return MobileNetV2(**kwargs)


def check_width(width: float) -> None:
    """Check a factor of the number of channels.

    Args:
        width: The factor.

    Raises:
        ValueError: It is not above 1/64, so that a layer could be left without channels.
    """
    if not width > 1 / 64:
        raise ValueError(
            f"width is {width}; it multiplies the channels, so give 1.0 or, for a smaller network, "
            "0.75, 0.5 or 0.25"
        )
