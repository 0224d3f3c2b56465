r"""The family of batch norm: one formula, applied to other groups of values.

Every layer here standardizes groups of :math:`m` values,
:math:`\hat x = (x - \mu)/\sqrt{\sigma^2 + \epsilon}`, then scales and shifts. They differ in which
values form a group (chapter 2.3): with ``x`` of shape (N, C, H, W),

========================  =====================  ==================================
layer                     a group holds          statistics
========================  =====================  ==================================
batch norm                (N, H, W) of one C     C means, C variances
layer norm (per image)    (C, H, W) of one N     N of each
instance norm             (H, W) of one N and C  N x C of each
group norm                (C/G, H, W) of one N   N x G of each
========================  =====================  ==================================

So each is a reshape to (groups, m), one closed-form function, and a reshape back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batch_norm import BatchNorm2d, _check_eps
from .functional import FORMS, at_least_float32, batch_norm_inference, per_channel, scale_and_shift


class StandardizeFunction(torch.autograd.Function):
    r"""Standardize each row of (groups, m), with the closed-form backward pass.

    With :math:`r = 1/\sqrt{\sigma^2 + \epsilon}` and bars for means over a row:

    .. math::
        \hat x = r\,(x - \mu), \qquad
        dx = r\,\bigl(dy - \overline{dy} - \hat x\,\overline{dy\,\hat x}\bigr) .

    Without centring (RMS norm) :math:`\mu` is 0, :math:`\sigma^2` the mean square, and the term
    :math:`\overline{dy}` goes: that term is the gradient through the mean. Differentiable twice.
    """

    @staticmethod
    def forward(ctx, x, eps, center):
        mean, rstd = _row_statistics(x, eps, center)
        ctx.save_for_backward(x, mean, rstd)
        ctx.eps, ctx.center = eps, center
        return (x - mean) * rstd

    @staticmethod
    def backward(ctx, dy):
        x, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # differentiated again: the statistics depend on x, too
            mean, rstd = _row_statistics(x, ctx.eps, ctx.center)
        x_hat = (x - mean) * rstd
        dx = dy - x_hat * (dy * x_hat).mean(1, keepdim=True)
        if ctx.center:
            dx = dx - dy.mean(1, keepdim=True)
        return dx * rstd, None, None


def _row_statistics(x: Tensor, eps: float, center: bool) -> tuple[Tensor, Tensor]:
    """Mean (or 0) and 1/sqrt(variance + eps) of each row: (groups, m) -> twice (groups, 1)."""
    mean = x.mean(1, keepdim=True) if center else x.new_zeros(())
    var = (x - mean).square().mean(1, keepdim=True)
    return mean, torch.rsqrt(var + eps)


def standardize(x: Tensor, groups: int, eps: float, center: bool = True) -> Tensor:
    """Standardize ``x`` in ``groups`` runs of consecutive values; its shape and dtype stay."""
    rows = at_least_float32(x).reshape(groups, -1)
    return StandardizeFunction.apply(rows, eps, center).view(x.shape).to(x.dtype)


class _ElementwiseNorm(nn.Module):
    """What layer norm and RMS norm share: the last dimensions form a group, one weight an element."""

    def __init__(self, normalized_shape: int | Sequence[int]):
        super().__init__()
        shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            raise ValueError(
                f"normalized_shape is {normalized_shape!r}; it must be one or more positive ints"
            )
        self.normalized_shape = shape

    def _standardize(self, x: Tensor, eps: float, center: bool) -> Tensor:
        wanted = self.normalized_shape
        if tuple(x.shape[-len(wanted) :]) != wanted:
            raise ValueError(
                f"{type(self).__name__}(normalized_shape={wanted}) was given shape {tuple(x.shape)}, "
                f"which does not end in {wanted}"
            )
        return standardize(x, x.numel() // math.prod(wanted), eps, center)


class LayerNorm(_ElementwiseNorm):
    """Layer normalization over the last dimensions; the same arguments and keys as torch's.

    For images there are two conventions: ``normalized_shape=(C, H, W)`` (per image), and
    ``normalized_shape=C`` with channels last (per position, as in ConvNeXt).

    Args:
        normalized_shape: sizes of the last dimensions, which form one group.
        eps: added to the variance.
        elementwise_affine: learn one scale an element, and with ``bias`` one shift.

    Raises:
        ValueError: an input whose shape does not end in ``normalized_shape``.

    Source: Ba, Kiros & Hinton (2016), equations 3 and 4.
    """

    def __init__(
        self,
        normalized_shape,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__(normalized_shape)
        self.eps, self.elementwise_affine = _check_eps(eps), elementwise_affine
        ones = torch.ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if elementwise_affine else None)
        has_bias = elementwise_affine and bias
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if has_bias else None)

    def forward(self, x: Tensor) -> Tensor:
        x_hat = self._standardize(x, self.eps, center=True)
        if self.weight is not None:
            x_hat = x_hat * self.weight
        return x_hat if self.bias is None else x_hat + self.bias

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(_ElementwiseNorm):
    """Root-mean-square normalization: scaled by the length alone, no centring, no shift.

    Args:
        normalized_shape: sizes of the last dimensions, which form one group.
        eps: added to the mean square; None takes the machine epsilon of the input's dtype.
        elementwise_affine: learn one scale an element.

    Raises:
        ValueError: an input whose shape does not end in ``normalized_shape``.

    Source: Zhang & Sennrich (2019), equation 4.
    """

    def __init__(
        self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None
    ):
        super().__init__(normalized_shape)
        self.eps, self.elementwise_affine = (
            eps if eps is None else _check_eps(eps),
            elementwise_affine,
        )
        ones = torch.ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if elementwise_affine else None)

    def forward(self, x: Tensor) -> Tensor:
        eps = torch.finfo(at_least_float32(x).dtype).eps if self.eps is None else self.eps
        x_hat = self._standardize(x, eps, center=False)
        return x_hat if self.weight is None else x_hat * self.weight

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(nn.Module):
    """Group normalization: each image's channels in ``num_groups`` groups; torch's arguments.

    One group is layer norm over (C, H, W) with weights per channel; as many groups as channels is
    instance norm.

    Args:
        num_groups: G.
        num_channels: C, a multiple of G.
        eps: added to the variance.
        affine: learn a scale and a shift per channel.

    Raises:
        ValueError: ``num_channels`` not divisible by ``num_groups``; an input with another number
            of channels; groups of a single value.

    Source: Wu & He (2018), equation 7.
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            divisors = [g for g in range(1, num_channels + 1) if num_channels % g == 0]
            raise ValueError(
                f"num_channels={num_channels} cannot be split into num_groups={num_groups} equal groups; "
                f"num_groups may be one of {divisors}"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = _check_eps(eps), affine
        ones = torch.ones(num_channels, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"GroupNorm(num_channels={self.num_channels}) takes (N, {self.num_channels}, ...), "
                f"but was given {tuple(x.shape)}"
            )
        groups = x.shape[0] * self.num_groups
        if x.numel() == groups:
            raise ValueError(
                f"a group of {tuple(x.shape)} holds a single value: its variance is 0 and every output would be "
                "the shift. Use fewer groups."
            )
        return scale_and_shift(standardize(x, groups, self.eps), self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm2d(BatchNorm2d):
    """Instance normalization: statistics over (H, W) of each image and channel; torch's arguments.

    Statistics of shape (N, C, 1, 1) are these, not layer norm's. As in torch there is neither an
    affine map nor running statistics unless asked for; with running statistics, they hold the mean
    over images and are used in evaluation.

    Args:
        num_features: C.
        eps, momentum, affine, track_running_stats: as in :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: a wrong shape, or a single position per channel in training mode.

    Source: Ulyanov, Vedaldi & Lempitsky (2016), equation 4.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        self._check_shape(x)
        if not self.training and self.running_mean is not None:
            return batch_norm_inference(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.eps
            )
        n, channels, height, width = x.shape
        m = height * width
        if m == 1:
            raise ValueError(
                f"InstanceNorm2d needs more than one position per image and channel, but {tuple(x.shape)} has one: "
                "every output would be the shift"
            )
        if self.track_running_stats:
            var, mean = torch.var_mean(at_least_float32(x.detach()), (2, 3), correction=0)
            # torch does not count batches here, and takes momentum=None as "never move"
            self._move_running_stats(mean.mean(0), var.mean(0), m, self.momentum or 0.0)
        return scale_and_shift(standardize(x, n * channels, self.eps), self.weight, self.bias)


class GhostBatchNorm2d(BatchNorm2d):
    """Batch norm over parts of the batch: a large batch with a small batch's statistics.

    In training, each run of ``ghost_size`` images is normalized by itself, and the running
    statistics move once per ghost batch. In evaluation it is batch norm.

    Args:
        num_features: C.
        ghost_size: images in a ghost batch; must divide the batch.
        eps, momentum, affine, track_running_stats: as in :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: a batch that ``ghost_size`` does not divide.

    Source: Hoffer, Hubara & Soudry (2017), algorithm 1.
    """

    def __init__(self, num_features, ghost_size, *args, **kwargs):
        super().__init__(num_features, *args, **kwargs)
        if not isinstance(ghost_size, int) or ghost_size < 1:
            raise ValueError(
                f"ghost_size is {ghost_size!r}; it must be a positive int: images in a ghost batch"
            )
        self.ghost_size = ghost_size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        if x.shape[0] % self.ghost_size:
            raise ValueError(
                f"a batch of {x.shape[0]} images cannot be split into ghost batches of {self.ghost_size}; "
                "use a batch size that is a multiple (drop_last=True in the DataLoader)"
            )
        return torch.cat(
            [super(GhostBatchNorm2d, self).forward(part) for part in x.split(self.ghost_size)]
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, ghost_size={self.ghost_size}"


class BatchRenorm2d(BatchNorm2d):
    r"""Batch renormalization: training uses nearly the statistics that evaluation will use.

    .. math::
        \hat x = \frac{x - \mu_B}{\sigma_B}\, r + d, \qquad
        r = \mathrm{clip}_{[1/r_{max},\,r_{max}]}\frac{\sigma_B}{\sigma}, \qquad
        d = \mathrm{clip}_{[-d_{max},\,d_{max}]}\frac{\mu_B - \mu}{\sigma},

    with :math:`\mu, \sigma` the running statistics and r and d constants of the gradient. With
    ``r_max=1, d_max=0`` it is batch norm; without clipping, training and evaluation agree.

    Args:
        num_features: C.
        r_max: 1 or more; d_max: 0 or more. Raise them slowly during training.
        eps, momentum, affine: as in :class:`resnorm.norms.BatchNorm2d`.

    Raises:
        ValueError: ``r_max`` or ``d_max`` out of range.

    Source: Ioffe (2017), algorithm 1.
    """

    def __init__(
        self, num_features, r_max=3.0, d_max=5.0, eps=1e-5, momentum=0.1, affine=True, **kwargs
    ):
        super().__init__(num_features, eps, momentum, affine, **kwargs)
        if r_max < 1 or d_max < 0:
            raise ValueError(
                f"r_max={r_max} and d_max={d_max}; they must be at least 1 and 0 (batch norm itself)"
            )
        self.r_max, self.d_max = r_max, d_max

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        self._check_shape(x)
        m = self._values_per_channel(x)
        x_hat, mean, var = FORMS[self.form](x, None, None, self.eps)
        sigma = torch.sqrt(self.running_var + self.eps)
        r = (torch.sqrt(var + self.eps) / sigma).clamp(1 / self.r_max, self.r_max)
        d = ((mean - self.running_mean) / sigma).clamp(-self.d_max, self.d_max)
        self._update_running_stats(mean, var, m)
        x_hat = x_hat * per_channel(r, x) + per_channel(d, x)
        return scale_and_shift(x_hat, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, r_max={self.r_max}, d_max={self.d_max}"


class WeightStandardizedConv2d(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1, whatever its parameters are.

    It normalizes weights, not activations: no batch, no running statistics. Used with group norm.

    Args:
        eps: added to each filter's variance.
        others: as ``torch.nn.Conv2d``, with the same state dict.

    Source: Qiao et al. (2019), equation 5.
    """

    def __init__(self, *args, eps: float = 1e-5, **kwargs):
        super().__init__(*args, **kwargs)
        self.eps = _check_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        weight = standardize(self.weight, self.out_channels, self.eps)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
