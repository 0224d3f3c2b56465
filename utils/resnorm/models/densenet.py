"""Densely connected networks: every layer reads all earlier ones (Huang et al. 2017).

They concatenate instead of adding, so they have skip connections but no residual sums. Module
names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..blocks import Norm, check_norm, conv1x1, conv3x3
from .layers import STEMS, blocks_of_depth, check_choice, he_initialization


@contextmanager
def unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """Restore a module's buffers, such as running statistics, at the end of a ``with`` block.

    Args:
        module: The module whose buffers are restored.

    Yields:
        Nothing.
    """
    before = [buffer.clone() for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(module.buffers(), before, strict=True):
                buffer.copy_(value)


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution (the optional bottleneck), norm, ReLU, 3x3 convolution.

    Args:
        in_channels: Channels of all earlier feature maps together.
        growth_rate: Channels that this layer adds, called k.
        bottleneck: Whether a 1x1 convolution reduces the input to 4k channels first (the B in
            DenseNet-BC).
        norm: Makes a norm from a number of channels.
        checkpointed: Whether to recompute concatenation, norm and first convolution in the
            backward pass instead of keeping their outputs, whose memory grows with the square of
            the depth (Pleiss et al. 2017).

    Shape:
        List of (N, channels_i, H, W), where the channels_i add up to in_channels ->
        (N, growth_rate, H, W).

    Source:
        Huang et al. (2017), section 3.
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

    def forward(self, features: list[Tensor]) -> Tensor:
        """Compute the new feature maps from all earlier ones."""
        if self.checkpointed and self.training:
            out = checkpoint(self.read, *features, use_reentrant=False, context_fn=self.contexts)
        else:
            out = self.read(*features)
        if not self.bottleneck:
            return out
        out = F.relu(self.norm2(out))
        return self.conv2(out)

    def read(self, *features: Tensor) -> Tensor:
        """Concatenate, normalize and convolve: the part that is cheap to compute and large to keep.

        Args:
            *features: Earlier feature maps, (N, channels_i, H, W) each.

        Returns:
            (N, 4 * growth_rate, H, W) with a bottleneck, (N, growth_rate, H, W) without.
        """
        x = torch.cat(features, 1)  # -> (N, in_channels, H, W)
        x = F.relu(self.norm1(x))
        return self.conv1(x)

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Make the contexts of the forward pass and of its repetition.

        The repetition must not count the batch in the running statistics a second time.

        Returns:
            A context manager for each of the two.
        """
        return nullcontext(), unchanged_buffers(self.norm1)


class DenseBlock(nn.ModuleDict):
    """Layers that each read the block's input and the outputs of all layers before them.

    Args:
        modules: Layers by name, of :class:`DenseLayer`, in order; more can be added by key.

    Shape:
        (N, in_channels, H, W) -> (N, in_channels + len(self) * growth_rate, H, W).

    Source:
        Huang et al. (2017), equation 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the input and the outputs of all layers."""
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a last norm and ReLU, and a classifier.

    Args:
        growth_rate: Channels that each layer adds, called k.
        block_config: Layers per block, one entry for each block.
        stem_channels: Channels of the first convolution.
        compression: Share of the channels that a transition keeps, in (0, 1].
        bottleneck: Whether layers have a 1x1 convolution, see :class:`DenseLayer`.
        checkpointed: Whether layers recompute instead of keeping, see :class:`DenseLayer`.
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
        bottleneck: Whether layers have a 1x1 convolution, see :class:`DenseLayer`.
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
