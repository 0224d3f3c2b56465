"""A network made to be trained fast: the airbench family, smaller without a GPU (chapter 4.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: What may follow a convolution and its norm.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class Whitening(nn.Conv2d):
    """A 2x2 convolution that decorrelates patches of the input; fitted to data once, never trained.

    Its filters are the principal directions of the patches, each scaled to unit variance, and
    their negatives, so that a ReLU after it loses nothing. The bias, if there is one, starts at 0
    and is trained.

    Args:
        in_channels: Channels of the images; the output has 8 times as many.
        eps: Number added to the variances, so that directions without signal are not amplified.
        bias: Whether the layer has a bias.

    Shape:
        (N, in_channels, H, W) -> (N, 8 * in_channels, H - 1, W - 1).

    Source:
        Jordan (2024), "94 % on CIFAR-10 in 3.29 seconds", section 3, on frozen patch-whitening
        initialization; before it, tysam-code's hlb-CIFAR10.
    """

    def __init__(self, in_channels: int = 3, eps: float = 5e-4, bias: bool = False):
        super().__init__(in_channels, 8 * in_channels, 2, bias=bias)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
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
    """Convolution, 2x2 max pooling, norm, activation; then convolution, norm, activation.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        residual: Whether a shortcut goes around the second convolution.
        momentum: Weight of a batch in the running statistics, PyTorch's convention. A short
            training needs a quick average.
        activation: A key of ``ACTIVATIONS``.
        norm_scales: Whether the norms' scales are trained; otherwise they stay 1.
        identity_start: Whether as many output channels as there are inputs start as copies of them;
            otherwise all start at random (He et al. 2015).

    Shape:
        (N, in_channels, H, W) -> (N, channels, H / 2, W / 2), rounded down.

    Source:
        Jordan (2024), section 3, on identity initialization.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        residual: bool = False,
        momentum: float = 0.4,
        activation: str = "relu",
        norm_scales: bool = True,
        identity_start: bool = True,
    ):
        super().__init__()
        self.residual = residual
        self.activation = activation
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels, momentum=momentum)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels, momentum=momentum)
        for conv in (self.conv1, self.conv2):
            if identity_start:
                nn.init.dirac_(conv.weight[: conv.in_channels])
            else:
                nn.init.kaiming_normal_(conv.weight)
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad_(norm_scales)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution, then transform."""
        activate = ACTIVATIONS[self.activation]
        x = F.max_pool2d(self.conv1(x), 2)  # -> (N, channels, H / 2, W / 2)
        x = activate(self.norm1(x))
        y = self.norm2(self.conv2(x))
        return activate(x + y if self.residual else y)


class SpeedNet(nn.Module):
    """A whitening layer, three blocks, max pooling, and a linear classifier.

    Every convolution starts as a (partial) identity. So the network is easy to train from its
    first step, as a residual network is, without shortcuts.

    Args:
        widths: Channels of the blocks; (64, 256, 256) are those of airbench94.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        residual: Whether the blocks have shortcuts, see :class:`SpeedBlock`.
        flip_average: Whether to average, in evaluation mode, the logits of an image and of its
            mirror image.
        shift_average: Whether to average, in evaluation mode, over shifts: the image counts half,
            and the image moved along the diagonal by one pixel counts a quarter in each direction.
        activation: ``"relu"`` or ``"gelu"``.
        norm_scales: Whether the norms' scales are trained; otherwise they stay 1.
        whitened: Whether the first layer whitens; otherwise it starts at random and is trained.
        whitening_bias: Whether the first layer has a bias, which is trained.
        identity_start: Whether the convolutions of the blocks start as identities.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.

    Raises:
        ValueError: The activation is unknown.

    Source:
        Jordan (2024), section 3, whose network has GELU, a whitening bias and fixed norm scales,
        and averages over flips and shifts. By default this one has none of that.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 128, 128),
        num_classes: int = 10,
        in_channels: int = 3,
        residual: bool = False,
        flip_average: bool = False,
        shift_average: bool = False,
        activation: str = "relu",
        norm_scales: bool = True,
        whitened: bool = True,
        whitening_bias: bool = False,
        identity_start: bool = True,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {activation!r}; it must be one of {', '.join(ACTIVATIONS)}"
            )
        self.flip_average = flip_average
        self.shift_average = shift_average
        self.activation = activation
        self.whitened = whitened
        self.whitening = Whitening(in_channels, bias=whitening_bias)
        if not whitened:
            nn.init.kaiming_normal_(self.whitening.weight.requires_grad_(True))
        channels = (self.whitening.out_channels, *widths)
        self.blocks = nn.Sequential(
            *(
                SpeedBlock(
                    a,
                    b,
                    residual,
                    activation=activation,
                    norm_scales=norm_scales,
                    identity_start=identity_start,
                )
                for a, b in pairwise(channels)
            )
        )
        self.classifier = nn.Linear(channels[-1], num_classes, bias=False)
        self.scale = 1 / 9  # keeps the logits, and so the first gradients, small

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images; in evaluation mode averaged over their views."""
        if self.training:
            return self.logits(x)
        if not self.shift_average:
            return self._logits_of_both_sides(x)
        height, width = x.shape[2:]
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")  # -> (N, in_channels, H + 2, W + 2)
        down_right = self._logits_of_both_sides(padded[:, :, :height, :width])
        up_left = self._logits_of_both_sides(padded[:, :, 2:, 2:])
        return self._logits_of_both_sides(x) / 2 + (down_right + up_left) / 4

    def logits(self, x: Tensor) -> Tensor:
        """Compute the logits of images as they are, without averaging over views.

        Args:
            x: (N, in_channels, H, W) images.

        Returns:
            (N, num_classes).
        """
        x = ACTIVATIONS[self.activation](self.whitening(x))  # (N, 3, 32, 32) -> (N, 24, 31, 31)
        x = self.blocks(x)  # -> (N, widths[-1], 3, 3)
        x = F.adaptive_max_pool2d(x, 1).flatten(1)
        return self.scale * self.classifier(x)

    def _logits_of_both_sides(self, x: Tensor) -> Tensor:
        """Average over the flip, if the network does."""
        return (
            (self.logits(x) + self.logits(x.flip(3))) / 2 if self.flip_average else self.logits(x)
        )
