"""The networks that arms name, and how an arm's network is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ... import models
from ...blocks import Bottleneck, PreActBasicBlock
from ...data import ImageDataset
from ...models.layers import blocks_of_depth
from ...norms import ChannelNoise2d, NoisyBatchNorm2d
from ..choice import choose
from ..seeded import seeded
from .arms import Arm


def group_norm(channels: int) -> nn.Module:
    """Make a group norm with eight channels per group, or one group if there are fewer.

    Args:
        channels: the number of channels.

    Returns:
        The layer.
    """
    return nn.GroupNorm(max(1, channels // 8), channels)


def instance_norm(channels: int) -> nn.Module:
    """Make a group norm with one channel per group, and with a scale and a shift as group norm has.

    Args:
        channels: the number of channels.

    Returns:
        The layer.
    """
    return nn.GroupNorm(channels, channels)


class GhostBatchNorm2d(nn.BatchNorm2d):
    """:class:`resnorm.norms.GhostBatchNorm2d` out of torch's batch norm, which is faster on a CPU.

    Args:
        channels: the number of channels.
        ghost_size: number of images in a ghost batch; must divide the batch size.
        images: the running statistics average over as many images as those of a batch norm with
            batches of this size do. With the usual momentum they would average over fewer images,
            the smaller the ghosts are, and the error in evaluation would measure that as well.

    Shape:
        - Input: (N, C, H, W), in training with N a multiple of ``ghost_size``.
        - Output: as the input.

    Source:
        Hoffer, Hubara & Soudry (2017), algorithm 1.
    """

    def __init__(self, channels: int, ghost_size: int, images: int = 128):
        super().__init__(channels, momentum=1 - 0.9 ** (ghost_size / images))
        self.ghost_size = ghost_size

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each ghost batch by itself in training; in evaluation this is batch norm."""
        normalize = super().forward
        if not self.training:
            return normalize(x)
        return torch.cat([normalize(ghost) for ghost in x.split(self.ghost_size)])


def resnet18(**options: Any) -> nn.Module:
    """Make ResNet-18 for images of 32 x 32 pixels.

    Args:
        **options: further arguments of :func:`resnorm.models.resnet18`.

    Returns:
        The network.
    """
    return models.resnet18(num_classes=10, stem="cifar", **options)


def plain18(**options: Any) -> nn.Module:
    """Make ResNet-18 without its shortcuts.

    Args:
        **options: further arguments of :func:`resnorm.models.resnet18`.

    Returns:
        The network.
    """
    return resnet18(shortcut="none", **options)


def wide_resnet(depth: int, widths: Sequence[int]) -> nn.Module:
    """Make a Wide ResNet with any widths.

    Args:
        depth: the number of layers, 6n + 4.
        widths: channels in each of the three stages.

    Returns:
        The network.
    """
    blocks = blocks_of_depth(depth, per_block=2, extra=4)
    return models.PreActResNet(PreActBasicBlock, (blocks,) * 3, tuple(widths), 16)


def resnext(depth: int, cardinality: int, width: int) -> nn.Module:
    """Make a ResNeXt that is a quarter as wide as :func:`resnorm.models.cifar_resnext`.

    Args:
        depth: the number of layers, 9n + 2.
        cardinality: the number of groups of the 3 x 3 convolutions.
        width: channels per group in the first stage.

    Returns:
        The network.
    """
    blocks = blocks_of_depth(depth, per_block=3, extra=2)
    return models.ResNet(
        Bottleneck,
        (blocks,) * 3,
        (16, 32, 64),
        num_classes=10,
        stem="cifar",
        groups=cardinality,
        width_per_group=4 * width,
    )


#: The norms that the ``norm`` of an arm's options can name.
NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "batch": nn.BatchNorm2d,
    "group": group_norm,
    "noisy batch": NoisyBatchNorm2d,
    "noise": ChannelNoise2d,
    "none": None,
    **{f"ghosts of {size}": partial(GhostBatchNorm2d, ghost_size=size) for size in (32, 8, 4, 2)},
    **{f"{groups} groups": partial(nn.GroupNorm, groups) for groups in (1, 2, 4, 8)},
    "instance": instance_norm,
}

#: The networks that an arm can name.
MODELS: dict[str, Callable[..., nn.Module]] = {
    "plain": models.cifar_plain,
    "residual": models.cifar_resnet,
    "plain-18": plain18,
    "ResNet-18": resnet18,
    "wide": wide_resnet,
    "ResNeXt": resnext,
    "DenseNet": models.cifar_densenet,
    "ConvNet": models.ConvNet,
    "SpeedNet": models.SpeedNet,
    "space": models.SpaceNet,
    "pre-activation": models.SmallResNet,
    "small LeNet-5": models.small_lenet,
    "small AlexNet": models.small_alexnet,
    "small VGG": models.small_vgg,
    "small Inception": models.small_inception,
}


def untrained(model: str, options: Mapping[str, Any], seed: int) -> nn.Module:
    """Make a network on the CPU; torch's global generator is left as it was.

    Args:
        model: a key of ``MODELS``.
        options: its arguments, as an arm has them; ``norm`` is a key of ``NORMS``.
        seed: the seed of the weights.

    Returns:
        The network.

    Raises:
        ValueError: if the model or its norm is unknown.
    """
    make = choose("model", model, MODELS)
    arguments = dict(options)
    if "norm" in arguments:
        arguments["norm"] = choose("norm", arguments["norm"], NORMS)
    with seeded(seed):
        return make(**arguments)


def build(arm: Arm, data: ImageDataset, seed: int) -> nn.Module:
    """Build the untrained network of an arm for its data, see :func:`untrained`.

    Args:
        arm: names the network and its options.
        data: the network is put on its device. The whitening of a SpeedNet is fitted to its first
            5,000 training images.
        seed: the seed of the weights.

    Returns:
        The network.

    Raises:
        ValueError: if the model or its norm is unknown.
    """
    model = untrained(arm.model, arm.options, seed)
    if isinstance(model, models.SpeedNet) and model.whitened:
        model.whitening.fit(data.train_images[:5000].cpu())
    return model.to(data.train_images.device)
