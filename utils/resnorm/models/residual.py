"""Small residual networks, fully connected and convolutional: the laboratory of Part III."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import PreActBasicBlock, ResidualBlock


class ResidualMLP(nn.Module):
    """A linear map to ``width``, ``depth`` residual blocks, and a linear layer that reads out.

    Args:
        in_features: Size of an input.
        width: Units per block.
        depth: Number of blocks.
        out_features: Size of an output.
        generator: Source of the initial weights; None is torch's global generator.
        **block: Further arguments of :class:`resnorm.blocks.ResidualBlock`.

    Shape:
        (N, in_features) -> (N, out_features).

    Source:
        He et al. (2016b), figure 4, with linear maps in place of convolutions.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        depth: int,
        out_features: int,
        *,
        generator: torch.Generator | None = None,
        **block: Any,
    ):
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
        """Compute the outputs of a batch."""
        x = self.embed(x)  # (N, in_features) -> (N, width)
        x = self.blocks(x)
        return self.readout(x)


class SmallResNet(nn.Module):
    """A small pre-activation network: a stem, stages of blocks, norm, ReLU, pooling, a classifier.

    Its blocks are :class:`resnorm.blocks.PreActBasicBlock` whose projections read the raw input,
    so that probes can take each block apart into shortcut and branch.

    Args:
        blocks: Blocks per stage. The first block of each stage but the first halves the
            resolution.
        widths: Channels per stage, one entry for each stage.
        residual: Whether blocks have shortcuts; False makes the plain network of the same layers.
        last_survival: Probability in (0, 1] that the last block's branch is used in training.
            It falls linearly with depth from 1; below 1 this is stochastic depth.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Raises:
        ValueError: ``last_survival`` lies outside (0, 1], or is below 1 in a plain network.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        He et al. (2016b), figure 4e, at reduced width; Huang et al. (2016), section 3, for
        stochastic depth.
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
                block = PreActBasicBlock(
                    channels,
                    width,
                    stride=2 if stage > 0 and i == 0 else 1,
                    residual=residual,
                    survival=1 - position * (1 - last_survival),
                    raw_projection=True,
                    he_init=True,
                )
                self.blocks.append(block)
                channels = width
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.stem(x)  # (N, 3, H, W) -> (N, widths[0], H, W)
        x = self.blocks(x)  # each stage but the first halves H and W
        x = self.head(x)  # -> (N, widths[-1])
        return self.classifier(x)
