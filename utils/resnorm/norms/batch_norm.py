"""Batch normalization layers, interchangeable with those of ``torch.nn``."""

from __future__ import annotations

import torch
from torch import Tensor

from .channels import scale_and_shift
from .functional import FORMS, batch_norm_inference
from .norm_base import _NormBase


class _BatchNorm(_NormBase):
    """What the batch norm layers share; they differ only in the shapes that they accept.

    Its arguments are documented where they are used, in :class:`BatchNorm1d` and
    :class:`BatchNorm2d`; only ``form`` is not torch's.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        form: str = "closed",
    ) -> None:
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; it must be one of {', '.join(FORMS)}")
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """Normalize by the batch's statistics in training, by the running ones in evaluation."""
        self._check_shape(x)
        if not self.training and self.running_mean is not None:
            return batch_norm_inference(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.eps
            )
        m = self._values_per_channel(x)
        if m == 0:
            return self._normalize_nothing(x)
        y, mean, var = FORMS[self.form](x, self.weight, self.bias, self.eps)
        if self.training and self.track_running_stats and self.running_mean is not None:
            self._update_running_stats(mean, var, m)
        return y

    def _normalize_nothing(self, x: Tensor) -> Tensor:
        """Pass an empty batch on; as in torch it is counted, but moves no statistics."""
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
        return scale_and_shift(x.clone(), self.weight, self.bias).to(x.dtype)

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, var: Tensor, m: int) -> None:
        """Count this batch and move towards it; with ``momentum=None``, average all batches."""
        self.num_batches_tracked.add_(1)
        factor = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self._move_running_stats(mean, var, m, factor)

    def _values_per_channel(self, x: Tensor) -> int:
        """Return the m of the formulas: N for (N, C), N * H * W for (N, C, H, W)."""
        return self._check_count(x.numel() // x.shape[1], x)

    def _check_count(self, m: int, x: Tensor) -> int:
        """Refuse a single value per channel; return ``m``."""
        if m == 1:
            has_other = self.running_mean is not None
            why = "in training mode" if has_other else "without running statistics"
            raise ValueError(
                f"{self._get_name()} {why} needs more than one value per channel, but "
                f"an input of shape {tuple(x.shape)} has {m}: its variance is 0 and every output "
                "would be beta. Use a larger batch (drop_last=True in the DataLoader)"
                + (", or call .eval() to use the running statistics." if has_other else ".")
            )
        return m


class BatchNorm1d(_BatchNorm):
    """Batch normalization of feature vectors or sequences.

    The statistics of a channel run over N for (N, C), and over N and L for (N, C, L).

    Args:
        num_features: C, the size of axis 1.
        eps: added to the variance, inside the square root.
        momentum: weight of the *new* batch in the running statistics, from 0 to 1 (Keras's
            ``momentum`` weighs the old value); None averages all batches equally.
        affine: learn a scale ``weight`` (gamma) and a shift ``bias`` (beta) per channel.
        track_running_stats: keep running statistics for evaluation; without them, evaluation
            normalizes by the current batch, as training does.
        device: where parameters and running statistics live; None takes torch's default.
        dtype: of parameters and running statistics; None takes torch's default.
        bias: with ``affine``, learn the shift as well as the scale.
        form: how training mode is computed: ``"closed"`` (closed-form backward, the default),
            ``"var_mean"``, ``"naive"`` or ``"compiled"``; see :mod:`resnorm.norms.functional`.

    Raises:
        ValueError: an argument is out of range; an input has the wrong number of dimensions or
            channels, or in training mode a single value per channel.

    Shape:
        - Input: (N, C) or (N, C, L).
        - Output: as the input.

    Source:
        Ioffe & Szegedy (2015), algorithms 1 and 2.
    """

    _accepts = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images or feature maps.

    The statistics of a channel run over N, H and W.

    Args:
        num_features: C, the size of axis 1.
        eps: added to the variance, inside the square root.
        momentum: weight of the *new* batch in the running statistics, from 0 to 1 (Keras's
            ``momentum`` weighs the old value); None averages all batches equally.
        affine: learn a scale ``weight`` (gamma) and a shift ``bias`` (beta) per channel.
        track_running_stats: keep running statistics for evaluation; without them, evaluation
            normalizes by the current batch, as training does.
        device: where parameters and running statistics live; None takes torch's default.
        dtype: of parameters and running statistics; None takes torch's default.
        bias: with ``affine``, learn the shift as well as the scale.
        form: how training mode is computed: ``"closed"`` (closed-form backward, the default),
            ``"var_mean"``, ``"naive"`` or ``"compiled"``; see :mod:`resnorm.norms.functional`.

    Raises:
        ValueError: an argument is out of range; an input has the wrong number of dimensions or
            channels, or in training mode a single value per channel.

    Shape:
        - Input: (N, C, H, W).
        - Output: as the input.

    Source:
        Ioffe & Szegedy (2015), algorithms 1 and 2.
    """

    _accepts = {4: "(N, C, H, W)"}
