"""Small residual networks, fully connected and convolutional: the laboratory of Part III."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ..blocks import ConvBlock, ResidualBlock


class ResidualMLP(nn.Module):
    """A linear map to ``width``, ``depth`` residual blocks, a linear read-out.

    Args:
        in_features, width, out_features: sizes.
        depth: number of blocks.
        generator: of the initial weights.
        block: further arguments of :class:`resnorm.blocks.ResidualBlock`.
    """

    def __init__(self, in_features, width, depth, out_features, *, generator=None, **block):
        super().__init__()
        self.embed = nn.Linear(in_features, width)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, generator=generator, **block) for _ in range(depth))
        )
        self.readout = nn.Linear(width, out_features)
        for layer in (self.embed, self.readout):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.in_features), generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.blocks(self.embed(x)))


class SmallResNet(nn.Module):
    """A stem, stages of :class:`resnorm.blocks.ConvBlock`, BN, ReLU, average pooling, a classifier.

    Args:
        blocks: blocks a stage; the first block of each stage but the first halves the resolution.
        widths: channels a stage.
        residual: with shortcuts, or the plain network of the same layers.
        last_survival: stochastic depth falls linearly from 1 to this probability with depth.
        in_channels, num_classes: of images and classifier.

    Source: He et al. (2016b), at reduced width; stochastic depth after Huang et al. (2016).
    """

    def __init__(
        self,
        blocks: int = 3,
        widths: tuple[int, ...] = (8, 16, 32),
        *,
        residual: bool = True,
        last_survival: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="relu")
        self.blocks = nn.Sequential()
        total, channels = blocks * len(widths), widths[0]
        for stage, width in enumerate(widths):
            for i in range(blocks):
                position = (len(self.blocks) + 1) / total
                survival = 1 - position * (1 - last_survival)
                stride = 2 if stage > 0 and i == 0 else 1
                self.blocks.append(
                    ConvBlock(channels, width, stride, residual=residual, survival=survival)
                )
                channels = width
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.head(self.blocks(self.stem(x))))
