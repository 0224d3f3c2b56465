"""Precise batch norm: running statistics recomputed over the whole training set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..restoring import buffers_restored, evaluation_mode
from .channels import at_least_float32, reduced_axes
from .folding import AnyBatchNorm


@torch.no_grad()
def precise_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace every running statistic by the population's, computed over ``batches``.

    The exponential average remembers some tens of batches, each of which was seen by older weights.
    Here the weights stand still and every batch counts. Means and centered sums of squares are
    merged by the law of total variance, so that the variance is that of all values together and
    not an average of batch variances. The layers before a norm run in training mode, that is, with
    batch statistics. Only batch norm has population statistics: instance norms
    keep theirs, which average over images. Every batch norm is recomputed, whatever its mode: to
    keep the statistics of a frozen one, save and restore its state dict.

    Args:
        model: any module with batch norms, ours or torch's. Its running statistics are changed in
            place; its train/eval modes are restored.
        batches: inputs, each passed to the model as it is. Other layers that act differently
            in training, such as dropout, stay in evaluation mode.

    Raises:
        ValueError: there is no batch norm with running statistics, or no batch with a value.

    Source:
        Wu & Johnson (2021), "precise BN"; merging after Chan, Golub & LeVeque (1979).
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, AnyBatchNorm) and module.track_running_stats
    ]
    if not norms:
        raise ValueError(
            "the model has no batch norm with running statistics: nothing to recompute"
        )

    pooled: dict[AnyBatchNorm, _Moments] = {}

    def accumulate(norm: AnyBatchNorm, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == 0:  # an empty batch has no mean, and says nothing
            return
        batch = _Moments.of(inputs[0])
        pooled[norm] = pooled[norm].merged(batch) if norm in pooled else batch

    hooks = [norm.register_forward_pre_hook(accumulate) for norm in norms]
    try:
        with evaluation_mode(model), buffers_restored(*norms):  # the passes move the buffers
            for norm in norms:
                norm.train()
            for batch in batches:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not pooled:
        raise ValueError(
            "no batch was given, or only empty ones: the statistics are left as they were"
        )
    for norm, moments in pooled.items():
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(moments.mean)
        norm.running_var.copy_(moments.squares / max(moments.count - 1, 1))


@dataclass(frozen=True)
class _Moments:
    """Count, mean and centered sum of squares of the values of each channel: (), (C,), (C,)."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, x: Tensor) -> _Moments:
        """Return the moments of one batch of shape (N, C, *positions)."""
        x = at_least_float32(x)
        var, mean = torch.var_mean(x, reduced_axes(x), correction=0)
        n = x.numel() // x.shape[1]
        return cls(n, mean, n * var)

    def merged(self, other: _Moments) -> _Moments:
        """Return the moments of both sets of values together."""
        total = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / total)
        between = delta**2 * (self.count * other.count / total)
        return _Moments(total, mean, self.squares + other.squares + between)
