"""Fully convolutional networks: a class for every pixel (Long et al. 2015), and torchvision's form.

A classifier becomes one in two steps. Its fully connected head is read as a convolution, so that it
gives a map of scores for an image of any size; and that coarse map is brought back to the size of
the image, with the help of finer maps from earlier stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import BasicBlock, Bottleneck, Norm
from .resnet import ResNet, resnet50

#: Strides of the last map that an FCN adds before it interpolates: FCN-32s, 16s and 8s.
STRIDES = (32, 16, 8)


def as_convolution(linear: nn.Linear, channels: int, height: int, width: int) -> nn.Conv2d:
    """Read a fully connected layer on a flattened map as a convolution over that map.

    On a map of the given size both layers compute the same numbers. On a larger map the
    convolution applies the layer at every position.

    Args:
        linear: reads the flattened map, channels first.
        channels: channels C of the map.
        height: height of the map.
        width: width of the map.

    Returns:
        A convolution with a kernel of the map's size and a copy of the weights.

    Raises:
        ValueError: the layer has another number of inputs than the map has numbers.

    Source:
        Long et al. (2015), section 3.1.
    """
    if linear.in_features != channels * height * width:
        raise ValueError(
            f"the layer has {linear.in_features} inputs, but a map of {channels} x {height} x "
            f"{width} has {channels * height * width} numbers; give the size of the map that was "
            "flattened"
        )
    has_bias = linear.bias is not None
    convolution = nn.Conv2d(channels, linear.out_features, (height, width), bias=has_bias)
    convolution.to(linear.weight)  # device and dtype
    with torch.no_grad():
        convolution.weight.copy_(linear.weight.view(-1, channels, height, width))
        if convolution.bias is not None:
            convolution.bias.copy_(linear.bias)
    return convolution


def bilinear_kernel(factor: int) -> Tensor:
    """Compute the weights with which a transposed convolution interpolates.

    Args:
        factor: number of times that a map becomes larger, even.

    Returns:
        (2 factor, 2 factor): a pyramid. Where kernels overlap their weights sum to 1.

    Raises:
        ValueError: the factor is odd or below 2, so that no padding keeps the map centered.
    """
    if factor < 2 or factor % 2:
        raise ValueError(f"factor is {factor}; it must be 2, 4, 6, ...")
    distance = (torch.arange(2 * factor) + 0.5 - factor).abs() / factor  # from the center
    side = 1 - distance
    return side[:, None] * side


def bilinear_upsampling(channels: int, factor: int, learned: bool = False) -> nn.ConvTranspose2d:
    """Make a transposed convolution that interpolates each channel by itself.

    Away from the border its output is that of ``F.interpolate(mode="bilinear")``. At the border,
    interpolation repeats the last position, and a transposed convolution sees zeros.

    Args:
        channels: channels of the map.
        factor: number of times that the map becomes larger, even.
        learned: whether the weights are trained; otherwise they stay.

    Returns:
        A layer that maps (N, channels, H, W) to (N, channels, factor * H, factor * W).

    Raises:
        ValueError: the factor is odd or below 2.

    Source:
        Long et al. (2015), sections 3.3 and 4.3.
    """
    kernel = bilinear_kernel(factor)
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, padding=factor // 2, groups=channels, bias=False
    )
    with torch.no_grad():
        layer.weight.copy_(kernel.expand_as(layer.weight))
    layer.weight.requires_grad_(learned)
    return layer


class FCN(nn.Module):
    """Score the last map of a ResNet, add the scores of finer maps, and interpolate.

    The layers that score a finer map start at zero, so that at first only the coarsest scores
    count. Two layers of scores are joined by learned transposed
    convolutions, which start as interpolations; the last step interpolates, as it stays fixed in
    the paper.

    Args:
        block: :class:`resnorm.blocks.BasicBlock` or :class:`resnorm.blocks.Bottleneck`.
        layers: blocks in each of the four stages, whose strides are 4, 8, 16 and 32.
        widths: the ``channels`` of the blocks of each stage.
        num_classes: number of classes, the background included.
        stride: of the finest map that is scored: 32, 16 or 8.
        in_channels: channels of the images.
        norm: makes a norm from a number of channels.

    Raises:
        ValueError: the stride is none of the three, there are not four stages, or, on the forward
            pass, a side of the image is no multiple of 32.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes, H, W), the logits.

    Source:
        Long et al. (2015), section 4.2 and figure 3, with the stages of a ResNet in place of
        VGG-16's.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        widths: Sequence[int],
        num_classes: int,
        stride: int = 8,
        *,
        in_channels: int = 3,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        if stride not in STRIDES:
            raise ValueError(f"stride is {stride}; it must be one of 32, 16 and 8")
        if len(layers) != 4:
            raise ValueError(
                f"layers is {tuple(layers)}; an FCN has four stages, of strides 4, 8, 16 and 32"
            )
        self.backbone = _headless(ResNet(block, layers, widths, in_channels=in_channels, norm=norm))
        channels = [width * block.expansion for width in widths]
        self.score = nn.Conv2d(channels[3], num_classes, 1)
        self.skips, self.doubles = nn.ModuleList(), nn.ModuleList()
        for stage in (2, 1)[: STRIDES.index(stride)]:  # of strides 16 and 8
            skip = nn.Conv2d(channels[stage], num_classes, 1)
            nn.init.zeros_(skip.weight)
            nn.init.zeros_(skip.get_parameter("bias"))
            self.skips.append(skip)
            self.doubles.append(bilinear_upsampling(num_classes, 2, learned=True))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of every pixel."""
        if any(side % 32 for side in x.shape[2:]):
            raise ValueError(
                f"the images are {x.shape[2]} x {x.shape[3]}; both sides must be multiples of 32, "
                "or the maps of the stages do not fit on each other. Pad the images"
            )
        maps = stage_maps(self.backbone, x)
        scores = self.score(maps.pop())  # (N, num_classes, H / 32, W / 32)
        for skip, double in zip(self.skips, self.doubles, strict=True):
            scores = double(scores) + skip(maps.pop())
        return F.interpolate(scores, scale_factor=self.stride, mode="bilinear")


class DilatedFCN(nn.Module):
    """A backbone whose last stages are dilated instead of strided, and a small head.

    Args:
        backbone: a ResNet of stride 8, see :func:`dilate`; its classifier is taken off.
        channels: channels of its last map.
        num_classes: number of classes, the background included.

    Shape:
        (N, 3, H, W) -> (N, num_classes, H, W), the logits.

    Source:
        torchvision's ``FCN``, without its auxiliary head; module names are the same.
    """

    def __init__(self, backbone: ResNet, channels: int, num_classes: int):
        super().__init__()
        self.backbone = _headless(backbone)
        self.classifier = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels // 4),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(channels // 4, num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of every pixel."""
        size = x.shape[2:]
        x = stage_maps(self.backbone, x)[-1]  # (N, channels, H / 8, W / 8)
        x = self.classifier(x)
        return F.interpolate(x, size, mode="bilinear", align_corners=False)


