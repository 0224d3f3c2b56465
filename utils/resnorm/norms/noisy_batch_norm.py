"""Batch norm made unsteady on purpose: the layer of an experiment, not of a network to use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .batch_norm import BatchNorm2d
from .channel_noise import ChannelNoise2d


class NoisyBatchNorm2d(BatchNorm2d):
    r"""Batch norm, then noise whose mean and scale change at every step (in training mode only).

    Each training step draws for every channel a shift and a scale, and around these a shift and a
    scale for every example of the batch:

    .. math::
        \mu^t_c \sim U(-n_\mu, n_\mu), \quad \sigma^t_c \sim U(1, n_\sigma), \qquad
        m_{ic} \sim U(\mu^t_c - r_\mu, \mu^t_c + r_\mu), \quad
        s_{ic} \sim N(\sigma^t_c, r_\sigma^2), \qquad
        y_{ic} = s_{ic}\,\mathrm{BN}(x)_{ic} + m_{ic} .

    So the next layer sees another distribution at each step, which puts back the internal covariate
    shift that batch norm was said to remove. Evaluation uses the noise's mean, which is shift 0 and
    scale :math:`(1 + n_\sigma)/2`.

    Args:
        num_features: C, the size of axis 1.
        shift_range: :math:`n_\mu`, 0 or more, in units of the normalized activation.
        scale_range: :math:`n_\sigma`, 1 or more.
        example_shift: :math:`r_\mu`, 0 or more, in units of the normalized activation.
        example_scale: :math:`r_\sigma`, 0 or more.
        generator: source of the noise, on any device; None takes torch's global generator of the
            input's device, which is the only one that ``torch.utils.checkpoint`` restores by
            itself. With another, give it
            ``context_fn=lambda: (nullcontext(), resnorm.blocks.Repetition(layer))``.
        **kwargs: further arguments of :class:`resnorm.norms.BatchNorm2d`, by keyword.

    Raises:
        ValueError: a range is out of bounds.

    Shape:
        - Input: (N, C, H, W).
        - Output: as the input.

    Source:
        Santurkar et al. (2018), section 2.1 and appendix A. They draw noise for each activation;
        here it is drawn for each channel, so that all positions of a feature map share it.
    """

    def __init__(
        self,
        num_features: int,
        shift_range: float = 0.5,
        scale_range: float = 1.25,
        example_shift: float = 0.1,
        example_scale: float = 0.1,
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_features, **kwargs)
        self.noise = ChannelNoise2d(
            num_features, shift_range, scale_range, example_shift, example_scale, generator
        )

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x``, then scale and shift each channel of each example at random."""
        return self.noise(super().forward(x))
