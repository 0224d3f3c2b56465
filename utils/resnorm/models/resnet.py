"""Residual networks: one class after activation, one before, and a constructor for each published form.

:class:`ResNet` has torchvision's module names, so that weights travel both ways; its CIFAR forms
differ in stem and widths alone. :class:`PreActResNet` is the form of He et al. (2016b), which wide
residual networks share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Makes a normalization layer from a number of channels.
Norm = Callable[[int], nn.Module]

STEMS = ("imagenet", "cifar")
SHORTCUTS = ("A", "B", "none")


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size at stride 1; no bias, as a norm follows or precedes."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias: a linear map of the channels at each position."""
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


# --- shortcuts ---------------------------------------------------------------------------------


class SubsampleAndPad(nn.Module):
    """Shortcut A: every stride-th position, new channels filled with zeros. It has no parameters.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source: He et al. (2016a), section 3.3.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.extra, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


def make_shortcut(
    kind: str, in_channels: int, out_channels: int, stride: int, norm: Norm
) -> nn.Module | None:
    """The skip of a block: the identity where the shape stays, else A or B; None in a plain network."""
    if kind == "none":
        return None
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "A":
        return SubsampleAndPad(in_channels, out_channels, stride)
    return nn.Sequential(conv1x1(in_channels, out_channels, stride), norm(out_channels))


# --- blocks, activation after the sum ----------------------------------------------------------
# ReLUs that follow a norm work in place: a norm's backward pass does not need its output.


class BasicBlock(nn.Module):
    """Two 3x3 convolutions: (N, in_channels, H, W) -> (N, channels, H / stride, W / stride).

    Args:
        in_channels: of the input.
        channels: of both convolutions, and of the output.
        stride: of the first convolution.
        shortcut: module for the skip, or None for a plain block; see :func:`make_shortcut`.
        norm: makes a norm from a number of channels.

    Raises:
        ValueError: groups, which only bottlenecks have.

    Source: He et al. (2016a), figure 5 left.
    """

    expansion = 1  # channels of the output over ``channels``

    def __init__(self, in_channels, channels, stride, shortcut, norm, groups=1, width_per_group=64):
        super().__init__()
        if (groups, width_per_group) != (1, 64):
            raise ValueError(
                f"groups={groups}, width_per_group={width_per_group}: only bottleneck blocks have groups"
            )
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = norm(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = norm(channels)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = F.relu(out, inplace=True)

        out = self.conv2(out)
        out = self.bn2(out)

        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out, inplace=True)

    def zero_init(self) -> None:
        """Let the branch start at zero: its last norm multiplies by 0."""
        nn.init.zeros_(self.bn2.weight)


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up: (N, in_channels, H, W) -> (N, 4 channels, H / stride, W / stride).

    The stride sits in the 3x3 convolution, as in torchvision ("v1.5"); the paper has it in the
    first 1x1, which throws three quarters of the positions away unread.

    Args:
        in_channels: of the input.
        channels: a quarter of the output's.
        stride, shortcut, norm: as in :class:`BasicBlock`.
        groups: of the 3x3 convolution: ResNeXt's cardinality.
        width_per_group: channels of a group where ``channels`` is 64, in proportion elsewhere.

    Raises:
        ValueError: a width that does not come out as a whole number of channels a group.

    Source: He et al. (2016a), figure 5 right; Xie et al. (2017), figure 3c, with groups.
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride, shortcut, norm, groups=1, width_per_group=64):
        super().__init__()
        if groups < 1 or channels * width_per_group % 64 or channels * width_per_group < 64:
            raise ValueError(
                f"groups={groups}, width_per_group={width_per_group}, channels={channels}: a group would have "
                f"{channels * width_per_group / 64:g} channels; it must be a whole number, and groups 1 or more"
            )
        width = channels * width_per_group // 64 * groups
        self.conv1 = conv1x1(in_channels, width)
        self.bn1 = norm(width)
        self.conv2 = conv3x3(width, width, stride, groups)
        self.bn2 = norm(width)
        self.conv3 = conv1x1(width, channels * self.expansion)
        self.bn3 = norm(channels * self.expansion)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x)
        out = self.bn1(out)
        out = F.relu(out, inplace=True)

        out = self.conv2(out)
        out = self.bn2(out)
        out = F.relu(out, inplace=True)

        out = self.conv3(out)
        out = self.bn3(out)

        if self.downsample is not None:
            out = out + self.downsample(x)
        return F.relu(out, inplace=True)

    def zero_init(self) -> None:
        """Let the branch start at zero: its last norm multiplies by 0."""
        nn.init.zeros_(self.bn3.weight)


class ResNet(nn.Module):
    """A stem, stages of residual blocks, average pooling, a linear classifier.

    (N, in_channels, H, W) -> (N, num_classes), the logits.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: blocks a stage.
        widths: ``channels`` of the blocks, one entry a stage; each stage but the first halves the
            resolution.
        num_classes, in_channels: of classifier and images.
        stem: ``"imagenet"`` (7x7, stride 2, then max pooling) or ``"cifar"`` (3x3).
        shortcut: where shapes change, ``"B"`` is a 1x1 convolution with norm, ``"A"`` sub-samples
            and pads with zeros; ``"none"`` makes a plain network of the same layers.
        groups, width_per_group: of :class:`Bottleneck`.
        norm: makes a norm from a number of channels; any of :mod:`resnorm.norms`.

    Raises:
        ValueError: an unknown stem or shortcut.

    Source: He et al. (2016a), table 1; Xie et al. (2017) for groups; Zagoruyko & Komodakis (2016)
    for the wide form.
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
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = conv3x3(in_channels, widths[0])
            self.maxpool = nn.Identity()
        self.bn1 = norm(widths[0])

        channels = widths[0]
        self.stages = []  # names: the modules are layer1, layer2, ..., as in torchvision
        for stage, (depth, width) in enumerate(zip(layers, widths), start=1):
            blocks = []
            for i in range(depth):
                stride = 2 if stage > 1 and i == 0 else 1
                skip = make_shortcut(shortcut, channels, width * block.expansion, stride, norm)
                blocks.append(block(channels, width, stride, skip, norm, groups, width_per_group))
                channels = width * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
            self.stages.append(f"layer{stage}")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
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
        """Start every block as its shortcut: the last norm's scale at 0 (Goyal et al. 2017). Returns the model."""
        for module in self.modules():
            if isinstance(module, (BasicBlock, Bottleneck)):
                module.zero_init()
        return self


