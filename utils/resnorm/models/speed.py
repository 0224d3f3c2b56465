"""A network made to be trained fast: the airbench family, smaller without a GPU (chapter 4.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Whitening(nn.Conv2d):
    """A 2x2 convolution that decorrelates patches of the input; fitted to data once, never trained.

    Its filters are the principal directions of the patches, each scaled to unit variance, and
    their negatives, so that a ReLU after it loses nothing.

    Args:
        in_channels: Channels of the images; the output has 8 times as many.
        eps: Number added to the variances, so that directions without signal are not amplified.

    Shape:
        (N, in_channels, H, W) -> (N, 8 * in_channels, H - 1, W - 1).

    Source:
        Jordan (2024), "94 % on CIFAR-10 in 3.29 seconds", section 3, on frozen patch-whitening
        initialization; before it, tysam-code's hlb-CIFAR10.
    """

    def __init__(self, in_channels: int = 3, eps: float = 5e-4):
        super().__init__(in_channels, 8 * in_channels, 2, bias=False)
        self.eps = eps
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, images: Tensor) -> Whitening:
        """Set the weights from images.

        Args:
            images: (N, in_channels, H, W), with a mean of about 0.

        Returns:
            The layer itself.

        Raises:
            ValueError: The images have another number of channels.
        """
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f"the images have {images.shape[1]} channels, the layer has {self.in_channels}"
            )
        patches = F.unfold(images, 2)  # (N, 4 * in_channels, positions)
        patches = patches.transpose(1, 2).flatten(0, 1)  # -> (N * positions, 4 * in_channels)
        covariance = patches.T @ patches / len(patches)
        variances, directions = torch.linalg.eigh(covariance.double())
        filters = (directions / (variances + self.eps).sqrt()).T  # one filter per row
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))
        return self


class SpeedBlock(nn.Module):
    """Convolution, 2x2 max pooling, norm, ReLU; then convolution, norm, ReLU.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        residual: Whether a shortcut goes around the second convolution.
        momentum: Weight of a batch in the running statistics, PyTorch's convention. A short
            training needs a quick average.

    Shape:
        (N, in_channels, H, W) -> (N, channels, H / 2, W / 2), rounded down.

    Source:
        Jordan (2024), section 3, on identity initialization.
    """

    def __init__(
        self, in_channels: int, channels: int, residual: bool = False, momentum: float = 0.4
    ):
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels, momentum=momentum)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels, momentum=momentum)
        for conv in (self.conv1, self.conv2):
            # As many output channels as there are inputs start as copies of them.
            nn.init.dirac_(conv.weight[: conv.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution, then transform."""
        x = F.max_pool2d(self.conv1(x), 2)  # -> (N, channels, H / 2, W / 2)
        x = F.relu(self.norm1(x))
        y = self.norm2(self.conv2(x))
        return F.relu(x + y if self.residual else y)


class SpeedNet(nn.Module):
    """A whitening layer, three blocks, max pooling, and a linear classifier.

    Every convolution starts as a (partial) identity. So the network is easy to train from its
    first step, as a residual network is, without shortcuts.

    Args:
        widths: Channels of the blocks; (64, 256, 256) are those of airbench94.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        residual: Whether the blocks have shortcuts, see :class:`SpeedBlock`.
        flip_average: Whether to return, in evaluation mode, the mean of the logits of an image and
            of its mirror image.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Source:
        Jordan (2024), section 3; here with ReLU in place of GELU and with trained norm scales.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 128, 128),
        num_classes: int = 10,
        in_channels: int = 3,
        residual: bool = False,
        flip_average: bool = False,
    ):
        super().__init__()
        self.flip_average = flip_average
        self.whitening = Whitening(in_channels)
        channels = (self.whitening.out_channels, *widths)
        self.blocks = nn.Sequential(*(SpeedBlock(a, b, residual) for a, b in pairwise(channels)))
        self.classifier = nn.Linear(channels[-1], num_classes, bias=False)
        self.scale = 1 / 9  # keeps the logits, and so the first gradients, small

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        if self.flip_average and not self.training:
            return (self.logits(x) + self.logits(x.flip(3))) / 2
        return self.logits(x)

    def logits(self, x: Tensor) -> Tensor:
        """Compute the logits of images as they are, without averaging over flips.

        Args:
            x: (N, in_channels, H, W) images.

        Returns:
            (N, num_classes).
        """
        x = F.relu(self.whitening(x))  # (N, 3, 32, 32) -> (N, 24, 31, 31)
        x = self.blocks(x)  # -> (N, widths[-1], 3, 3)
        x = F.adaptive_max_pool2d(x, 1).flatten(1)
        return self.scale * self.classifier(x)
