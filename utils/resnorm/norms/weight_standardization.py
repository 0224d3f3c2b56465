"""Weight standardization: normalize the filters instead of the activations."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .standardization import standardize
from .validation import check_eps


class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1, whatever its parameters are.

    It normalizes weights, not activations, so it needs no batch and no running statistics. It is
    used with group norm. The state dict is that of ``torch.nn.Conv2d``.

    Args:
        *args: arguments of ``torch.nn.Conv2d``, in its order.
        eps: added to each filter's variance.
        **kwargs: keyword arguments of ``torch.nn.Conv2d``.

    Raises:
        ValueError: ``eps`` is negative.

    Shape:
        - Input: (N, C_in, H, W).
        - Output: (N, C_out, H_out, W_out), as for ``torch.nn.Conv2d``.

    Source:
        Qiao et al. (2019), equation 5.
    """

    def __init__(self, *args: Any, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.eps = check_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` with the standardized filters."""
        weight = standardize(self.weight, self.out_channels, self.eps)
        return self._conv_forward(x, weight, self.bias)  # stride, padding_mode and all the rest