def he_initialization(model: nn.Module) -> None:
    """He et al. (2015) by fan-out, as torchvision has it. Norms start as the identity by themselves."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def check_choice(what: str, given: str, allowed: Sequence[str]) -> None:
    """Raise a ValueError that lists the allowed values, unless ``given`` is one of them."""
    if given not in allowed:
        raise ValueError(f"{what} is {given!r}; it must be one of {', '.join(map(repr, allowed))}")


def blocks_of_depth(depth: int, per_block: int, extra: int, stages: int = 3) -> int:
    """Blocks a stage of a CIFAR network: depth = stages * per_block * n + extra.

    Raises:
        ValueError: no n fits; the message names the nearest depths that do.
    """
    step = stages * per_block
    n, rest = divmod(depth - extra, step)
    if rest or n < 1:
        below = max(n, 1) * step + extra
        raise ValueError(
            f"depth is {depth}; this family needs {step}n + {extra} layers, such as {below} or {below + step}"
        )
    return n


def check_norm(norm: Norm) -> None:
    """Raise a ValueError unless ``norm`` can make layers."""
    if isinstance(norm, nn.Module) or not callable(norm):
        raise ValueError(
            f"norm is {norm!r}; it must make a layer from a number of channels: a class such as nn.BatchNorm2d, "
            "resnorm.norms.BatchNorm2d, InstanceNorm2d or BatchRenorm, or a function such as "
            "lambda channels: norms.GroupNorm(8, channels); nn.Identity leaves norms out"
        )


# --- ImageNet ----------------------------------------------------------------------------------


def resnet18(**kwargs) -> ResNet:
    """ResNet-18, as torchvision names it; ``stem="cifar"`` for 32 x 32 images."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **kwargs)


