"""Group normalization: each image's channels in groups, normalized without the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .channels import at_least_float32, scale_and_shift
from .standardization import standardize
from .validation import check_eps, check_positive_int


class GroupNorm(nn.Module):
    """Group normalization: each image's channels form groups. It takes torch's arguments.

    One group is layer norm over (C, H, W) with weights per channel; as many groups as channels is
    instance norm.

    Args:
        num_groups: G, which must divide C.
        num_channels: C, the size of axis 1.
        eps: added to the variance.
        affine: learn a scale ``weight`` and a shift ``bias`` per channel.
        device: where the parameters live; None takes torch's default.
        dtype: of the parameters; None takes torch's default.

    Raises:
        ValueError: ``num_groups`` does not divide ``num_channels``; ``eps`` is negative; an input
            has another number of channels, or groups of a single value.

    Shape:
        - Input: (N, C, *positions).
        - Output: as the input.

    Source:
        Wu & He (2018), equation 7.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        num_groups = check_positive_int(num_groups, "num_groups", "G, the groups of an image")
        num_channels = check_positive_int(num_channels, "num_channels", "C, the size of axis 1")
        if num_channels % num_groups:
            divisors = [g for g in range(1, num_channels + 1) if num_channels % g == 0]
            raise ValueError(
                f"num_channels={num_channels} cannot be split into num_groups={num_groups} equal "
                f"groups; num_groups may be one of {divisors}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = check_eps(eps)
        self.affine = affine
        ones = torch.ones(num_channels, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """Standardize each group of channels of each image, then scale and shift per channel."""
        self._check_shape(x)
        groups = x.shape[0] * self.num_groups  # consecutive in memory, image after image
        x_hat = standardize(at_least_float32(x), groups, self.eps)
        return scale_and_shift(x_hat, self.weight, self.bias).to(x.dtype)

    def _check_shape(self, x: Tensor) -> None:
        """Refuse a wrong number of channels, and groups too small to have a variance."""
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"GroupNorm(num_channels={self.num_channels}) takes (N, {self.num_channels}, ...), "
                f"but was given {tuple(x.shape)}"
            )
        if x.numel() == x.shape[0] * self.num_groups > 0:
            raise ValueError(
                f"a group of {tuple(x.shape)} holds a single value: its variance is 0 and every "
                "output would be the shift. Use fewer groups."
            )

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
