"""U-Net: contract, expand, and hand fine detail across (Ronneberger et al. 2015; Çiçek et al. 2016 in 3-D)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .resnet import Norm, check_choice, check_norm

_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
PADDINGS = ("valid", "same")


def center_crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of the last dimensions: what a valid U-Net hands across.

    Args:
        x: (N, C, ...).
        size: of the trailing dimensions, none larger than those of ``x``.
    """
    for axis, wanted in enumerate(size, start=2):
        x = x.narrow(axis, (x.shape[axis] - wanted) // 2, wanted)
    return x


class UNet(nn.Module):
    """Double convolutions down to the bottom and up again, features concatenated across.

    Args:
        in_channels, num_classes: of the image and of the map of logits.
        widths: pairs ``(first, second)`` of channels of the double convolutions on the way down;
            on the way up each pair is ``(second, second)`` of its level.
        up_channels: what a transposed convolution gives, as a share of what it is given.
        padding: ``"valid"`` loses two positions a side and a convolution; ``"same"`` keeps the size.
        dims: 2 or 3.
        norm: makes a norm from a number of channels, after each convolution; None for none.
        skips: hand features across; without them the network is an encoder and a decoder.

    Shape: (N, in_channels, *size) -> (N, num_classes, *size), smaller with valid convolutions:
    572 -> 388 in the paper.

    Raises:
        ValueError: unknown padding or dims; on the forward pass, a size that does not fit.

    Source: Ronneberger et al. (2015), figure 1; Çiçek et al. (2016), figure 2.
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
        for module in self.modules():  # He et al. (2015), as in the paper's section 3
            if isinstance(module, (*_CONV.values(), *_UP.values())):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def _double(
        self, in_channels: int, first: int, second: int, norm: Norm | None
    ) -> nn.Sequential:
        layers: list[nn.Module] = []
        for channels, out in ((in_channels, first), (first, second)):
            layers.append(
                _CONV[self.dims](channels, out, 3, padding=1 if self.padding == "same" else 0)
            )
            layers += [nn.ReLU()] if norm is None else [norm(out), nn.ReLU()]
        return nn.Sequential(*layers)

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size of the output for an image of ``size``.

        Raises:
            ValueError: a size that becomes odd before a pooling, or too small; the message names
                the nearest sizes that fit.
        """
        result = tuple(self._length(length) for length in size)
        for given, length in zip(size, result):
            if length is None:
                fitting = [n for n in range(1, 2 * given + 512) if self._length(n) is not None]
                near = sorted(fitting, key=lambda n: abs(n - given))[:2]
                raise ValueError(
                    f"a side of {given} does not fit this U-Net ({self.padding} convolutions, {len(self.down)} levels): "
                    f"each level must be even before it is pooled and leave something; sides near it that fit: "
                    f"{', '.join(map(str, sorted(near)))}"
                )
        return result

    def _length(self, n: int) -> int | None:
        loss = 4 if self.padding == "valid" else 0  # two convolutions
        for level in range(len(self.down)):
            n -= loss
            if n < 1 or (level < len(self.down) - 1 and n % 2):
                return None
            if level < len(self.down) - 1:
                n //= 2
        for _ in self.up:
            n = 2 * n - loss
            if n < 1:
                return None
        return n

    def forward(self, x: Tensor) -> Tensor:
        self.output_size(x.shape[2:])  # a clear error before any work
        skips = []
        for level, double in enumerate(self.down):
            x = double(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge):
            x = up(x)
            if self.skips:
                skip = center_crop(skips.pop(), x.shape[2:])
                x = torch.cat([skip, x], 1)
            x = merge(x)
        return self.head(x)


def unet(
    in_channels: int, num_classes: int, padding: str = "valid", dims: int = 2, **kwargs
) -> UNet:
    """The published networks: 2-D without norm (2015), 3-D with batch norm (2016).

    Args:
        in_channels, num_classes: of the image and of the map of logits.
        padding: ``"valid"`` as published, or ``"same"``.
        dims: 2, widths 64 to 1024; 3, widths 32/64 to 256/512, which doubles channels before pooling.
        kwargs: of :class:`UNet`.

    Raises:
        ValueError: unknown padding or dims.
    """
    if dims == 3:
        widths = [(32, 64), (64, 128), (128, 256), (256, 512)]
        options = {"norm": nn.BatchNorm3d} | kwargs
        return UNet(in_channels, num_classes, widths, 1.0, padding=padding, dims=3, **options)
    widths = [(width, width) for width in (64, 128, 256, 512, 1024)]
    return UNet(in_channels, num_classes, widths, 0.5, padding=padding, dims=dims, **kwargs)
