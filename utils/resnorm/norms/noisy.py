"""Batch norm made unsteady on purpose: the layer of an experiment, not of a network to use."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch_norm import BatchNorm2d


class NoisyBatchNorm2d(BatchNorm2d):
    r"""Batch norm, then noise whose mean and scale change with every step (training mode only).

    Each training step draws for every channel a shift and a scale, and around these a shift and a
    scale for every example of the batch:

    .. math::
        \mu^t_c \sim U(-n_\mu, n_\mu), \quad \sigma^t_c \sim U(1, n_\sigma), \qquad
        m_{ic} \sim U(\mu^t_c - r_\mu, \mu^t_c + r_\mu), \quad s_{ic} \sim N(\sigma^t_c, r_\sigma^2),
        \qquad y_{ic} = s_{ic}\,\mathrm{BN}(x)_{ic} + m_{ic} .

    So the next layer sees another distribution at each step: the internal covariate shift that
    batch norm was said to remove, put back in. Evaluation uses the noise's mean: shift 0 and scale
    :math:`(1 + n_\sigma)/2`.

    Args:
        num_features: C.
        shift_range: :math:`n_\mu`, 0 or more, in units of the normalized activation.
        scale_range: :math:`n_\sigma`, 1 or more.
        example_shift, example_scale: :math:`r_\mu` and :math:`r_\sigma`, 0 or more.
        generator: of the noise; by default torch's global one.
        eps, momentum, affine, track_running_stats: as in :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: a range out of bounds.

    Source: Santurkar et al. (2018), section 2.1 and appendix A; there noise is drawn for each
    activation, here for each channel, so that all positions of a map share it.
    """

    def __init__(
        self,
        num_features: int,
        shift_range: float = 0.5,
        scale_range: float = 1.25,
        example_shift: float = 0.1,
        example_scale: float = 0.1,
        generator: torch.Generator | None = None,
        **kwargs,
    ):
        super().__init__(num_features, **kwargs)
        if scale_range < 1 or min(shift_range, example_shift, example_scale) < 0:
            raise ValueError(
                f"shift_range={shift_range}, scale_range={scale_range}, example_shift={example_shift}, "
                f"example_scale={example_scale}; scale_range must be 1 or more, the others 0 or more"
            )
        self.shift_range, self.scale_range = shift_range, scale_range
        self.example_shift, self.example_scale = example_shift, example_scale
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.training:
            return y * ((1 + self.scale_range) / 2)
        n, channels = x.shape[:2]

        def uniform(*shape: int) -> Tensor:  # on [-1, 1]
            return 2 * torch.rand(shape, generator=self.generator, dtype=y.dtype).to(y.device) - 1

        normal = torch.randn(n, channels, generator=self.generator, dtype=y.dtype).to(y.device)
        mu = self.shift_range * uniform(channels)  # (C,): new at every step
        sigma = 1 + (self.scale_range - 1) * (uniform(channels) + 1) / 2
        m = mu + self.example_shift * uniform(n, channels)  # (N, C): new for every example
        s = sigma + self.example_scale * normal
        return s[:, :, None, None] * y + m[:, :, None, None]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, shift_range={self.shift_range}, scale_range={self.scale_range}"
