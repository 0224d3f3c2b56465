"""The common part of batch and instance norm: parameters, running statistics, checks of shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .validation import check_eps, check_momentum, check_positive_int


class _NormBase(nn.Module):
    """What batch and instance norm share: parameters, running statistics and checks of shapes.

    Arguments, defaults, parameters, buffers and state-dict keys are those of ``torch.nn``. They
    are documented where they are used, in :class:`resnorm.norms.BatchNorm2d`.
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
    ) -> None:
        super().__init__()
        self.num_features = check_positive_int(
            num_features, "num_features", "C, the size of axis 1"
        )
        self.eps = check_eps(eps)
        self.momentum = check_momentum(momentum)
        self.affine = affine
        self.track_running_stats = track_running_stats

        def empty() -> Tensor:
            return torch.empty(self.num_features, device=device, dtype=dtype)

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

    @torch.no_grad()
    def _move_running_stats(self, mean: Tensor, var: Tensor, m: int, factor: float) -> None:
        """Average with weight ``factor`` on the new batch, whose variance is made unbiased."""
        unbiased = var * (m / (m - 1))  # Bessel's correction; the normalizing variance is biased
        _move(self.running_mean, mean, factor)
        _move(self.running_var, unbiased, factor)

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


def _move(running: Tensor, new: Tensor, factor: float) -> None:
    """Set a running statistic to ``(1 - factor) * running + factor * new``, in place."""
    running = torch.ops.aten.alias(running)  # torch.func refuses to write to the buffer itself
    new = new.to(running.dtype)
    if torch.compiler.is_compiling():  # it would take ``alpha`` for a constant
        running.mul_(1 - factor).add_(factor * new)
    else:
        running.mul_(1 - factor).add_(new, alpha=factor)
