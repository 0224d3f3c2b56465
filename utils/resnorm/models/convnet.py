"""A small convolutional network in which any norm can stand: the laboratory of Part II."""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks import Norm


class ConvNet(nn.Module):
    """Stages of 3x3 convolutions, each followed by a norm and a ReLU, then a linear classifier.

    The first convolution of each stage but the first halves the resolution. Global average pooling
    feeds the classifier.

    Args:
        norm: Makes a norm from a number of channels, such as :class:`resnorm.norms.BatchNorm2d`;
            None leaves norms out and gives the convolutions a bias.
        widths: Channels per stage, one entry for each stage.
        depth: Convolutions per stage.
        in_channels: Channels of the images.
        num_classes: Number of classes.
        residual: Whether to add the input of a convolution to its output, after the ReLU, where
            both have the same shape.
        bias: Whether the convolutions have a bias; None gives them one only without a norm.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        The stages of VGG (Simonyan & Zisserman 2015, section 2.1) with the pooling and classifier
        of ResNet (He et al. 2016a, section 3.3).
    """

    def __init__(
        self,
        norm: Norm | None,
        widths: tuple[int, ...] = (16, 32, 64),
        depth: int = 2,
        in_channels: int = 3,
        num_classes: int = 10,
        residual: bool = False,
        bias: bool | None = None,
    ):
        super().__init__()
        self.residual = residual
        bias = norm is None if bias is None else bias
        self.layers = nn.ModuleList()
        channels = in_channels
        for stage, width in enumerate(widths):
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=bias)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
                self.layers.append(
                    nn.Sequential(conv, nn.Identity() if norm is None else norm(width), nn.ReLU())
                )
                channels = width
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        for layer in self.layers:
            y = layer(x)
            x = x + y if self.residual and x.shape == y.shape else y
        x = x.mean((2, 3))  # (N, C, H, W) -> (N, C)
        return self.classifier(x)
