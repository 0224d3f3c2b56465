"""U-Net: contract, expand, and pass fine detail across (Ronneberger et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..blocks import Norm, check_norm
from .layers import check_choice

_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

#: ``"valid"`` convolutions lose one position at each border; ``"same"`` ones keep the size.
PADDINGS = ("valid", "same")


@fx.wrap  # torch.fx records this as one call, because it cannot loop over a size
def center_crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """Cut out the center of a feature map, which is what a valid U-Net passes across.

    Args:
        x: (N, C, *positions).
        size: Sizes of the positions that are kept, at most those of ``x``.

    Returns:
        (N, C, *size), a view of ``x``.
    """
    for axis, length in enumerate(size, start=2):
        x = x.narrow(axis, (x.shape[axis] - length) // 2, length)
    return x


@fx.wrap  # one call for torch.fx as well, because it cannot look at a size
def checked_output_size(size: Sequence[int], padding: str, levels: int) -> tuple[int, ...]:
    """Compute the size of a U-Net's output for an image of a size, if the image fits.

    Args:
        size: Sides of the image.
        padding: ``"valid"`` or ``"same"``.
        levels: Number of double convolutions on the way down.

    Returns:
        Sides of the map of logits.

    Raises:
        ValueError: A side becomes odd before a pooling, or is too small; the message names the
            nearest sides that fit.
    """
    lengths = [output_length(n, padding, levels) for n in size]
    fitting = [length for length in lengths if length is not None]
    if len(fitting) == len(lengths):
        return tuple(fitting)
    n = size[lengths.index(None)]
    candidates = [m for m in range(1, 2 * n + 512) if output_length(m, padding, levels) is not None]
    near = sorted(sorted(candidates, key=lambda m: abs(m - n))[:2])
    raise ValueError(
        f"a side of {n} does not fit this U-Net ({padding} convolutions, {levels} levels): at "
        "each level it must be even before it is pooled, and something must be left; sides near "
        f"it that fit: {', '.join(map(str, near))}"
    )


def output_length(n: int, padding: str, levels: int) -> int | None:
    """Follow a side of an image through a U-Net.

    Args:
        n: The side of the image.
        padding: ``"valid"`` or ``"same"``.
        levels: Number of double convolutions on the way down.

    Returns:
        The side of the output, or None if the image does not fit.
    """
    loss = 4 if padding == "valid" else 0  # of two convolutions
    for level in range(levels):
        n -= loss
        if n < 1 or (level < levels - 1 and n % 2):
            return None
        if level < levels - 1:
            n //= 2
    for _ in range(levels - 1):
        n = 2 * n - loss
        if n < 1:
            return None
    return n


class UNet(nn.Module):
    """Double convolutions down to the bottom and up again, with features concatenated across.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the map of logits.
        widths: Channels of the double convolutions on the way down, a pair ``(first, second)`` for
            each level. On the way up both have the ``second`` of their level.
        up_channels: Channels of a transposed convolution's output, as a share of its input's.
        padding: ``"valid"`` loses one position at each border with every convolution; ``"same"``
            keeps the size.
        dims: Number of spatial dimensions, 2 or 3.
        norm: Makes the norm after each convolution from a number of channels; None leaves norms
            out.
        skips: Whether to pass features across; without them the network is an encoder and a
            decoder.

    Raises:
        ValueError: ``padding`` or ``dims`` is unknown, ``norm`` cannot make layers, or, on the
            forward pass, the size of the image does not fit.

    Shape:
        (N, in_channels, *size) -> (N, num_classes, *size) with ``"same"``; with ``"valid"`` the
        output is smaller: 572 -> 388 in the paper.

    Source:
        Ronneberger et al. (2015), figure 1; Çiçek et al. (2016), figure 2, in 3-D.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        widths: Sequence[tuple[int, int]],
        up_channels: float,
        *,
        padding: str = "valid",
        dims: int = 2,
        norm: Norm | None = None,
        skips: bool = True,
    ):
        super().__init__()
        check_choice("padding", padding, PADDINGS)
        if norm is not None:
            check_norm(norm)
        if dims not in _CONV:
            raise ValueError(f"dims is {dims!r}; it must be 2 or 3")
        self.padding, self.dims, self.skips = padding, dims, skips
        self.pool = _POOL[dims](2)
        self.down, self.up, self.merge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        channels = in_channels
        for first, second in widths:
            self.down.append(self._double(channels, first, second, norm))
            channels = second
        for _, skip in reversed(widths[:-1]):
            raised = int(channels * up_channels)
            self.up.append(_UP[dims](channels, raised, 2, stride=2))
            self.merge.append(self._double(raised + skip * skips, skip, skip, norm))
            channels = skip
        self.head = _CONV[dims](channels, num_classes, 1)
        self._initialize()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the map of logits."""
        # This raises a clear error before any work is done.
        checked_output_size(x.shape[2:], self.padding, len(self.down))
        features = []
        for level, double in enumerate(self.down):
            x = double(x if level == 0 else self.pool(x))
            features.append(x)
        features.pop()  # the bottom is not passed across
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            if self.skips:
                skip = center_crop(features.pop(), x.shape[2:])
                x = torch.cat([skip, x], 1)
            x = merge(x)
        return self.head(x)

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Compute the size of the output for an image of a size.

        Args:
            size: Sides of the image.

        Returns:
            Sides of the map of logits.

        Raises:
            ValueError: A side becomes odd before a pooling, or is too small; the message names
                the nearest sides that fit.
        """
        return checked_output_size(size, self.padding, len(self.down))

    def _double(
        self, in_channels: int, first: int, second: int, norm: Norm | None
    ) -> nn.Sequential:
        """Make two 3x3 convolutions, each with its norm and ReLU."""
        padding = 1 if self.padding == "same" else 0
        layers: list[nn.Module] = []
        for channels, out in ((in_channels, first), (first, second)):
            layers.append(_CONV[self.dims](channels, out, 3, padding=padding))
            layers += [nn.ReLU()] if norm is None else [norm(out), nn.ReLU()]
        return nn.Sequential(*layers)

    def _initialize(self) -> None:
        """Initialize all convolutions as He et al. (2015), which is the paper's section 3."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def unet(
    in_channels: int, num_classes: int, padding: str = "valid", dims: int = 2, **kwargs: Any
) -> UNet:
    """Make a published network: 2-D without norm (2015), or 3-D with batch norm (2016).

    The 3-D network doubles its channels before a pooling, the 2-D network after it.

    Args:
        in_channels: Channels of the image.
        num_classes: Channels of the map of logits.
        padding: ``"valid"`` as published, or ``"same"``.
        dims: 2, with 64 to 1024 channels, or 3, with 32 to 512.
        **kwargs: Further arguments of :class:`UNet`.

    Returns:
        The network, randomly initialized.

    Raises:
        ValueError: ``padding`` or ``dims`` is unknown.

    Source:
        Ronneberger et al. (2015), figure 1; Çiçek et al. (2016), figure 2.
    """
    if dims == 3:
        widths = [(32, 64), (64, 128), (128, 256), (256, 512)]
        options: dict[str, Any] = {"norm": nn.BatchNorm3d} | kwargs
        return UNet(in_channels, num_classes, widths, 1.0, padding=padding, dims=3, **options)
    widths = [(width, width) for width in (64, 128, 256, 512, 1024)]
    return UNet(in_channels, num_classes, widths, 0.5, padding=padding, dims=dims, **kwargs)
