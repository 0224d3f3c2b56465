"""A small space of networks with one budget of multiply-adds, for architecture search.

A network is a choice for each of a few decisions. Its width is not chosen: it is the largest one
within the budget, so that no choice wins by being larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import SqueezeExcitation
from .layers import check_choice, he_initialization

#: The decisions of the space, in their order, and what each may be.
DECISIONS: dict[str, tuple[Any, ...]] = {
    "kind": ("basic", "inverted", "ConvNeXt"),
    "kernel": (3, 5),
    "blocks": (1, 2, 3),
    "growth": (1, 1.5, 2),
    "gates": (False, True),
    "shortcut": (False, True),
}
#: Hidden channels of an inverted residual and of a ConvNeXt block, divided by the block's own.
EXPANSION = 4
#: Stages of equal blocks.
STAGES = 2


class SpaceBlock(nn.Module):
    """A branch of one of three kinds, with gates and a shortcut or without.

    Args:
        kind: ``"basic"`` has two k x k convolutions, ``"inverted"`` expands, convolves each channel
            by itself and projects, ``"ConvNeXt"`` convolves each channel by itself first.
        channels: Channels of the input and of the output.
        kernel: Side k of the k x k convolutions.
        gates: Whether squeeze-and-excitation ends the branch.
        shortcut: Whether the input is added to the branch.

    Shape:
        (N, channels, H, W) -> (N, channels, H, W).

    Source:
        He et al. (2016a), figure 5, left; Sandler et al. (2018), figure 4d; Liu et al. (2022),
        figure 4, right, with batch norm and ReLU in place of layer norm and GELU.
    """

    def __init__(self, kind: str, channels: int, kernel: int, gates: bool, shortcut: bool):
        super().__init__()
        check_choice("kind", kind, DECISIONS["kind"])
        hidden, pad = EXPANSION * channels, kernel // 2
        layers: list[nn.Module]
        if kind == "basic":
            layers = [
                nn.Conv2d(channels, channels, kernel, padding=pad, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, channels, kernel, padding=pad, bias=False),
                nn.BatchNorm2d(channels),
            ]
        elif kind == "inverted":
            layers = [
                nn.Conv2d(channels, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, hidden, kernel, padding=pad, groups=hidden, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            ]
        else:
            layers = [
                nn.Conv2d(channels, channels, kernel, padding=pad, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.Conv2d(channels, hidden, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, channels, 1),
            ]
        if gates:
            layers.append(SqueezeExcitation(channels, max(1, channels // 4)))
        self.branch = nn.Sequential(*layers)
        self.shortcut = shortcut
        self.last_relu = kind == "basic"  # The other two kinds end in a linear layer.

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut, if there is one."""
        out = self.branch(x)
        if self.shortcut:
            out = x + out
        return F.relu(out) if self.last_relu else out


class SpaceNet(nn.Module):
    """A stem of stride 2, two stages of equal blocks, and a linear classifier.

    A 2x2 convolution of stride 2 leads from each stage to the next one.

    Args:
        width: Channels of the first stage.
        kind: The kind of the blocks, see :class:`SpaceBlock`.
        kernel: Side of their k x k convolutions.
        blocks: Blocks per stage.
        growth: Channels of each stage, divided by those of the stage before.
        gates: Whether the blocks have squeeze-and-excitation.
        shortcut: Whether the blocks have shortcuts.
        num_classes: Number of classes.
        in_channels: Channels of the images.

    Shape:
        (N, in_channels, H, W) -> (N, num_classes), the logits.
    """

    def __init__(
        self,
        width: int,
        kind: str = "basic",
        kernel: int = 3,
        blocks: int = 1,
        growth: float = 2,
        gates: bool = False,
        shortcut: bool = True,
        num_classes: int = 10,
        in_channels: int = 3,
    ):
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = widths(width, growth)
        for stage, c in enumerate(channels):
            if stage > 0:
                layers.append(nn.Conv2d(channels[stage - 1], c, 2, stride=2, bias=False))
                layers.append(nn.BatchNorm2d(c))
            layers += [SpaceBlock(kind, c, kernel, gates, shortcut) for _ in range(blocks)]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels[-1], num_classes)
        he_initialization(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)
        x = x.mean((2, 3))  # (N, C, H, W) -> (N, C)
        return self.fc(x)


def widths(width: int, growth: float) -> list[int]:
    """Compute the channels of the stages.

    Args:
        width: Channels of the first stage.
        growth: Channels of each stage, divided by those of the stage before.

    Returns:
        The channels, one entry for each stage, rounded.
    """
    return [round(width * growth**stage) for stage in range(STAGES)]


def multiply_adds(width: int, choice: Mapping[str, Any], side: int, num_classes: int = 10) -> int:
    """Count the multiply-adds of a :class:`SpaceNet` by formula, for one image.

    Args:
        width: Channels of the first stage.
        choice: The other arguments: a value for each key of ``DECISIONS``.
        side: Side of the image, in pixels; a multiple of 4.
        num_classes: Number of classes.

    Returns:
        The multiply-adds of all convolutions and of the classifier.
    """
    area, channels = choice["kernel"] ** 2, widths(width, choice["growth"])
    total = 27 * width * (side // 2) ** 2 + channels[-1] * num_classes
    for stage, c in enumerate(channels):
        positions = (side >> stage + 1) ** 2
        if stage > 0:
            total += 4 * channels[stage - 1] * c * positions
        pointwise = 2 * EXPANSION * c * c
        per_position = {
            "basic": 2 * area * c * c,
            "inverted": pointwise + area * EXPANSION * c,
            "ConvNeXt": pointwise + area * c,
        }[choice["kind"]]
        gates = 2 * c * max(1, c // 4) if choice["gates"] else 0
        total += choice["blocks"] * (per_position * positions + gates)
    return total


def widest(choice: Mapping[str, Any], budget: int, side: int) -> int:
    """Find the width that spends a budget: the widest network that stays within it.

    Args:
        choice: A value for each key of ``DECISIONS``.
        budget: Multiply-adds for one image.
        side: Side of the image, in pixels; a multiple of 4.

    Returns:
        Channels of the first stage.

    Raises:
        ValueError: Not even one channel fits.
    """
    if multiply_adds(1, choice, side) > budget:
        raise ValueError(
            f"budget is {budget:,} multiply-adds, but {dict(choice)} needs "
            f"{multiply_adds(1, choice, side):,} with a single channel; allow more"
        )
    width = 1
    while multiply_adds(width + 1, choice, side) <= budget:
        width += 1
    return width
