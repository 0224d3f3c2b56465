"""Residual networks with pre-activation, which wide residual networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import Norm, PreActBasicBlock, PreActBottleneck, check_norm, conv3x3
from .layers import STEMS, blocks_of_depth, check_choice, check_stages, he_initialization

#: A kind of block: its class, and the number of layers in it.
BLOCKS: dict[str, tuple[type[PreActBasicBlock] | type[PreActBottleneck], int]] = {
    "basic": (PreActBasicBlock, 2),
    "bottleneck": (PreActBottleneck, 3),
}
#: The block of each depth that is published for CIFAR (He et al. 2016b, table 4).
PUBLISHED_BLOCKS = {110: "basic", 164: "bottleneck", 1001: "bottleneck"}


class PreActResNet(nn.Module):
    """A stem, stages of pre-activation blocks, a last norm and ReLU, pooling, and a classifier.

    Args:
        block: :class:`resnorm.blocks.PreActBasicBlock` or
            :class:`resnorm.blocks.PreActBottleneck`.
        layers: Blocks per stage, one entry for each stage.
        widths: The ``channels`` of the blocks, one entry for each stage. Each stage but the first
            halves the resolution.
        stem_channels: Channels of the first convolution.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        stem: ``"imagenet"`` (7x7, stride 2, norm, ReLU, max pooling) or ``"cifar"`` (3x3).
        norm: Makes a norm from a number of channels; any of :mod:`resnorm.norms`.

    Raises:
        ValueError: The stem is unknown, ``norm`` cannot make layers, or ``layers`` and ``widths``
            do not fit together.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        He et al. (2016b); Zagoruyko & Komodakis (2016), table 1, for the wide form.
    """

    def __init__(
        self,
        block: type[PreActBasicBlock] | type[PreActBottleneck],
        layers: Sequence[int],
        widths: Sequence[int],
        stem_channels: int,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        check_choice("stem", stem, STEMS)
        check_norm(norm)
        check_stages(layers, widths)
        self.stem = make_stem(stem, in_channels, stem_channels, norm)
        channels, stages = stem_channels, []
        for stage, (depth, width) in enumerate(zip(layers, widths, strict=True)):
            blocks = []
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(channels, width, stride, norm))
                channels = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.norm = norm(channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.stem(x)  # CIFAR: (N, 3, 32, 32) -> (N, 16, 32, 32)
        x = self.stages(x)  # -> (N, channels, 8, 8)
        x = self.norm(x)  # nothing has normalized or activated the last sum
        x = F.relu(x)
        x = self.avgpool(x)  # -> (N, channels, 1, 1)
        x = torch.flatten(x, 1)
        return self.fc(x)


def make_stem(stem: str, in_channels: int, channels: int, norm: Norm) -> nn.Module:
    """Make what stands before the first block.

    Args:
        stem: ``"imagenet"`` or ``"cifar"``.
        in_channels: Channels of the images.
        channels: Channels of the output.
        norm: Makes a norm from a number of channels.

    Returns:
        A module that maps (N, in_channels, H, W) to (N, channels, H / 4, W / 4) for ImageNet, and
        to (N, channels, H, W) for CIFAR.
    """
    if stem == "cifar":
        return conv3x3(in_channels, channels)
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
        norm(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def preact_resnet200(**kwargs: Any) -> PreActResNet:
    """Make the pre-activation ResNet-200 for ImageNet.

    Args:
        **kwargs: Further arguments of :class:`PreActResNet`; ``num_classes`` is 1000 and ``stem``
            is ``"imagenet"`` unless given.

    Returns:
        The network, randomly initialized.

    Source:
        He et al. (2016b), table 5.
    """
    options: dict[str, Any] = {"num_classes": 1000, "stem": "imagenet"} | kwargs
    return PreActResNet(PreActBottleneck, (3, 24, 36, 3), (64, 128, 256, 512), 64, **options)


def cifar_preact_resnet(depth: int, block: str | None = None, **kwargs: Any) -> PreActResNet:
    """Make a pre-activation ResNet for 32 x 32 images, such as 110, 164 or 1001 layers.

    Args:
        depth: Number of layers, 6n + 2 with basic blocks and 9n + 2 with bottlenecks.
        block: ``"basic"`` or ``"bottleneck"``; None is the published choice, which is basic for
            110 layers and bottlenecks for 164 and 1001.
        **kwargs: Further arguments of :class:`PreActResNet`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth does not fit the block, or ``block`` is missing for a depth that is
            not published.

    Source:
        He et al. (2016b), section 4 and table 4.
    """
    if block is None and depth not in PUBLISHED_BLOCKS:
        published = ", ".join(f"{d} ({kind})" for d, kind in PUBLISHED_BLOCKS.items())
        raise ValueError(
            f"depth is {depth}, and published are {published}; for another depth give a block: "
            "'basic' for 6n + 2 layers, 'bottleneck' for 9n + 2"
        )
    name = PUBLISHED_BLOCKS[depth] if block is None else block
    check_choice("block", name, BLOCKS)
    kind, layers_per_block = BLOCKS[name]
    n = blocks_of_depth(depth, per_block=layers_per_block, extra=2)
    return PreActResNet(kind, (n, n, n), (16, 32, 64), 16, **kwargs)


def cifar_wide_resnet(depth: int, widen_factor: int, **kwargs: Any) -> PreActResNet:
    """Make the wide residual network WRN-depth-widen_factor for 32 x 32 images, such as WRN-28-10.

    Args:
        depth: Number of layers, 6n + 4.
        widen_factor: Factor k of the widths, at least 1; with 1 they are those of
            :func:`resnorm.models.cifar_resnet`.
        **kwargs: Further arguments of :class:`PreActResNet`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth is not 6n + 4, or the widening factor is below 1.

    Source:
        Zagoruyko & Komodakis (2016), table 1.
    """
    n = blocks_of_depth(depth, per_block=2, extra=4)
    if widen_factor < 1:
        raise ValueError(f"widen_factor is {widen_factor}; it must be 1 or more")
    widths = [width * widen_factor for width in (16, 32, 64)]
    return PreActResNet(PreActBasicBlock, (n, n, n), widths, 16, **kwargs)
