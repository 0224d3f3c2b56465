"""Batch norm over the batches of several processes, as one big batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .batch_norm import BatchNorm2d
from .channels import at_least_float32, per_channel, reduced_axes, scale_and_shift


class SyncStandardizeFunction(torch.autograd.Function):
    r"""Standardize each channel over all processes.

    In the forward pass the processes exchange a count, a mean and a centered sum of squares per
    channel, and merge them by the law of total variance. In the backward pass they exchange the two
    sums of the closed form, :math:`\sum dy` and :math:`\sum dy\,\hat x` (chapter 2.2). That makes
    four numbers per channel in all.

    Shape:
        - x: (N, C, *positions), with this process's N.
        - Output: ``(x_hat, mean, var, m)`` of shapes (N, C, *positions), (C,), (C,) and (); m is
          the number of values per channel in all processes together.

    Source:
        Chan, Golub & LeVeque (1979) for the merging of variances; Ioffe & Szegedy (2015), section
        3, for the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, eps: float, group: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Standardize ``x`` by the statistics of all processes."""
        n = torch.tensor([x.numel() // x.shape[1]], dtype=x.dtype, device=x.device)
        if x.numel():
            var, mean = torch.var_mean(x, reduced_axes(x), correction=0)
        else:  # without values these would be 0/0, and no count of 0 can undo a NaN
            var = mean = x.new_zeros(x.shape[1])
        mine = torch.cat([n, mean, n * var])
        everyone = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(everyone, mine, group=group)

        counts, rest = torch.stack(everyone).split([1, mine.numel() - 1], dim=1)
        means, squares = rest.chunk(2, dim=1)
        m = counts.sum()
        divisor = m.clamp(min=1)  # m is 0 if the batches of all processes are empty
        mean = (counts * means).sum(0) / divisor
        # The law of total variance: the variance within the processes, and between them.
        var = (squares + counts * (means - mean).square()).sum(0) / divisor
        rstd = torch.rsqrt(var + eps)
        x_hat = (x - per_channel(mean, x)) * per_channel(rstd, x)

        # The input and not x_hat, which the next layer may overwrite.
        ctx.save_for_backward(x, mean, rstd)
        ctx.m, ctx.group = m, group
        ctx.mark_non_differentiable(mean, var, m)
        return x_hat, mean, var, m

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of ``x``, and None for ``eps`` and ``group``."""
        dy = grads[0]  # mean, var and m are not differentiable
        x, mean, rstd = ctx.saved_tensors
        axes = reduced_axes(x)
        x_hat = (x - per_channel(mean, x)) * per_channel(rstd, x)
        sums = torch.cat([dy.sum(axes), (dy * x_hat).sum(axes)])
        dist.all_reduce(sums, group=ctx.group)
        mean_dy, mean_dy_x_hat = (sums / ctx.m.clamp(min=1)).chunk(2)
        dx = dy - per_channel(mean_dy, dy) - x_hat * per_channel(mean_dy_x_hat, dy)
        return dx * per_channel(rstd, dy), None, None


class SyncBatchNorm2d(BatchNorm2d):
    """Batch norm whose training statistics cover the batches of all processes.

    Outputs, input gradients and running statistics are those of one process with the joined batch.
    Gradients of scale and shift come from this process's examples only: the data-parallel wrapper
    combines them across processes, as it does for every other parameter. In evaluation mode, where
    one process may run alone, and outside a process group it is plain batch norm.

    Args:
        *args: arguments of :class:`resnorm.norms.BatchNorm2d`, in its order.
        process_group: of ``torch.distributed``; None takes the default group.
        **kwargs: keyword arguments of :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: as for :class:`resnorm.norms.BatchNorm2d`.

    Shape:
        - Input: (N, C, H, W); N may differ between the processes.
        - Output: as the input.

    Source:
        Ioffe & Szegedy (2015), algorithm 1, over the joined batch.
    """

    def __init__(
        self, *args: Any, process_group: dist.ProcessGroup | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.process_group = process_group

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x`` by the statistics of all processes' batches in training."""
        if not self.training or not self._has_other_processes():
            return super().forward(x)
        self._check_shape(x)
        x_hat, mean, var, m = SyncStandardizeFunction.apply(
            at_least_float32(x), self.eps, self.process_group
        )
        m = self._check_count(int(m), x)
        if m == 0:
            return self._normalize_nothing(x)
        if self.track_running_stats and self.running_mean is not None:
            self._update_running_stats(mean, var, m)
        return scale_and_shift(x_hat, self.weight, self.bias).to(x.dtype)

    def _has_other_processes(self) -> bool:
        return (
            dist.is_available()
            and dist.is_initialized()
            and dist.get_world_size(self.process_group) > 1
        )
