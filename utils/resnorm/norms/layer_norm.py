"""Layer and RMS normalization: the last dimensions form a group, and each element has a weight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn

from .channels import at_least_float32
from .standardization import standardize
from .validation import check_eps


class _ElementwiseNorm(nn.Module):
    """What layer norm and RMS norm share: the shape of a group, and one weight per element."""

    weight: nn.Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        elementwise_affine: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        if isinstance(normalized_shape, Iterable):
            sizes = tuple(normalized_shape)
        else:
            sizes = (normalized_shape,)
        if not sizes or any(not isinstance(size, Integral) or size < 1 for size in sizes):
            raise ValueError(
                f"normalized_shape is {normalized_shape!r}; it must be one or more positive ints"
            )
        shape = self.normalized_shape = tuple(int(size) for size in sizes)
        self.elementwise_affine = elementwise_affine
        ones = torch.ones(shape, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if elementwise_affine else None)

    def _standardize(self, x: Tensor, eps: float, center: bool) -> Tensor:
        """Standardize each group, in float32 if ``x`` is in half precision."""
        shape = self.normalized_shape
        if tuple(x.shape[-len(shape) :]) != shape:
            raise ValueError(
                f"{self._get_name()}(normalized_shape={shape}) was given shape {tuple(x.shape)}, "
                f"which does not end in {shape}"
            )
        return standardize(at_least_float32(x), x.numel() // math.prod(shape), eps, center)


class LayerNorm(_ElementwiseNorm):
    """Layer normalization over the last dimensions, with torch's arguments and state-dict keys.

    For images there are two conventions: ``normalized_shape=(C, H, W)`` (per image), and
    ``normalized_shape=C`` with channels last (per position, as in ConvNeXt).

    Args:
        normalized_shape: sizes of the last dimensions, which form one group.
        eps: added to the variance.
        elementwise_affine: learn a scale ``weight`` per element of a group.
        bias: with ``elementwise_affine``, learn a shift ``bias`` per element as well.
        device: where the parameters live; None takes torch's default.
        dtype: of the parameters; None takes torch's default.

    Raises:
        ValueError: ``normalized_shape`` or ``eps`` is out of range; an input's shape does not end
            in ``normalized_shape``.

    Shape:
        - Input: (*, *normalized_shape).
        - Output: as the input.

    Source:
        Ba, Kiros & Hinton (2016), equations 3 and 4.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, device, dtype)
        self.eps = check_eps(eps)
        zeros = torch.zeros(self.normalized_shape, device=device, dtype=dtype)
        has_bias = elementwise_affine and bias
        self.register_parameter("bias", nn.Parameter(zeros) if has_bias else None)

    def forward(self, x: Tensor) -> Tensor:
        """Standardize each group, then scale and shift its elements."""
        x_hat = self._standardize(x, self.eps, center=True)
        if self.weight is not None:
            x_hat = x_hat * self.weight
        if self.bias is not None:
            x_hat = x_hat + self.bias
        return x_hat.to(x.dtype)

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(_ElementwiseNorm):
    """Root-mean-square normalization: each group is divided by its RMS, with no mean and no shift.

    Args:
        normalized_shape: sizes of the last dimensions, which form one group.
        eps: added to the mean square; None takes the machine epsilon of the input's dtype, which
            is float32's for half precision.
        elementwise_affine: learn a scale ``weight`` per element of a group.
        device: where the parameter lives; None takes torch's default.
        dtype: of the parameter; None takes torch's default.

    Raises:
        ValueError: ``normalized_shape`` or ``eps`` is out of range; an input's shape does not end
            in ``normalized_shape``.

    Shape:
        - Input: (*, *normalized_shape).
        - Output: as the input.

    Source:
        Zhang & Sennrich (2019), equation 4.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(normalized_shape, elementwise_affine, device, dtype)
        self.eps = None if eps is None else check_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        """Divide each group by its root mean square, then scale its elements."""
        eps = torch.finfo(at_least_float32(x).dtype).eps if self.eps is None else self.eps
        x_hat = self._standardize(x, eps, center=False)
        y = x_hat if self.weight is None else x_hat * self.weight
        return y.to(x.dtype)

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
