"""A small convolutional network in which any norm can stand: the laboratory of Part II."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class ConvNet(nn.Module):
    """``depth`` 3x3 convolutions, each followed by a norm and a ReLU, then a linear classifier.

    The first convolution of each new width halves the resolution; global average pooling feeds the
    classifier. With ``residual``, each convolution but those that change shape is bridged.

    Args:
        norm: makes a layer from a number of channels, such as ``norms.BatchNorm2d``; None for none.
        widths: channels, one entry a stage.
        depth: convolutions a stage.
        in_channels, num_classes: of images and of the classifier.
        residual: add the input of each shape-keeping convolution to its output.

    Source: the recipe of VGG (Simonyan & Zisserman 2015) with the head of ResNet (He et al. 2016).
    """

    def __init__(
        self,
        norm: Callable[[int], nn.Module] | None,
        widths: tuple[int, ...] = (16, 32, 64),
        depth: int = 2,
        in_channels: int = 3,
        num_classes: int = 10,
        residual: bool = False,
    ):
        super().__init__()
        self.residual = residual
        self.layers = nn.ModuleList()
        channels = in_channels
        for stage, width in enumerate(widths):
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=norm is None)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
                self.layers.append(
                    nn.Sequential(conv, nn.Identity() if norm is None else norm(width), nn.ReLU())
                )
                channels = width
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            y = layer(x)
            x = x + y if self.residual and x.shape == y.shape else y
        return self.classifier(x.mean((2, 3)))
