"""Instance normalization: each channel of each image by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from .channels import at_least_float32, scale_and_shift
from .functional import batch_norm_inference
from .norm_base import _NormBase
from .standardization import standardize


class InstanceNorm2d(_NormBase):
    """Instance normalization: statistics over (H, W) of each image and channel, as in torch.

    Statistics of shape (N, C, 1, 1) are these, not layer norm's. As in torch there is neither an
    affine map nor running statistics unless you ask for them; the running statistics hold the mean
    over images, and evaluation uses them.

    Args:
        num_features: C, the size of axis 1.
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics, from 0 to 1; None leaves them
            as they are.
        affine: learn a scale ``weight`` and a shift ``bias`` per channel.
        track_running_stats: keep running statistics for evaluation; without them, evaluation
            normalizes each image by itself, as training does.
        device: where parameters and running statistics live; None takes torch's default.
        dtype: of parameters and running statistics; None takes torch's default.

    Raises:
        ValueError: an argument is out of range; an input has the wrong number of dimensions or
            channels, or a single position per channel where its own statistics are needed.

    Shape:
        - Input: (N, C, H, W).
        - Output: as the input.

    Source:
        Ulyanov, Vedaldi & Lempitsky (2016), equation 4.
    """

    _accepts = {4: "(N, C, H, W)"}

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Standardize each channel of each image, then scale and shift per channel."""
        self._check_shape(x)
        if not self.training and self.running_mean is not None:
            return batch_norm_inference(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.eps
            )
        n, channels = x.shape[:2]
        m = self._positions(x)
        if self.track_running_stats and x.numel():
            var, mean = torch.var_mean(at_least_float32(x.detach()), (2, 3), correction=0)
            # torch does not count batches here, and takes momentum=None as "never move"
            self._move_running_stats(mean.mean(0), var.mean(0), m, self.momentum or 0.0)
        x_hat = standardize(at_least_float32(x), n * channels, self.eps)
        return scale_and_shift(x_hat, self.weight, self.bias).to(x.dtype)

    def _positions(self, x: Tensor) -> int:
        """Return H * W, the number of values in a group; refuse a single one."""
        m = x.shape[2] * x.shape[3]
        if m == 1:
            raise ValueError(
                "InstanceNorm2d needs more than one position per image and channel, but "
                f"{tuple(x.shape)} has one: every output would be the shift"
            )
        return m
