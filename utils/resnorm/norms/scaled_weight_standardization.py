"""Scaled weight standardization: filters that keep the variance of what they read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .standardization import standardize
from .validation import check_eps


def variance_gain(activation: Callable[[Tensor], Tensor]) -> float:
    r"""Compute the factor that gives an activation's output variance 1 for standard normal inputs.

    It is :math:`\gamma = 1/\sqrt{\mathrm{Var}\,g(z)}` with :math:`z \sim N(0, 1)`. For ReLU it is
    :math:`\sqrt{2/(1 - 1/\pi)} \approx 1.7129`.

    Args:
        activation: maps a tensor to a tensor of the same shape, entry by entry.

    Returns:
        The factor, from the trapezoidal rule with 80,001 points on [-10, 10], outside of which a
        standard normal variable lies with a probability below 1e-22.

    Raises:
        ValueError: the output is constant or not finite, so that no factor exists.

    Source:
        Brock et al. (2021a), section 4.2. (Their code has 1.7140 for ReLU, a sampled value.)
    """
    z = torch.linspace(-10, 10, 80_001, dtype=torch.float64)  # 0, where ReLU bends, is among them
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    g = activation(z)
    mean = torch.trapezoid(g * density, z)
    variance = torch.trapezoid((g - mean).square() * density, z).item()
    if not 0 < variance < math.inf:
        raise ValueError(
            f"the activation's output has the variance {variance} for standard normal inputs; it "
            "must be positive and finite. Give a function such as torch.relu"
        )
    return 1 / math.sqrt(variance)


class ScaledWeightStandardizedConv2d(nn.Conv2d):
    r"""A convolution whose filters have mean 0 and squared length gamma^2, times a learned gain.

    The effective weights are :math:`\hat W = g\,\gamma\,(W - \mu) / (\sigma \sqrt N)`, with mean
    and standard deviation of each filter and its fan-in N. Inputs that are independent and have
    variance 1 / gamma^2 per channel, such as ``relu(z)`` of a standard normal z, give outputs of
    variance 1 and mean 0. The state dict is that of ``torch.nn.Conv2d`` with ``gain``, (C_out,).

    Args:
        *args: arguments of ``torch.nn.Conv2d``, in its order.
        gamma: the factor of the activation that stands before, see :func:`variance_gain`; 1 where
            none stands there.
        eps: added to each filter's variance.
        **kwargs: keyword arguments of ``torch.nn.Conv2d``.

    Raises:
        ValueError: ``eps`` is negative, or ``gamma`` is not positive.

    Shape:
        - Input: (N, C_in, H, W).
        - Output: (N, C_out, H_out, W_out), as for ``torch.nn.Conv2d``.

    Source:
        Brock et al. (2021a), equation 1; the gain as in Brock et al. (2021b), section 2.
    """

    def __init__(self, *args: Any, gamma: float = 1.0, eps: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not gamma > 0:
            raise ValueError(
                f"gamma is {gamma!r}; it must be positive, such as variance_gain(torch.relu)"
            )
        self.gamma, self.eps = gamma, check_eps(eps)
        self.gain = nn.Parameter(torch.ones_like(self.weight[:, 0, 0, 0]))

    def standardized_weight(self) -> Tensor:
        """Return the weights that the convolution uses, (C_out, C_in / groups, K, K)."""
        fan_in = self.weight[0].numel()
        weight = standardize(self.weight, self.out_channels, self.eps)
        return weight * (self.gain * (self.gamma / math.sqrt(fan_in))).view(-1, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` with the scaled, standardized filters."""
        return self._conv_forward(x, self.standardized_weight(), self.bias)
