"""From ResNet-50 to ConvNeXt-T: a network for every step of the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .convnext import LayerNorm2d, initialize


@dataclass(frozen=True)
class Design:
    """What the steps from ResNet-50 to ConvNeXt-T change; the defaults are ResNet-50.

    Attributes:
        layers: blocks per stage.
        patchify: a 4x4 convolution of stride 4 is the stem, in place of a 7x7 convolution of
            stride 2 and a pooling.
        depthwise: the k x k convolution of a block acts on each channel by itself.
        width: channels of the narrow ends or middles of the first stage's blocks.
        inverted: the blocks are wide inside, and not at their ends.
        depthwise_first: the k x k convolution is the first of the block, and not the second.
        kernel: its side k.
        gelu: GELU in place of ReLU.
        one_activation: a block has one activation, between its 1x1 convolutions.
        one_norm: a block has one norm, in front of its 1x1 convolutions.
        layer_norm: layer norm in place of batch norm.
        downsampling: a norm and a 2x2 convolution of stride 2 stand between stages, so that no
            block changes the shape.
    """

    layers: tuple[int, ...] = (3, 4, 6, 3)
    patchify: bool = False
    depthwise: bool = False
    width: int = 64
    inverted: bool = False
    depthwise_first: bool = False
    kernel: int = 3
    gelu: bool = False
    one_activation: bool = False
    one_norm: bool = False
    layer_norm: bool = False
    downsampling: bool = False

    def norm(self, channels: int) -> nn.Module:
        """Make the norm of this design.

        Args:
            channels: Channels of what it normalizes.

        Returns:
            The layer.
        """
        return LayerNorm2d(channels) if self.layer_norm else nn.BatchNorm2d(channels)

    def activation(self) -> nn.Module:
        """Make the activation of this design."""
        return nn.GELU() if self.gelu else nn.ReLU()


#: The steps of Liu et al. (2022), section 2, each with what it changes.
STEPS: tuple[tuple[str, dict], ...] = (
    ("ResNet-50", {}),
    ("stage ratio", {"layers": (3, 3, 9, 3)}),
    ("patchify stem", {"patchify": True}),
    ("depthwise convolution", {"depthwise": True}),
    ("width 96", {"width": 96}),
    ("inverted bottleneck", {"inverted": True}),
    ("depthwise first", {"depthwise_first": True}),
    ("kernel 7", {"kernel": 7}),
    ("GELU", {"gelu": True}),
    ("one activation", {"one_activation": True}),
    ("one norm", {"one_norm": True}),
    ("layer norm", {"layer_norm": True}),
    ("downsampling layers", {"downsampling": True}),
)


def designs() -> dict[str, Design]:
    """List the designs in the order of the steps: each changes one thing of the one before.

    Returns:
        Name of the step -> design.
    """
    found, design = {}, Design()
    for name, change in STEPS:
        design = replace(design, **change)
        found[name] = design
    return found


class DesignedBlock(nn.Module):
    """A bottleneck or an inverted one, as a design says.

    Args:
        design: What the block looks like.
        in_channels: Channels of the input.
        hidden: Channels inside.
        out_channels: Channels of the output.
        stride: Stride of the k x k convolution; 2 halves the resolution.

    Shape:
        (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up.

    Source:
        Liu et al. (2022), figures 3 and 4.
    """

    def __init__(
        self, design: Design, in_channels: int, hidden: int, out_channels: int, stride: int = 1
    ):
        super().__init__()
        inner = in_channels if design.depthwise_first else hidden
        spatial = self._layers(
            design,
            nn.Conv2d(
                inner,
                inner,
                design.kernel,
                stride,
                padding=design.kernel // 2,
                groups=inner if design.depthwise else 1,
                bias=design.layer_norm,
            ),
            norm=True,
            activation=not design.one_activation,
        )
        pointwise = not design.one_norm  # whether norms follow the 1x1 convolutions
        expand = self._layers(
            design, nn.Conv2d(in_channels, hidden, 1, bias=not pointwise), pointwise, True
        )
        project = self._layers(
            design, nn.Conv2d(hidden, out_channels, 1, bias=not pointwise), pointwise, False
        )
        order = (spatial, expand) if design.depthwise_first else (expand, spatial)
        self.branch = nn.Sequential(*order[0], *order[1], *project)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                design.norm(out_channels),
            )
        self.last = nn.Identity() if design.one_activation else design.activation()

    @staticmethod
    def _layers(design: Design, conv: nn.Conv2d, norm: bool, activation: bool) -> list[nn.Module]:
        layers: list[nn.Module] = [conv]
        if norm:
            layers.append(design.norm(conv.out_channels))
        if activation:
            layers.append(design.activation())
        return layers

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut to the branch, then apply the last activation, if there is one."""
        skip = x if self.downsample is None else self.downsample(x)
        return self.last(skip + self.branch(x))


class DesignedNet(nn.Module):
    """A network on the way from ResNet-50 to ConvNeXt-T.

    Args:
        design: What it looks like.
        num_classes: Number of classes.

    Shape:
        (N, 3, H, W) -> (N, num_classes), the logits.

    Source:
        Liu et al. (2022), section 2.
    """

    def __init__(self, design: Design, num_classes: int = 1000):
        super().__init__()
        width = design.width
        if design.patchify:
            stem = [nn.Conv2d(3, width, 4, stride=4, bias=design.layer_norm), design.norm(width)]
        else:
            stem = [
                nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
                design.norm(width),
                design.activation(),
                nn.MaxPool2d(3, stride=2, padding=1),
            ]
        layers: list[nn.Module] = list(stem)
        channels = width
        for stage, depth in enumerate(design.layers):
            narrow, wide = width * 2**stage, 4 * width * 2**stage
            hidden, out = (wide, narrow) if design.inverted else (narrow, wide)
            stride = 2 if stage > 0 else 1
            if design.downsampling and stage > 0:
                layers += [design.norm(channels), nn.Conv2d(channels, out, 2, stride=2)]
                channels, stride = out, 1
            for i in range(depth):
                block = DesignedBlock(design, channels, hidden, out, stride if i == 0 else 1)
                layers.append(block)
                channels = out
        self.features = nn.Sequential(*layers)
        self.norm = design.norm(channels) if design.layer_norm else nn.Identity()
        self.fc = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch of images."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, C, 7, 7)
        x = self.norm(x.mean((2, 3), keepdim=True))  # -> (N, C, 1, 1)
        return self.fc(torch.flatten(x, 1))
