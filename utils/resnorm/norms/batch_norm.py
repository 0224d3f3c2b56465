"""Batch normalization layers, interchangeable with those of ``torch.nn``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .functional import FORMS, batch_norm_inference


def _check_eps(eps: float) -> float:
    if not eps >= 0:
        raise ValueError(
            f"eps is {eps!r}; it must be zero or more, as it keeps the variance positive"
        )
    return eps


class _BatchNorm(nn.Module):
    """What the layers share; they differ in the shapes that they accept.

    Arguments, defaults, parameters, buffers and state-dict keys are those of ``torch.nn``;
    ``form`` is ours.

    Args:
        num_features: C, the size of axis 1.
        eps: added to the variance, inside the square root.
        momentum: weight of the *new* batch in the running statistics
            (Keras's ``momentum`` weighs the old value); None averages all batches equally.
        affine: learn a scale ``weight`` (gamma) and a shift ``bias`` (beta) per channel.
        track_running_stats: keep running statistics for evaluation; without them, evaluation
            normalizes by the batch at hand, as training does.
        bias: with ``affine``, learn the shift as well as the scale.
        form: how training mode is computed: ``"closed"`` (closed-form backward, the default),
            ``"var_mean"``, ``"naive"`` or ``"compiled"``; see :mod:`resnorm.norms.functional`.

    Raises:
        ValueError: an argument out of range; an input of the wrong dimension or with the wrong
            number of channels; one value per channel in training mode.

    Source: Ioffe & Szegedy (2015), algorithms 1 and 2.
    """

    _version = 2  # torch's own: state dicts carry num_batches_tracked
    _accepts: dict[int, str] = {}  # number of dimensions -> the shape in words

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
        form: str = "closed",
    ):
        super().__init__()
        if not isinstance(num_features, int) or num_features < 1:
            raise ValueError(
                f"num_features is {num_features!r}; it must be a positive int: C, the size of axis 1"
            )
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; it must be one of {', '.join(FORMS)}")
        self.num_features = num_features
        self.eps = _check_eps(eps)
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.form = form

        factory = {"device": device, "dtype": dtype}
        weight = nn.Parameter(torch.empty(num_features, **factory)) if affine else None
        shift = nn.Parameter(torch.empty(num_features, **factory)) if affine and bias else None
        self.register_parameter("weight", weight)
        self.register_parameter("bias", shift)
        # Buffers, not plain attributes: they must move with .to(device) and be saved.
        if track_running_stats:
            self.register_buffer("running_mean", torch.empty(num_features, **factory))
            self.register_buffer("running_var", torch.empty(num_features, **factory))
            self.register_buffer(
                "num_batches_tracked", torch.tensor(0, dtype=torch.long, device=device)
            )
        else:
            self.register_buffer("running_mean", None)
            self.register_buffer("running_var", None)
            self.register_buffer("num_batches_tracked", None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget every batch seen: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and no batch seen."""
        self.reset_running_stats()
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args) -> None:
        # Checkpoints older than torch 0.4.1 count no batches; torch takes the layer's own count.
        if (local_metadata.get("version") or 1) < 2 and self.track_running_stats:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x: Tensor) -> Tensor:
        self._check_shape(x)
        by_batch = self.training or self.running_mean is None
        if not by_batch:
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
        weight = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self._move_running_stats(mean, var, m, weight)

    @torch.no_grad()
    def _move_running_stats(self, mean: Tensor, var: Tensor, m: int, weight: float) -> None:
        """The running variance is unbiased (Bessel's correction), the normalizing one is not."""
        unbiased = var * (m / (m - 1))
        self.running_mean.mul_(1 - weight).add_(mean.to(self.running_mean.dtype), alpha=weight)
        self.running_var.mul_(1 - weight).add_(unbiased.to(self.running_var.dtype), alpha=weight)

    def _check_shape(self, x: Tensor) -> None:
        if x.ndim not in self._accepts:
            wanted = " or ".join(self._accepts.values())
            raise ValueError(
                f"{self._name()} takes an input of shape {wanted}, but was given {x.ndim} dimensions: {tuple(x.shape)}"
            )
        if x.shape[1] != self.num_features:
            hint = ""
            if x.shape[-1] == self.num_features and x.ndim > 2:
                hint = " The last axis has that size: if channels are last, call .movedim(-1, 1) first."
            raise ValueError(
                f"{self._name()}(num_features={self.num_features}) was given {x.shape[1]} channels: "
                f"axis 1 of {tuple(x.shape)}.{hint}"
            )

    def _values_per_channel(self, x: Tensor) -> int:
        """M of the formulas: N for (N, C), N * H * W for (N, C, H, W)."""
        m = x.numel() // x.shape[1]
        if m <= 1:
            raise ValueError(
                f"{self._name()} in training mode needs more than one value per channel, but an input of shape "
                f"{tuple(x.shape)} has {m}: its variance is 0 and every output would be beta. "
                "Use a larger batch (drop_last=True in the DataLoader), or call .eval() to use the running statistics."
            )
        return m

    def _name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L): statistics over N, or over N and L."""

    _accepts = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W): statistics over N, H and W."""

    _accepts = {4: "(N, C, H, W)"}


for _layer in (BatchNorm1d, BatchNorm2d):  # one contract, stated once
    _layer.__doc__ += "\n\n" + _BatchNorm.__doc__.split("\n\n", 1)[1]
