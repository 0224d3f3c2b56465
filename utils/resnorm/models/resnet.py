"""Residual networks with activation after the sum: ResNet, ResNeXt, and their plain twins.

Module names are torchvision's, so that weights travel both ways; the forms for CIFAR differ in
stem and widths alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import (
    BasicBlock,
    Bottleneck,
    Norm,
    SEBottleneck,
    check_norm,
    conv3x3,
    make_shortcut,
)
from .layers import STEMS, blocks_of_depth, check_choice, check_stages, he_initialization

#: Shortcuts A and B of He et al. (2016a), or none at all: a plain network.
SHORTCUTS = ("A", "B", "none")


class ResNet(nn.Module):
    """A stem, stages of residual blocks, average pooling, and a linear classifier.

    Args:
        block: :class:`resnorm.blocks.BasicBlock` or :class:`resnorm.blocks.Bottleneck`.
        layers: Blocks per stage, one entry for each stage.
        widths: The ``channels`` of the blocks, one entry for each stage. Each stage but the first
            halves the resolution.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        stem: ``"imagenet"`` (7x7, stride 2, then max pooling) or ``"cifar"`` (3x3).
        shortcut: What a block that changes the shape has: ``"B"`` is a 1x1 convolution with a
            norm, ``"A"`` subsamples and pads with zeros. ``"none"`` makes a plain network of the
            same layers.
        groups: Groups of the 3x3 convolutions of bottlenecks.
        width_per_group: Channels per group of a bottleneck whose ``channels`` is 64.
        norm: Makes a norm from a number of channels; any of :mod:`resnorm.norms`.

    Raises:
        ValueError: The stem or the shortcut is unknown, ``norm`` cannot make layers, or ``layers``
            and ``widths`` do not fit together.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        He et al. (2016a), table 1; Xie et al. (2017) for groups; Zagoruyko & Komodakis (2016) for
        the wide form.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        stem: str = "imagenet",
        shortcut: str = "B",
        groups: int = 1,
        width_per_group: int = 64,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        check_choice("stem", stem, STEMS)
        check_norm(norm)
        check_choice("shortcut", shortcut, SHORTCUTS)
        check_stages(layers, widths)
        self.maxpool: nn.Module
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = conv3x3(in_channels, widths[0])
            self.maxpool = nn.Identity()
        self.bn1 = norm(widths[0])

        residual = shortcut != "none"
        channels = widths[0]
        self.stages = []  # names: the modules are layer1, layer2, ..., as in torchvision
        for stage, (depth, width) in enumerate(zip(layers, widths, strict=True), start=1):
            blocks = []
            for i in range(depth):
                stride = 2 if stage > 1 and i == 0 else 1
                out = width * block.expansion
                skip = make_shortcut(shortcut, channels, out, stride, norm) if residual else None
                blocks.append(
                    block(channels, width, stride, skip, norm, groups, width_per_group, residual)
                )
                channels = out
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            self.stages.append(f"layer{stage}")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.conv1(x)  # ImageNet: (N, 3, 224, 224) -> (N, 64, 112, 112)
        x = self.bn1(x)
        x = F.relu(x, inplace=True)
        x = self.maxpool(x)  # -> (N, 64, 56, 56)
        for stage in self.stages:
            x = getattr(self, stage)(x)  # each but the first halves the resolution
        x = self.avgpool(x)  # -> (N, channels, 1, 1)
        x = torch.flatten(x, 1)
        return self.fc(x)

    def zero_init_residual(self) -> ResNet:
        """Let every block start as its shortcut: the scale of each last norm becomes 0.

        Returns:
            The model itself.

        Source:
            Goyal et al. (2017), section 5.1.
        """
        for module in self.modules():
            if isinstance(module, (BasicBlock, Bottleneck)):
                module.zero_init()
        return self


# --- ImageNet ----------------------------------------------------------------------------------


def resnet18(**kwargs: Any) -> ResNet:
    """Make ResNet-18; ``stem="cifar"`` fits it to 32 x 32 images.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


def resnet34(**kwargs: Any) -> ResNet:
    """Make ResNet-34.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


def resnet50(**kwargs: Any) -> ResNet:
    """Make ResNet-50, whose 3x3 convolutions have the strides.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


def resnet101(**kwargs: Any) -> ResNet:
    """Make ResNet-101.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


def resnet152(**kwargs: Any) -> ResNet:
    """Make ResNet-152.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(Bottleneck, (3, 8, 36, 3), **kwargs)


def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """Make ResNeXt-50 with 32 groups of 4 channels.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.

    Source:
        Xie et al. (2017), table 1.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4, **kwargs)


def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """Make ResNeXt-101 with 32 groups of 8 channels.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.
    """
    return ResNet(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=8, **kwargs)


def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """Make a ResNet-50 whose bottlenecks are twice as wide inside.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.

    Source:
        Zagoruyko & Komodakis (2016), table 8.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), width_per_group=128, **kwargs)


def se_resnet50(**kwargs: Any) -> ResNet:
    """Make ResNet-50 with squeeze-and-excitation at the end of each branch.

    Args:
        **kwargs: Further arguments of :class:`ResNet`.

    Returns:
        The network, randomly initialized.

    Source:
        Hu, Shen & Sun (2018), table 1.
    """
    return ResNet(SEBottleneck, (3, 4, 6, 3), **kwargs)


# --- CIFAR -------------------------------------------------------------------------------------


def cifar_resnet(depth: int, shortcut: str = "A", **kwargs: Any) -> ResNet:
    """Make a ResNet for 32 x 32 images, such as 20, 32, 44, 56, 110 or 1202 layers.

    Args:
        depth: Number of layers, 6n + 2.
        shortcut: ``"A"`` (the paper's choice), ``"B"`` or ``"none"``.
        **kwargs: Further arguments of :class:`ResNet`; ``num_classes`` is 10 unless given.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth is not 6n + 2.

    Source:
        He et al. (2016a), section 4.2.
    """
    n = blocks_of_depth(depth, per_block=2, extra=2)
    options: dict[str, Any] = {"num_classes": 10} | kwargs
    return ResNet(BasicBlock, (n, n, n), (16, 32, 64), stem="cifar", shortcut=shortcut, **options)


def cifar_plain(depth: int, **kwargs: Any) -> ResNet:
    """Make the plain network with the layers of :func:`cifar_resnet`, without shortcuts.

    Args:
        depth: Number of layers, 6n + 2.
        **kwargs: Further arguments of :class:`ResNet`; ``num_classes`` is 10 unless given.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth is not 6n + 2.

    Source:
        He et al. (2016a), section 4.2.
    """
    return cifar_resnet(depth, shortcut="none", **kwargs)


def cifar_resnext(depth: int, cardinality: int, width: int, **kwargs: Any) -> ResNet:
    """Make a ResNeXt for 32 x 32 images, such as 29 layers with 8 groups of 64 channels.

    Args:
        depth: Number of layers, 9n + 2.
        cardinality: Number of groups.
        width: Channels per group in the first stage.
        **kwargs: Further arguments of :class:`ResNet`; ``num_classes`` is 10 unless given.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth is not 9n + 2.

    Source:
        Xie et al. (2017), section 5.3.
    """
    n = blocks_of_depth(depth, per_block=3, extra=2)
    options: dict[str, Any] = {"num_classes": 10} | kwargs
    return ResNet(
        Bottleneck,
        (n, n, n),
        (64, 128, 256),
        stem="cifar",
        groups=cardinality,
        width_per_group=width,
        **options,
    )
