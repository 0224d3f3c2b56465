"""Residual networks without norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import NormFreeBlock
from ..blocks.norm_free import scaled_conv
from .layers import blocks_of_depth, check_stages


class NFResNet(nn.Module):
    """A stem, stages of blocks without norms, ReLU, pooling, and a classifier.

    It has the layers of :class:`resnorm.models.PreActResNet` with basic blocks, without the norms.

    Args:
        layers: Blocks per stage, one entry for each stage.
        widths: Channels per stage. Each stage but the first halves the resolution.
        num_classes: Number of classes.
        in_channels: Channels of the images, which should be standardized.
        alpha: Factor of the branches.
        skip_init: Whether each branch has a learned factor that starts at 0.

    Raises:
        ValueError: ``layers`` and ``widths`` do not fit together, or ``alpha`` is not positive.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        Brock et al. (2021a), section 3, with a stem for small images.
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        alpha: float = 0.2,
        skip_init: bool = True,
    ):
        super().__init__()
        check_stages(layers, widths)
        self.stem = scaled_conv(in_channels, widths[0], 3, gamma=1.0)  # no ReLU before it
        self.stages = nn.Sequential()
        channels, std = widths[0], 1.0
        for stage, (depth, width) in enumerate(zip(layers, widths, strict=True)):
            blocks = nn.Sequential()
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                block = NormFreeBlock(
                    channels, width, stride, alpha=alpha, beta=std, skip_init=skip_init
                )
                blocks.append(block)
                channels, std = width, block.output_std
            self.stages.append(blocks)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.stem(x)  # (N, 3, H, W) -> (N, widths[0], H, W)
        x = self.stages(x)  # each stage but the first halves H and W
        x = torch.relu(x).mean((2, 3))  # -> (N, widths[-1])
        return self.fc(x)


def cifar_nf_resnet(depth: int, **kwargs: Any) -> NFResNet:
    """Make the network without norms of a ResNet's depth for 32 x 32 images, such as 20 or 56.

    Args:
        depth: Number of layers, 6n + 2.
        **kwargs: Further arguments of :class:`NFResNet`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: The depth is not 6n + 2.

    Source:
        He et al. (2016a), section 4.2, for the layers; Brock et al. (2021a) for the blocks.
    """
    n = blocks_of_depth(depth, per_block=2, extra=2)
    return NFResNet((n, n, n), (16, 32, 64), **kwargs)
