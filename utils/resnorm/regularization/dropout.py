"""Dropout and its relatives, which differ only in what shares one draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..restoring import modes_restored


class Dropout(nn.Module):
    r"""Inverted dropout: in training, drop each value with probability p and scale up the rest.

    .. math::
        y_i = \frac{m_i}{1-p}\,x_i, \qquad m_i \sim \text{Bernoulli}(1-p).

    The expectation of y is x, so that nothing is left to do in evaluation mode, where the layer
    returns its input. The variance of y given x is :math:`x^2\,p/(1-p)`.

    Args:
        p: probability that a value is dropped, in [0, 1).
        generator: source of the masks, on any device; None takes torch's global generator.

    Raises:
        ValueError: ``p`` lies outside [0, 1).

    Shape:
        - Input: any.
        - Output: as the input.

    Source:
        Srivastava et al. (2014), section 4; their p is the probability to *keep* a unit, and they
        scale the weights at test time where this layer scales the activations in training.
    """

    def __init__(self, p: float = 0.5, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p, self.generator = check_drop_probability(p), generator

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """Say which values share a draw: those along the axes of size 1.

        Args:
            x: the input.

        Returns:
            A shape that broadcasts to that of ``x``; here the shape of ``x``, a draw for each.
        """
        return tuple(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Drop and scale in training mode; return the input in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        return x * draw_mask(self.mask_shape(x), self.p, x, self.generator)

    def extra_repr(self) -> str:
        """Return the argument that ``print(layer)`` shows."""
        return f"p={self.p}"


class SpatialDropout(Dropout):
    """Dropout of whole channels: neighboring pixels of a map are too alike to be dropped alone.

    Args:
        p: probability that a channel of an example is dropped, in [0, 1).
        generator: source of the masks, on any device; None takes torch's global generator.

    Shape:
        - Input: (N, C, ...), with at least one axis after the channels.
        - Output: as the input.

    Source:
        Tompson et al. (2015).
    """

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """One draw for each example and channel.

        Args:
            x: (N, C, ...).

        Returns:
            (N, C, 1, ...).

        Raises:
            ValueError: there is no axis after the channels.
        """
        if x.ndim < 3:
            raise ValueError(
                f"the input has shape {tuple(x.shape)}; SpatialDropout drops whole channels of "
                "(N, C, ...) with an axis after them: use Dropout for (N, features)"
            )
        return (*x.shape[:2], *(1,) * (x.ndim - 2))


class DropPath(Dropout):
    """Stochastic depth for each example: drop the whole output of a residual branch.

    Put it at the end of the branch, ``x + drop_path(branch(x))``. In contrast to
    :class:`resnorm.blocks.PreActBasicBlock`, which draws once per minibatch and scales in
    evaluation, each example gets its own draw, and the scaling happens in training.

    Args:
        p: probability that the branch of an example is dropped, in [0, 1).
        generator: source of the masks, on any device; None takes torch's global generator.

    Shape:
        - Input: (N, ...).
        - Output: as the input.

    Source:
        Huang et al. (2016), section 3, with one draw per example and inverted scaling.
    """

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """One draw for each example.

        Args:
            x: (N, ...).

        Returns:
            (N, 1, ...).
        """
        return (len(x), *(1,) * (x.ndim - 1))


class DropConnectLinear(nn.Linear):
    r"""A linear layer that drops its weights in training, anew for each example.

    .. math::
        y_n = \frac{1}{1-p}\,(M_n \odot W)\,x_n + b .

    Evaluation uses W, the mean. (The paper instead samples the pre-activation from a Gaussian with
    the moments that the masks give it.)

    Args:
        in_features: size of an input.
        out_features: size of an output.
        p: probability that a weight is dropped, in [0, 1).
        bias: whether there is a bias, which is never dropped.
        generator: source of the masks, on any device; None takes torch's global generator.

    Raises:
        ValueError: ``p`` lies outside [0, 1).

    Shape:
        - Input: (N, in_features).
        - Output: (N, out_features); in training an intermediate has N * out_features * in_features
          values.

    Source:
        Wan et al. (2013).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.p, self.generator = check_drop_probability(p), generator

    def forward(self, x: Tensor) -> Tensor:
        """Apply a network of random connections in training mode, the mean one in evaluation."""
        if not self.training or self.p == 0:
            return F.linear(x, self.weight, self.bias)
        mask = draw_mask((len(x), *self.weight.shape), self.p, x, self.generator)
        y = torch.einsum("noi,oi,ni->no", mask, self.weight, x)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return the arguments that ``print(layer)`` shows."""
        return f"{super().extra_repr()}, p={self.p}"


def check_drop_probability(p: float) -> float:
    """Return ``p`` if it is a probability below 1.

    Args:
        p: the probability that something is dropped.

    Returns:
        ``p`` as it is.

    Raises:
        ValueError: ``p`` lies outside [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(
            f"p is {p!r}; it is the probability to drop a value and must lie in [0, 1)"
        )
    return p


def draw_mask(
    shape: tuple[int, ...], p: float, like: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a mask that is 0 with probability p and 1 / (1 - p) otherwise.

    Args:
        shape: of the mask.
        p: the probability of 0, in [0, 1).
        like: a tensor whose type and device the mask gets.
        generator: source of the draws, on any device; None takes torch's global generator.

    Returns:
        The mask, with expectation 1.
    """
    device = like.device if generator is None else generator.device
    mask = torch.empty(shape, dtype=like.dtype, device=device)
    mask.bernoulli_(1 - p, generator=generator).div_(1 - p)
    return mask.to(like.device)


#: Layers that are random in training mode and hold no statistics.
DROPOUTS = (
    Dropout,
    DropConnectLinear,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


@contextmanager
def monte_carlo_dropout(model: nn.Module) -> Iterator[None]:
    """Keep dropout random while everything else, norms included, is in evaluation mode.

    Each forward pass inside the context is a draw from the random networks that dropout makes. At
    the end every module is back in the mode that it was in.

    Args:
        model: any module.

    Raises:
        ValueError: the model has no dropout, so that all draws would be the same.

    Source:
        Gal & Ghahramani (2016), section 4.
    """
    layers = [module for module in model.modules() if isinstance(module, DROPOUTS)]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no dropout layer, so every draw would be the same; "
            f"these count: {', '.join(layer.__name__ for layer in DROPOUTS)}"
        )
    with modes_restored(model):
        model.eval()
        for layer in layers:
            layer.train()
        yield
