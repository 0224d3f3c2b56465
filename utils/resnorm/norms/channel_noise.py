"""Noise that shifts and scales every channel at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .validation import check_positive_int


class ChannelNoise2d(nn.Module):
    r"""The noise of :class:`resnorm.norms.NoisyBatchNorm2d` without its batch norm.

    It is the control of that experiment: what does the noise do to a network that has no norm? In
    training mode, with the same draws,

    .. math::
        y_{ic} = s_{ic}\,x_{ic} + m_{ic} .

    The ranges of shifts are in units of the activation as it is, which nothing normalizes here.
    Evaluation uses the noise's mean, which is shift 0 and scale :math:`(1 + n_\sigma)/2`.

    Args:
        num_features: C, the size of axis 1.
        shift_range: :math:`n_\mu`, 0 or more, in units of the activation.
        scale_range: :math:`n_\sigma`, 1 or more.
        example_shift: :math:`r_\mu`, 0 or more, in units of the activation.
        example_scale: :math:`r_\sigma`, 0 or more.
        generator: source of the noise, on any device; None takes torch's global generator of the
            activations' device, so that nothing has to be copied there.

    Raises:
        ValueError: a range is out of bounds.

    Shape:
        - Input: (N, C, H, W).
        - Output: as the input.

    Source:
        Santurkar et al. (2018), section 2.1 and appendix A, for the noise; the layer is ours.
    """

    def __init__(
        self,
        num_features: int,
        shift_range: float = 0.5,
        scale_range: float = 1.25,
        example_shift: float = 0.1,
        example_scale: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if scale_range < 1 or min(shift_range, example_shift, example_scale) < 0:
            raise ValueError(
                f"shift_range={shift_range}, scale_range={scale_range}, "
                f"example_shift={example_shift}, example_scale={example_scale}; "
                "scale_range must be 1 or more, the others 0 or more"
            )
        self.num_features = check_positive_int(
            num_features, "num_features", "C, the size of axis 1"
        )
        self.shift_range = shift_range
        self.scale_range = scale_range
        self.example_shift = example_shift
        self.example_scale = example_scale
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift each channel of each example of ``x`` at random."""
        if not self.training:
            return x * ((1 + self.scale_range) / 2)
        n, channels = x.shape[:2]
        generator = self.generator
        device = x.device if generator is None else generator.device

        def uniform(*shape: int) -> Tensor:  # on [-1, 1]
            drawn = torch.rand(shape, generator=generator, dtype=x.dtype, device=device)
            return 2 * drawn.to(x.device) - 1

        normal = torch.randn(n, channels, generator=generator, dtype=x.dtype, device=device)
        mu = self.shift_range * uniform(channels)  # (C,): new at every step
        sigma = 1 + (self.scale_range - 1) * (uniform(channels) + 1) / 2
        m = mu + self.example_shift * uniform(n, channels)  # (N, C): new for every example
        s = sigma + self.example_scale * normal.to(x.device)
        return s[:, :, None, None] * x + m[:, :, None, None]

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return (
            f"{self.num_features}, shift_range={self.shift_range}, scale_range={self.scale_range}"
        )
