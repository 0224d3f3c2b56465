"""Networks whose modules look at several scales at once: GoogLeNet, and Inception with residuals.

Module names are torchvision's, so that weights travel both ways.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import Norm, check_norm
from .layers import check_image_size, check_probability, he_initialization

#: Batch norm with the eps of the Inception papers' code, which torchvision kept.
InceptionNorm = partial(nn.BatchNorm2d, eps=1e-3)


class ConvNormReLU(nn.Module):
    """A convolution that keeps the resolution at stride 1, a norm, and a ReLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel, an odd number.
        stride: Step between positions.
        norm: Makes a norm from a number of channels; None gives the convolution a bias instead.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Ioffe & Szegedy (2015), section 3.2, for the norm in place of the bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        norm: Norm | None = InceptionNorm,
    ):
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, bias=norm is None
        )
        self.bn = nn.Identity() if norm is None else norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features of a batch of images."""
        x = self.conv(x)
        x = self.bn(x)
        return F.relu(x, inplace=True)


class InceptionModule(nn.Module):
    """Four branches side by side, whose channels are concatenated.

    Args:
        in_channels: Channels of the input.
        channels_1x1: Channels of the branch with a 1x1 convolution alone.
        reduce_3x3: Channels to which a 1x1 convolution reduces the input of the 3x3; None lets the
            3x3 read the input itself, as in the naive module.
        channels_3x3: Channels of the 3x3 convolution.
        reduce_5x5: As ``reduce_3x3``, for the large convolution.
        channels_5x5: Channels of the large convolution.
        pool_proj: Channels of the 1x1 convolution after the pooling; None passes on all of them.
        large_kernel: Side of the large convolution: 5 in the paper, 3 in torchvision.
        norm: Makes a norm from a number of channels; None gives convolutions a bias instead.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H, W), where ``out_channels`` is the sum over
        the branches.

    Source:
        Szegedy et al. (2015), section 4 and figure 2.
    """

    def __init__(
        self,
        in_channels: int,
        channels_1x1: int,
        reduce_3x3: int | None,
        channels_3x3: int,
        reduce_5x5: int | None,
        channels_5x5: int,
        pool_proj: int | None,
        *,
        large_kernel: int = 5,
        norm: Norm | None = InceptionNorm,
    ):
        super().__init__()
        self.out_channels = channels_1x1 + channels_3x3 + channels_5x5 + (pool_proj or in_channels)

        def branch(reduced: int | None, channels: int, kernel_size: int) -> nn.Sequential:
            layers = nn.Sequential()
            if reduced is not None:
                layers.append(ConvNormReLU(in_channels, reduced, 1, norm=norm))
            last = reduced or in_channels
            return layers.append(ConvNormReLU(last, channels, kernel_size, norm=norm))

        self.branch1 = ConvNormReLU(in_channels, channels_1x1, 1, norm=norm)
        self.branch2 = branch(reduce_3x3, channels_3x3, 3)
        self.branch3 = branch(reduce_5x5, channels_5x5, large_kernel)
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1))
        if pool_proj is not None:
            self.branch4.append(ConvNormReLU(in_channels, pool_proj, 1, norm=norm))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features of a batch of images."""
        one, three = self.branch1(x), self.branch2(x)
        five, pooled = self.branch3(x), self.branch4(x)
        return torch.cat([one, three, five, pooled], dim=1)  # along the channels


#: Channels of GoogLeNet's modules, in the order of :class:`InceptionModule`'s arguments; the first
#: letter of a name counts the stages, with a max pooling before each.
GOOGLENET_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """A stem, nine Inception modules in three stages, average pooling, one fully connected layer.

    Args:
        large_kernel: Side of the large convolution in the modules: 3 as in torchvision, whose
            weights then fit, or 5 as in the paper.
        num_classes: Number of classes.
        in_channels: Channels of the images.
        dropout: Probability with which a unit before the classifier is dropped.
        norm: Makes a norm from a number of channels; None gives convolutions a bias instead, which
            is the paper's network but for the local response normalization in its stem.

    Raises:
        ValueError: ``norm`` cannot make layers, or the probability lies outside [0, 1).

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits; H and W are at least 15, and
        usually 224.

    Source:
        Szegedy et al. (2015), table 1; without the auxiliary classifiers of section 5.
    """

    def __init__(
        self,
        *,
        large_kernel: int = 3,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.2,
        norm: Norm | None = InceptionNorm,
    ):
        super().__init__()
        check_probability("dropout", dropout)
        if norm is not None:
            check_norm(norm)
        self.conv1 = ConvNormReLU(in_channels, 64, 7, stride=2, norm=norm)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = ConvNormReLU(64, 64, 1, norm=norm)
        self.conv3 = ConvNormReLU(64, 192, 3, norm=norm)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels = 192
        for name, widths in GOOGLENET_MODULES.items():
            module = InceptionModule(channels, *widths, large_kernel=large_kernel, norm=norm)
            self.add_module(f"inception{name}", module)
            channels = module.out_channels
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        check_image_size(x, "GoogLeNet", 15)
        x = self.conv1(x)  # (N, 3, 224, 224) -> (N, 64, 112, 112)
        x = self.maxpool1(x)  # -> (N, 64, 56, 56)
        x = self.conv2(x)
        x = self.conv3(x)  # -> (N, 192, 56, 56)
        x = self.maxpool2(x)  # -> (N, 192, 28, 28)
        for name in GOOGLENET_MODULES:
            if name == "4a":
                x = self.maxpool3(x)  # (N, 480, 28, 28) -> (N, 480, 14, 14)
            elif name == "5a":
                x = self.maxpool4(x)  # (N, 832, 14, 14) -> (N, 832, 7, 7)
            x = getattr(self, f"inception{name}")(x)
        x = self.avgpool(x)  # (N, 1024, 7, 7) -> (N, 1024, 1, 1)
        x = torch.flatten(x, 1)
        x = self.dropout(x)
        return self.fc(x)


def googlenet(**kwargs: Any) -> GoogLeNet:
    """Make GoogLeNet, as torchvision has it; ``large_kernel=5, norm=None`` is nearer to the paper.

    Args:
        **kwargs: Arguments of :class:`GoogLeNet`.

    Returns:
        The network, randomly initialized.
    """
    return GoogLeNet(**kwargs)


class InceptionResNetBlock(nn.Module):
    """Inception branches without pooling, projected to the input's channels and added to it.

    Args:
        channels: Channels of the input and the output.
        width: Channels of every convolution inside.
        scale: What the branches' sum is multiplied by before it is added, which keeps wide networks
            from diverging.
        norm: Makes a norm from a number of channels; None gives convolutions a bias instead.

    Shape:
        (N, channels, H, W) -> (N, channels, H, W).

    Source:
        Szegedy et al. (2017), figure 10 for the block and section 3.3 for the scale.
    """

    def __init__(
        self,
        channels: int = 256,
        width: int = 32,
        scale: float = 0.2,
        norm: Norm | None = InceptionNorm,
    ):
        super().__init__()
        self.scale = scale
        make = partial(ConvNormReLU, norm=norm)
        self.branch1 = make(channels, width, 1)
        self.branch2 = nn.Sequential(make(channels, width, 1), make(width, width, 3))
        self.branch3 = nn.Sequential(
            make(channels, width, 1), make(width, width, 3), make(width, width, 3)
        )
        self.project = nn.Conv2d(3 * width, channels, 1)  # linear: no norm and no ReLU

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features of a batch of images."""
        branches = torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)
        return F.relu(x + self.scale * self.project(branches))
