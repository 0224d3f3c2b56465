"""YOLO: boxes and classes for every cell of a grid, from one pass over the image."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import BasicBlock, Norm, conv3x3, make_shortcut

#: The convolutions of the published network: (kernel, channels), with "/2" for a stride of 2, and
#: "pool" for a 2x2 max pooling.
_PUBLISHED = (
    "7 64/2, pool, 3 192, pool, 1 128, 3 256, 1 256, 3 512, pool, "
    + "1 256, 3 512, " * 4
    + "1 512, 3 1024, pool, "
    + "1 512, 3 1024, " * 2
    + "3 1024, 3 1024/2, 3 1024, 3 1024"
)


class YOLO(nn.Module):
    """A small residual backbone, and a 1x1 convolution that describes each cell of the grid.

    The stem and each block halve the resolution, so a cell is 2 ** len(widths) pixels wide.

    Args:
        num_classes: number C of classes.
        boxes: number B of boxes per cell.
        widths: channels of the stem and of each residual block.
        in_channels: channels of the images.
        norm: makes a norm from a number of channels.

    Raises:
        ValueError: there is no width, ``boxes`` or ``num_classes`` is below 1, or, on the forward
            pass, the cells do not divide the image.

    Shape:
        (N, in_channels, H, W) -> (N, 5 B + C, H / cell, W / cell), which
        :func:`resnorm.detection.decode` explains.

    Source:
        Redmon et al. (2016), section 2, with a small residual network in place of theirs.
    """

    def __init__(
        self,
        num_classes: int,
        boxes: int = 2,
        widths: Sequence[int] = (12, 24, 48),
        *,
        in_channels: int = 3,
        norm: Norm = nn.BatchNorm2d,
    ):
        super().__init__()
        if not widths or min(num_classes, boxes, *widths) < 1:
            raise ValueError(
                f"widths is {tuple(widths)}, num_classes {num_classes} and boxes {boxes}; give a "
                "width for the stem and for each block, and make all of them 1 or more"
            )
        self.cell = 2 ** len(widths)
        layers = [conv3x3(in_channels, widths[0], stride=2), norm(widths[0]), nn.ReLU()]
        for before, width in zip(widths, widths[1:], strict=False):
            skip = make_shortcut("B", before, width, 2, norm)
            layers.append(BasicBlock(before, width, 2, skip, norm))
        self.backbone = nn.Sequential(*layers)
        self.head = nn.Sequential(
            conv3x3(widths[-1], widths[-1]),
            norm(widths[-1]),
            nn.ReLU(),
            nn.Conv2d(widths[-1], 5 * boxes + num_classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the numbers of every cell."""
        if any(side % self.cell for side in x.shape[2:]):
            raise ValueError(
                f"the images are {x.shape[2]} x {x.shape[3]} pixels and a cell is {self.cell} "
                "pixels wide, so the grid does not divide the image; pad or resize it to "
                f"multiples of {self.cell}"
            )
        return self.head(self.backbone(x))


def yolo_v1(num_classes: int = 20, boxes: int = 2, grid: int = 7) -> nn.Sequential:
    """Make the published network: 24 convolutions and two fully connected layers.

    Args:
        num_classes: number C of classes; 20 for Pascal VOC.
        boxes: number B of boxes per cell.
        grid: number S of cells along a side; the images have 64 S pixels.

    Returns:
        A network from (N, 3, 64 S, 64 S) to (N, 5 B + C, S, S), randomly initialized.

    Source:
        Redmon et al. (2016), section 2.1 and figure 3; dropout of 0.5 after the first fully
        connected layer and leaky ReLUs of slope 0.1, section 2.2.
    """
    layers: list[nn.Module] = []
    channels = 3
    for entry in _PUBLISHED.split(", "):
        if entry == "pool":
            layers.append(nn.MaxPool2d(2))
            continue
        kernel, rest = entry.split(" ")
        width, _, stride = rest.partition("/")
        size, out = int(kernel), int(width)
        layers.append(nn.Conv2d(channels, out, size, int(stride or 1), padding=size // 2))
        layers.append(nn.LeakyReLU(0.1))
        channels = out
    outputs = 5 * boxes + num_classes
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * grid * grid, 4096),
        nn.LeakyReLU(0.1),
        nn.Dropout(0.5),
        nn.Linear(4096, outputs * grid * grid),
        nn.Unflatten(1, (outputs, grid, grid)),
    )
