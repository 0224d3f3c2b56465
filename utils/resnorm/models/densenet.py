"""Densely connected networks: every layer reads all earlier ones (Huang et al. 2017).

They concatenate instead of adding, so they have skip connections but no residual sums. Module
names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import DenseBlock, DenseLayer, Norm, check_norm, conv1x1, conv3x3
from .layers import STEMS, blocks_of_depth, check_choice, he_initialization


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a last norm and ReLU, and a classifier.

    Args:
        growth_rate: Channels that each layer adds, called k.
        block_config: Layers per block, one entry for each block.
        stem_channels: Channels of the first convolution.
        compression: Share of the channels that a transition keeps, in (0, 1].
        bottleneck: Whether layers have a 1x1 convolution, see :class:`resnorm.blocks.DenseLayer`.
        checkpointed: Whether layers recompute in the backward pass instead of keeping, see
            :class:`resnorm.blocks.DenseLayer`.
        stem: ``"imagenet"`` (7x7, stride 2, norm, ReLU, max pooling) or ``"cifar"`` (3x3).
        num_classes: Number of classes.
        in_channels: Channels of the images.
        norm: Makes a norm from a number of channels; any of :mod:`resnorm.norms`.

    Raises:
        ValueError: The stem is unknown, the compression lies outside (0, 1], or ``norm`` cannot
            make layers.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        Huang et al. (2017), table 1.
    """

    def __init__(
        self,
        growth_rate: int,
        block_config: Sequence[int],
        stem_channels: int,
        *,
        compression: float = 0.5,
        bottleneck: bool = True,
        checkpointed: bool = False,
        stem: str = "imagenet",
        num_classes: int = 1000,
        in_channels: int = 3,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        check_choice("stem", stem, STEMS)
        check_norm(norm)
        if not 0 < compression <= 1:
            raise ValueError(
                f"compression is {compression}; it is the share of channels kept, in (0, 1]"
            )
        self.features = make_stem(stem, in_channels, stem_channels, norm)
        channels = stem_channels
        for i, depth in enumerate(block_config, start=1):
            block = DenseBlock()
            for j in range(1, depth + 1):
                block[f"denselayer{j}"] = DenseLayer(
                    channels, growth_rate, bottleneck, norm, checkpointed
                )
                channels += growth_rate
            self.features.add_module(f"denseblock{i}", block)
            if i < len(block_config):
                kept = int(channels * compression)
                self.features.add_module(f"transition{i}", make_transition(channels, kept, norm))
                channels = kept
        self.features.add_module("norm5", norm(channels))
        self.classifier = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # ImageNet: (N, 3, 224, 224) -> (N, channels, 7, 7)
        x = F.relu(x)
        x = F.adaptive_avg_pool2d(x, 1)  # -> (N, channels, 1, 1)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def make_stem(stem: str, in_channels: int, channels: int, norm: Norm) -> nn.Sequential:
    """Make what stands before the first dense block, with torchvision's names.

    Args:
        stem: ``"imagenet"`` or ``"cifar"``.
        in_channels: Channels of the images.
        channels: Channels of the output.
        norm: Makes a norm from a number of channels.

    Returns:
        A module that maps (N, in_channels, H, W) to (N, channels, H / 4, W / 4) for ImageNet, and
        to (N, channels, H, W) for CIFAR.
    """
    layers = nn.Sequential()
    if stem == "cifar":
        layers.add_module("conv0", conv3x3(in_channels, channels))
        return layers
    layers.add_module("conv0", nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False))
    layers.add_module("norm0", norm(channels))
    layers.add_module("relu0", nn.ReLU())
    layers.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
    return layers


def make_transition(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """Make what stands between two dense blocks: fewer channels, half the resolution.

    Args:
        in_channels: Channels that the block before gives.
        out_channels: Channels that are kept.
        norm: Makes a norm from a number of channels.

    Returns:
        A module that maps (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2).
    """
    layers = nn.Sequential()
    layers.add_module("norm", norm(in_channels))
    layers.add_module("relu", nn.ReLU())
    layers.add_module("conv", conv1x1(in_channels, out_channels))
    layers.add_module("pool", nn.AvgPool2d(2))
    return layers


def densenet121(**kwargs: Any) -> DenseNet:
    """Make DenseNet-121.

    Args:
        **kwargs: Further arguments of :class:`DenseNet`.

    Returns:
        The network, randomly initialized.
    """
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


def densenet161(**kwargs: Any) -> DenseNet:
    """Make DenseNet-161, whose growth rate is 48.

    Args:
        **kwargs: Further arguments of :class:`DenseNet`.

    Returns:
        The network, randomly initialized.
    """
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


def densenet169(**kwargs: Any) -> DenseNet:
    """Make DenseNet-169.

    Args:
        **kwargs: Further arguments of :class:`DenseNet`.

    Returns:
        The network, randomly initialized.
    """
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


def densenet201(**kwargs: Any) -> DenseNet:
    """Make DenseNet-201.

    Args:
        **kwargs: Further arguments of :class:`DenseNet`.

    Returns:
        The network, randomly initialized.
    """
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)


def cifar_densenet(
    depth: int, growth_rate: int, bottleneck: bool = False, compression: float = 1.0, **kwargs: Any
) -> DenseNet:
    """Make a DenseNet for 32 x 32 images, such as 40 layers with growth rate 12.

    DenseNet-BC, such as 100 layers with growth rate 12, is ``bottleneck=True, compression=0.5``.
    Its dense layers count as two, and its stem has 2k channels instead of 16.

    Args:
        depth: Number of layers, 3n + 4, or 6n + 4 with bottlenecks.
        growth_rate: Channels that each layer adds, called k.
        bottleneck: Whether layers have a 1x1 convolution, see :class:`resnorm.blocks.DenseLayer`.
        compression: Share of the channels that a transition keeps, in (0, 1].
        **kwargs: Further arguments of :class:`DenseNet`; ``num_classes`` is 10 unless given.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth does not fit.

    Source:
        Huang et al. (2017), section 4.2.
    """
    n = blocks_of_depth(depth, per_block=2 if bottleneck else 1, extra=4)
    stem_channels = 2 * growth_rate if bottleneck and compression < 1 else 16
    options: dict[str, Any] = {"num_classes": 10, "stem": "cifar"} | kwargs
    return DenseNet(
        growth_rate,
        (n, n, n),
        stem_channels,
        bottleneck=bottleneck,
        compression=compression,
        **options,
    )
