"""Fully connected networks of equal layers: the laboratory for depth (chapters 1.3 and 1.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Variance of a weight, times its fan-in, by scheme: He et al. (2015) keep the second moment
#: through a ReLU; Glorot & Bengio (2010), derived for linear units, halve it with every ReLU.
GAINS = {"he": 2.0, "glorot": 1.0}

KINDS = ("plain", "residual", "residual_scaled", "residual_batch_norm", "plain_batch_norm")


class BatchStandardize(nn.Module):
    """Standardize each unit over the batch, with the statistics as constants of the gradient.

    The theory of shattered gradients assumes this. With detached statistics the gradient of an
    example depends on the rest of the batch only through which units are active.

    Shape:
        (N, features) -> (N, features).

    Source:
        Balduzzi et al. (2017).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation."""
        var, mean = torch.var_mean(x.detach(), 0, correction=0)
        return (x - mean) * torch.rsqrt(var + 1e-5)


class MLP(nn.Module):
    r"""``depth`` hidden layers of ``width`` ReLU units, plain or residual.

    ====================== ==============================================================
    kind                   hidden layer
    ====================== ==============================================================
    plain                  :math:`h \leftarrow \mathrm{relu}(W h + b)`
    plain_batch_norm       :math:`h \leftarrow \mathrm{relu}(\mathrm{BN}(W h + b))`
    residual               :math:`h \leftarrow h + W\,\mathrm{relu}(h) + b`
    residual_scaled        the same, divided by :math:`\sqrt2`
    residual_batch_norm    :math:`h \leftarrow h + W\,\mathrm{relu}(\mathrm{BN}(h)) + b`
    ====================== ==============================================================

    BN is :class:`BatchStandardize`. The first hidden layer of a plain network reads the input. A
    residual network first maps the input linearly to ``width``, with weights of variance 1 / fan-in
    because no ReLU follows. A linear layer reads out.

    Args:
        in_features: Size of an input.
        width: Units per layer.
        depth: Number of hidden layers, at least 1.
        kind: Kind of the hidden layers, see the table.
        init: ``"he"``, ``"glorot"``, or the variance of a weight times its fan-in.
        bias_std: Standard deviation of the biases at initialization.
        out_features: Size of an output.
        generator: Source of the initial weights; None is torch's global generator.

    Raises:
        ValueError: The kind or the initialization is unknown, or the depth is below 1.

    Shape:
        (N, in_features) -> (N, out_features).

    Source:
        Balduzzi et al. (2017); He et al. (2015), section 2.2, for the initialization.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        depth: int,
        kind: str = "plain",
        init: str | float = "he",
        bias_std: float = 0.0,
        out_features: int = 1,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
        if isinstance(init, str) and init not in GAINS:
            raise ValueError(f"init is {init!r}; it must be one of {', '.join(GAINS)}, or a number")
        if depth < 1:
            raise ValueError(f"depth is {depth}; a network has at least one hidden layer")
        gain = GAINS[init] if isinstance(init, str) else float(init)
        self.kind = kind
        self.residual = kind.startswith("residual")
        self.norm = BatchStandardize() if kind.endswith("batch_norm") else nn.Identity()

        def linear(fan_in: int, fan_out: int, gain: float, bias_std: float) -> nn.Linear:
            layer = nn.Linear(fan_in, fan_out)
            nn.init.normal_(layer.weight, std=math.sqrt(gain / fan_in), generator=generator)
            nn.init.normal_(layer.bias, std=bias_std, generator=generator)
            return layer

        self.embed = linear(in_features, width, 1.0 if self.residual else gain, bias_std)
        hidden = depth if self.residual else depth - 1
        self.hidden = nn.ModuleList(linear(width, width, gain, bias_std) for _ in range(hidden))
        self.readout = linear(width, out_features, 1.0, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the outputs of a batch."""
        h = self.embed(x)  # (N, in_features) -> (N, width)
        if not self.residual:
            h = self.norm(h).relu()
        for linear in self.hidden:
            h = self.hidden_layer(linear, h)
        return self.readout(h)

    def hidden_layer(self, linear: nn.Module, h: Tensor) -> Tensor:
        """Apply one hidden layer of the table.

        Args:
            linear: The layer's linear map, one of ``self.hidden``.
            h: (N, width) output of the layer before.

        Returns:
            (N, width).
        """
        if not self.residual:
            return self.norm(linear(h)).relu()
        h = h + linear(self.norm(h).relu())
        return h / math.sqrt(2) if self.kind == "residual_scaled" else h
