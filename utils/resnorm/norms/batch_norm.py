"""Batch normalization layers, interchangeable with those of ``torch.nn``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .functional import FORMS, batch_norm_inference
from .validation import check_eps, check_positive_int


class _BatchNorm(nn.Module):
    """What the batch norm layers share; they differ only in the shapes that they accept.

    Its arguments are documented where they are used, in :class:`BatchNorm1d` and
    :class:`BatchNorm2d`. Arguments, defaults, parameters, buffers and state-dict keys are those of
    ``torch.nn``; only ``form`` is ours.
    """

    _version = 2  # torch's own: state dicts carry num_batches_tracked
    _accepts: dict[int, str] = {}  # number of dimensions -> the shape in words

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    # Without track_running_stats these three are None, and nothing below touches them.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

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
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; it must be one of {', '.join(FORMS)}")
        self.num_features = check_positive_int(
            num_features, "num_features", "C, the size of axis 1"
        )
        self.eps = check_eps(eps)
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.form = form

        def empty() -> Tensor:
            return torch.empty(num_features, device=device, dtype=dtype)

        self.register_parameter("weight", nn.Parameter(empty()) if affine else None)
        self.register_parameter("bias", nn.Parameter(empty()) if affine and bias else None)
        # Buffers, not plain attributes: they must move with .to(device) and be saved.
        self.register_buffer("running_mean", empty() if track_running_stats else None)
        self.register_buffer("running_var", empty() if track_running_stats else None)
        count = torch.tensor(0, dtype=torch.long, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget every batch seen: the running mean is 0 again, the running variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set scale to 1 and shift to 0, and forget every batch seen."""
        self.reset_running_stats()
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize by the batch's statistics in training, by the running ones in evaluation."""
        self._check_shape(x)
        if not self.training and self.running_mean is not None:
            return batch_norm_inference(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.eps
            )
        m = self._values_per_channel(x)
        y, mean, var = FORMS[self.form](x, self.weight, self.bias, self.eps)
        if self.training and self.track_running_stats:
            self._update_running_stats(mean, var, m)
        return y

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, var: Tensor, m: int) -> None:
        """Count this batch and move towards it; with ``momentum=None``, average all batches."""
        self.num_batches_tracked += 1
        factor = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self._move_running_stats(mean, var, m, factor)

    @torch.no_grad()
    def _move_running_stats(self, mean: Tensor, var: Tensor, m: int, factor: float) -> None:
        """Average with weight ``factor`` on the new batch, whose variance is made unbiased."""
        unbiased = var * (m / (m - 1))  # Bessel's correction; the normalizing variance is biased
        self.running_mean.mul_(1 - factor).add_(mean.to(self.running_mean.dtype), alpha=factor)
        self.running_var.mul_(1 - factor).add_(unbiased.to(self.running_var.dtype), alpha=factor)

    def _check_shape(self, x: Tensor) -> None:
        """Refuse a wrong number of dimensions or channels."""
        if x.ndim not in self._accepts:
            expected = " or ".join(self._accepts.values())
            raise ValueError(
                f"{self._get_name()} takes an input of shape {expected}, "
                f"but was given {x.ndim} dimensions: {tuple(x.shape)}"
            )
        if x.shape[1] != self.num_features:
            message = (
                f"{self._get_name()}(num_features={self.num_features}) was given "
                f"{x.shape[1]} channels: axis 1 of {tuple(x.shape)}."
            )
            if x.shape[-1] == self.num_features and x.ndim > 2:
                message += (
                    " The last axis has that size: if channels are last, "
                    "call .movedim(-1, 1) first."
                )
            raise ValueError(message)

    def _values_per_channel(self, x: Tensor) -> int:
        """Return the m of the formulas: N for (N, C), N * H * W for (N, C, H, W)."""
        m = x.numel() // x.shape[1]
        if m <= 1:
            raise ValueError(
                f"{self._get_name()} in training mode needs more than one value per channel, but "
                f"an input of shape {tuple(x.shape)} has {m}: its variance is 0 and every output "
                "would be beta. Use a larger batch (drop_last=True in the DataLoader), or call "
                ".eval() to use the running statistics."
            )
        return m

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        # Checkpoints older than torch 0.4.1 count no batches; torch takes the layer's own count.
        if (local_metadata.get("version") or 1) < 2 and self.track_running_stats:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


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