def resnet34(**kwargs) -> ResNet:
    """ResNet-34."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **kwargs)


def resnet50(**kwargs) -> ResNet:
    """ResNet-50, stride in the 3x3 convolutions."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **kwargs)


def resnet101(**kwargs) -> ResNet:
    """ResNet-101."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **kwargs)


def resnet152(**kwargs) -> ResNet:
    """ResNet-152."""
    return ResNet(Bottleneck, (3, 8, 36, 3), **kwargs)


def resnext50_32x4d(**kwargs) -> ResNet:
    """ResNeXt-50, 32 groups of 4 channels (Xie et al. 2017, table 1)."""
    return ResNet(Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4, **kwargs)


def resnext101_32x8d(**kwargs) -> ResNet:
    """ResNeXt-101, 32 groups of 8 channels."""
    return ResNet(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=8, **kwargs)


def wide_resnet50_2(**kwargs) -> ResNet:
    """ResNet-50 with bottlenecks twice as wide (Zagoruyko & Komodakis 2016, table 8)."""
    return ResNet(Bottleneck, (3, 4, 6, 3), width_per_group=128, **kwargs)


# --- CIFAR -------------------------------------------------------------------------------------


def cifar_resnet(depth: int, shortcut: str = "A", **kwargs) -> ResNet:
    """ResNet of 6n + 2 layers for 32 x 32 images (He et al. 2016a, section 4.2): 20, 32, 44, 56, 110, 1202.

    Args:
        depth: layers.
        shortcut: ``"A"`` (the paper's choice) or ``"B"``.
        kwargs: of :class:`ResNet`; ``num_classes`` is 10 unless given.

    Raises:
        ValueError: a depth that is not 6n + 2.
    """
    n = blocks_of_depth(depth, per_block=2, extra=2)
    options = {"num_classes": 10} | kwargs
    return ResNet(BasicBlock, (n, n, n), (16, 32, 64), stem="cifar", shortcut=shortcut, **options)


def cifar_plain(depth: int, **kwargs) -> ResNet:
    """The same layers without shortcuts. Arguments as :func:`cifar_resnet`."""
    return cifar_resnet(depth, shortcut="none", **kwargs)


def cifar_resnext(depth: int, cardinality: int, width: int, **kwargs) -> ResNet:
    """ResNeXt of 9n + 2 layers for 32 x 32 images (Xie et al. 2017, section 5.3), such as 29, 8 x 64d.

    Args:
        depth: layers.
        cardinality: groups.
        width: channels of a group in the first stage.
        kwargs: of :class:`ResNet`.

    Raises:
        ValueError: a depth that is not 9n + 2.
    """
    n = blocks_of_depth(depth, per_block=3, extra=2)
    options = {"num_classes": 10} | kwargs
    return ResNet(
        Bottleneck,
        (n, n, n),
        (64, 128, 256),
        stem="cifar",
        groups=cardinality,
        width_per_group=width,
        **options,
    )


# --- pre-activation ----------------------------------------------------------------------------


class PreActBasicBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice; nothing gates the sum.

    Where the shape changes, the shortcut is a 1x1 convolution that reads the activated input; where
    it stays, the shortcut is the identity and reads the raw input.

    Args:
        in_channels, channels, stride, norm: as in :class:`BasicBlock`.

    Source: He et al. (2016b), figure 4e.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, norm: Norm):
        super().__init__()
        self.bn1 = norm(in_channels)
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn2 = norm(channels)
        self.conv2 = conv3x3(channels, channels)
        same = stride == 1 and in_channels == channels
        self.projection = None if same else conv1x1(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(x)
        out = F.relu(out)  # not in place: without a norm this is x itself
        shortcut = x if self.projection is None else self.projection(out)
        out = self.conv1(out)

        out = self.bn2(out)
        out = F.relu(out, inplace=True)
        out = self.conv2(out)
        return shortcut + out


class PreActBottleneck(nn.Module):
    """Norm, ReLU, convolution, three times: 1x1, 3x3, 1x1. Arguments as :class:`PreActBasicBlock`."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, norm: Norm):
        super().__init__()
        self.bn1 = norm(in_channels)
        self.conv1 = conv1x1(in_channels, channels)
        self.bn2 = norm(channels)
        self.conv2 = conv3x3(channels, channels, stride)
        self.bn3 = norm(channels)
        self.conv3 = conv1x1(channels, channels * self.expansion)
        same = stride == 1 and in_channels == channels * self.expansion
        self.projection = None if same else conv1x1(in_channels, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(x)
        out = F.relu(out)  # not in place: without a norm this is x itself
        shortcut = x if self.projection is None else self.projection(out)
        out = self.conv1(out)

        out = self.bn2(out)
        out = F.relu(out, inplace=True)
        out = self.conv2(out)

        out = self.bn3(out)
        out = F.relu(out, inplace=True)
        out = self.conv3(out)
        return shortcut + out


class PreActResNet(nn.Module):
    """Stem, stages of pre-activation blocks, a last norm and ReLU, pooling, classifier.

    Args:
        block: :class:`PreActBasicBlock` or :class:`PreActBottleneck`.
        layers, widths: blocks and ``channels``, one entry a stage.
        stem_channels: of the first convolution.
        num_classes, in_channels, stem, norm: as in :class:`ResNet`.

    Raises:
        ValueError: an unknown stem.

    Source: He et al. (2016b); Zagoruyko & Komodakis (2016), table 1, for the wide form.
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
        if stem == "imagenet":
            self.stem = nn.Sequential(
                nn.Conv2d(in_channels, stem_channels, 7, stride=2, padding=3, bias=False),
                norm(stem_channels),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(3, stride=2, padding=1),
            )
        else:
            self.stem = conv3x3(in_channels, stem_channels)
        channels, stages = stem_channels, []
        for stage, (depth, width) in enumerate(zip(layers, widths)):
            blocks = []
            for i in range(depth):
                blocks.append(block(channels, width, 2 if stage > 0 and i == 0 else 1, norm))
                channels = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.norm = norm(channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.stages(x)
        x = self.norm(x)  # the last sum is raw
        x = F.relu(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.fc(x)


def preact_resnet200(**kwargs) -> PreActResNet:
    """Pre-activation ResNet-200 for ImageNet (He et al. 2016b, table 5)."""
    options = {"num_classes": 1000, "stem": "imagenet"} | kwargs
    return PreActResNet(PreActBottleneck, (3, 24, 36, 3), (64, 128, 256, 512), 64, **options)


def cifar_preact_resnet(depth: int, **kwargs) -> PreActResNet:
    """Pre-activation bottleneck ResNet of 9n + 2 layers (He et al. 2016b, section 4): 164, 1001.

    Args:
        depth: layers.
        kwargs: of :class:`PreActResNet`.

    Raises:
        ValueError: a depth that is not 9n + 2.
    """
    n = blocks_of_depth(depth, per_block=3, extra=2)
    return PreActResNet(PreActBottleneck, (n, n, n), (16, 32, 64), 16, **kwargs)


def cifar_wide_resnet(depth: int, widen_factor: int, **kwargs) -> PreActResNet:
    """Wide residual network WRN-d-k of 6n + 4 layers (Zagoruyko & Komodakis 2016, table 1), such as 28, 10.

    Args:
        depth: layers.
        widen_factor: k; 1 is the width of :func:`cifar_resnet`.
        kwargs: of :class:`PreActResNet`.

    Raises:
        ValueError: a depth that is not 6n + 4, or a widening factor below 1.
    """
    n = blocks_of_depth(depth, per_block=2, extra=4)
    if widen_factor < 1:
        raise ValueError(f"widen_factor is {widen_factor}; it must be 1 or more")
    widths = [width * widen_factor for width in (16, 32, 64)]
    return PreActResNet(PreActBasicBlock, (n, n, n), widths, 16, **kwargs)