def fcn_resnet50(num_classes: int = 21, **kwargs: Any) -> DilatedFCN:
    """Make torchvision's FCN on ResNet-50, whose last two stages are dilated.

    Weights of ``torchvision.models.segmentation.fcn_resnet50`` fit; leave out the keys that begin
    with ``aux_classifier`` if there are any.

    Args:
        num_classes: number of classes, the background included; 21 for Pascal VOC.
        **kwargs: further arguments of :class:`resnorm.models.ResNet`.

    Returns:
        The network, randomly initialized.
    """
    backbone = resnet50(**kwargs)
    dilate(backbone.get_submodule("layer3"), first=1, rest=2)
    dilate(backbone.get_submodule("layer4"), first=2, rest=4)
    return DilatedFCN(backbone, 2048, num_classes)


def dilate(stage: nn.Module, first: int, rest: int) -> None:
    """Turn the stride of a stage into dilation, in place: same weights, finer map.

    Args:
        stage: a stage of a ResNet.
        first: dilation of the 3x3 convolutions of the first block, which is that of the stage
            before.
        rest: dilation of the 3x3 convolutions of the other blocks.
    """
    for i, block in enumerate(stage.children()):
        for module in block.modules():
            if not isinstance(module, nn.Conv2d):
                continue
            module.stride = (1, 1)
            if module.kernel_size == (3, 3):
                dilation = rest if i else first
                module.dilation = (dilation, dilation)
                module.padding = (dilation, dilation)


def stage_maps(backbone: ResNet, x: Tensor) -> list[Tensor]:
    """Compute the output of every stage of a ResNet.

    Args:
        backbone: the network; its pooling and its classifier are not used.
        x: (N, 3, H, W) images.

    Returns:
        A map for each stage, from fine to coarse.
    """
    x = backbone.maxpool(F.relu(backbone.bn1(backbone.conv1(x))))
    maps = []
    for stage in backbone.stages:
        x = backbone.get_submodule(stage)(x)
        maps.append(x)
    return maps


def _headless(backbone: ResNet) -> ResNet:
    """Take the classifier off, and with it its parameters."""
    backbone.fc = nn.Identity()  # type: ignore[assignment]
    return backbone
