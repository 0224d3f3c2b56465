"""The networks that arms name, and how an arm's network is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from ... import models
from ...blocks import Bottleneck, PreActBasicBlock
from ...data import ImageDataset
from ...models.layers import blocks_of_depth
from ...norms import NoisyBatchNorm2d
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
    "none": None,
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
}


def build(arm: Arm, data: ImageDataset, seed: int) -> nn.Module:
    """Build the untrained network of an arm; torch's global generator is left as it was.

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
    make = choose("model", arm.model, MODELS)
    options = dict(arm.options)
    if "norm" in options:
        options["norm"] = choose("norm", options["norm"], NORMS)
    with seeded(seed):
        model = make(**options)
    if isinstance(model, models.SpeedNet):
        model.whitening.fit(data.train_images[:5000].cpu())
    return model.to(data.train_images.device)
