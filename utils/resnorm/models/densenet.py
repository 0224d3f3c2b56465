"""Densely connected networks: every layer reads all earlier ones (Huang et al. 2017).

Concatenation instead of addition: skip connections, but no residual sums. Module names are
torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .resnet import (
    STEMS,
    Norm,
    blocks_of_depth,
    check_choice,
    check_norm,
    conv1x1,
    conv3x3,
    he_initialization,
)


@contextmanager
def unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """Give the module's buffers, such as running statistics, the values back that they had before."""
    before = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), before):
                buffer.copy_(value)


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution (the bottleneck, optional), norm, ReLU, 3x3 convolution.

    Args:
        in_channels: of all earlier feature maps together.
        growth_rate: k, channels that this layer adds.
        bottleneck: reduce to 4k channels by a 1x1 convolution first (the B in DenseNet-BC).
        norm: makes a norm from a number of channels.
        checkpointed: recompute concatenation, norm and 1x1 convolution in the backward pass
            instead of keeping them (Pleiss et al. 2017): their memory grows with the square of the depth.
    """

    def __init__(
        self, in_channels: int, growth_rate: int, bottleneck: bool, norm: Norm, checkpointed: bool
    ):
        super().__init__()
        width = 4 * growth_rate if bottleneck else in_channels
        self.norm1 = norm(in_channels)
        if bottleneck:
            self.conv1 = conv1x1(in_channels, width)
            self.norm2 = norm(width)
            self.conv2 = conv3x3(width, growth_rate)
        else:
            self.conv1 = conv3x3(in_channels, growth_rate)
        self.bottleneck, self.checkpointed = bottleneck, checkpointed

    def read(self, *features: Tensor) -> Tensor:
        """Concatenate, normalize, convolve: the part that is cheap to compute and expensive to keep."""
        x = torch.cat(features, 1)  # (N, in_channels, H, W)
        x = F.relu(self.norm1(x))
        return self.conv1(x)

    def contexts(self) -> tuple[AbstractContextManager, AbstractContextManager]:
        """Of the forward pass, and of its repetition, which must not count the batch a second time."""
        return nullcontext(), unchanged_buffers(self.norm1)

    def forward(self, features: list[Tensor]) -> Tensor:
        if self.checkpointed and self.training:
            out = checkpoint(self.read, *features, use_reentrant=False, context_fn=self.contexts)
        else:
            out = self.read(*features)
        if not self.bottleneck:
            return out
        out = F.relu(self.norm2(out))
        return self.conv2(out)


class DenseBlock(nn.ModuleDict):
    """Layers that each read the block's input and the outputs of all layers before them."""

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a last norm and ReLU, a classifier.

    Args:
        growth_rate: k.
        block_config: layers a block.
        stem_channels: of the first convolution.
        compression: a transition keeps this share of the channels.
        bottleneck, checkpointed, norm: of :class:`DenseLayer`.
        stem: ``"imagenet"`` (7x7, stride 2, norm, ReLU, max pooling) or ``"cifar"`` (3x3).
        num_classes, in_channels: of classifier and images.

    Raises:
        ValueError: an unknown stem, or a compression outside (0, 1].

    Source: Huang et al. (2017), table 1.
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
        self.features = nn.Sequential()
        if stem == "imagenet":
            self.features.add_module(
                "conv0", nn.Conv2d(in_channels, stem_channels, 7, stride=2, padding=3, bias=False)
            )
            self.features.add_module("norm0", norm(stem_channels))
            self.features.add_module("relu0", nn.ReLU())
            self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        else:
            self.features.add_module("conv0", conv3x3(in_channels, stem_channels))

        channels = stem_channels
        for i, depth in enumerate(block_config, start=1):
            block = DenseBlock()
            for j in range(depth):
                block[f"denselayer{j + 1}"] = DenseLayer(
                    channels, growth_rate, bottleneck, norm, checkpointed
                )
                channels += growth_rate
            self.features.add_module(f"denseblock{i}", block)
            if i < len(block_config):
                kept = int(channels * compression)
                transition = nn.Sequential()
                transition.add_module("norm", norm(channels))
                transition.add_module("relu", nn.ReLU())
                transition.add_module("conv", conv1x1(channels, kept))
                transition.add_module("pool", nn.AvgPool2d(2))
                self.features.add_module(f"transition{i}", transition)
                channels = kept
        self.features.add_module("norm5", norm(channels))
        self.classifier = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x))
        x = F.adaptive_avg_pool2d(x, 1)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def densenet121(**kwargs) -> DenseNet:
    """DenseNet-121."""
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


def densenet161(**kwargs) -> DenseNet:
    """DenseNet-161, growth rate 48."""
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


def densenet169(**kwargs) -> DenseNet:
    """DenseNet-169."""
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


def densenet201(**kwargs) -> DenseNet:
    """DenseNet-201."""
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)


def cifar_densenet(
    depth: int, growth_rate: int, bottleneck: bool = False, compression: float = 1.0, **kwargs
) -> DenseNet:
    """DenseNet for 32 x 32 images (Huang et al. 2017, section 4.2), such as 40, 12.

    DenseNet-BC is ``bottleneck=True, compression=0.5``, such as 100, 12: two layers of depth each,
    and a stem of 2k channels in place of 16.

    Args:
        depth: 3n + 4 layers, or 6n + 4 with bottlenecks.
        growth_rate: k.
        bottleneck, compression, kwargs: of :class:`DenseNet`.

    Raises:
        ValueError: a depth that does not fit.
    """
    n = blocks_of_depth(depth, per_block=2 if bottleneck else 1, extra=4)
    stem_channels = 2 * growth_rate if bottleneck and compression < 1 else 16
    options = {"num_classes": 10, "stem": "cifar"} | kwargs
    return DenseNet(
        growth_rate,
        (n, n, n),
        stem_channels,
        bottleneck=bottleneck,
        compression=compression,
        **options,
    )
