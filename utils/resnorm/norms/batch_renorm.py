"""Batch renormalization: training uses nearly the statistics that evaluation will use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .batch_norm import BatchNorm2d
from .channels import at_least_float32, per_channel, scale_and_shift
from .functional import FORMS


class BatchRenorm2d(BatchNorm2d):
    r"""Batch renormalization: training uses nearly the statistics that evaluation will use.

    .. math::
        \hat x = \frac{x - \mu_B}{\sigma_B}\, r + d, \qquad
        r = \mathrm{clip}_{[1/r_{max},\,r_{max}]}\frac{\sigma_B}{\sigma}, \qquad
        d = \mathrm{clip}_{[-d_{max},\,d_{max}]}\frac{\mu_B - \mu}{\sigma},

    with :math:`\mu, \sigma` the running statistics; no gradient flows through r and d. With
    ``r_max=1, d_max=0`` it is batch norm; without clipping, training and evaluation agree.
    ``torch.compile`` splits the graph at this layer, so ``fullgraph=True`` refuses it.

    Give ``torch.utils.checkpoint`` the argument
    ``context_fn=lambda: (nullcontext(), resnorm.blocks.Repetition(layer))``, because the running
    statistics move during the first pass and a plain repetition would read the new ones.

    Args:
        num_features: C, the size of axis 1.
        r_max: largest correction of the scale, 1 or more; raise it slowly during training.
        d_max: largest correction of the shift, 0 or more, in standard deviations; raise it slowly
            during training.
        eps: added to the variance, inside the square root.
        momentum: weight of the new batch in the running statistics, from 0 to 1; None averages
            all batches equally.
        affine: learn a scale ``weight`` and a shift ``bias`` per channel.
        **kwargs: further keyword arguments of :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: ``r_max``, ``d_max`` or an argument of batch norm is out of range, or
            ``track_running_stats`` is False.

    Shape:
        - Input: (N, C, H, W).
        - Output: as the input.

    Source:
        Ioffe (2017), algorithm 1.
    """

    def __init__(
        self,
        num_features: int,
        r_max: float = 3.0,
        d_max: float = 5.0,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, **kwargs)
        if not self.track_running_stats:
            raise ValueError(
                "track_running_stats is False, but BatchRenorm2d corrects towards running "
                "statistics; leave it True, or use BatchNorm2d"
            )
        if r_max < 1 or d_max < 0:
            raise ValueError(
                f"r_max={r_max} and d_max={d_max}; r_max must be at least 1 and d_max at least 0 "
                "(r_max=1, d_max=0 is batch norm)"
            )
        self.r_max = r_max
        self.d_max = d_max

    def forward(self, x: Tensor) -> Tensor:
        """Correct the batch's statistics towards the running ones in training."""
        if not self.training or x.numel() == 0:
            return super().forward(x)
        self._check_shape(x)
        m = self._values_per_channel(x)
        x_hat, mean, var = FORMS[self.form](at_least_float32(x), None, None, self.eps)
        corrections = self._corrections
        if torch.compiler.is_compiling():
            # In one compiled graph the backward pass would compute r and d again, and by then the
            # running statistics have moved on. Outside of the graph they are computed once. (Not
            # as a decorator, because torch.compiler.disable imports the compiler, which takes
            # seconds, and most programs compile nothing.)
            corrections = torch.compiler.disable(corrections)
        r, d = corrections(mean, var)
        self._update_running_stats(mean, var, m)
        x_hat = x_hat * per_channel(r, x) + per_channel(d, x)
        return scale_and_shift(x_hat, self.weight, self.bias).to(x.dtype)

    def _corrections(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and d for the statistics of a batch, each (C,), as constants."""
        sigma = torch.sqrt(self.running_var + self.eps)
        r = (torch.sqrt(var + self.eps) / sigma).clamp(1 / self.r_max, self.r_max)
        d = ((mean - self.running_mean) / sigma).clamp(-self.d_max, self.d_max)
        return r, d

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return f"{super().extra_repr()}, r_max={self.r_max}, d_max={self.d_max}"
