"""The blocks of DenseNet, which concatenate where residual blocks add (Huang et al. 2017)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .layers import Norm, conv1x1, conv3x3
from .repetition import Repetition


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution (the optional bottleneck), norm, ReLU, 3x3 convolution.

    Args:
        in_channels: Channels of all earlier feature maps together.
        growth_rate: Channels that this layer adds, called k.
        bottleneck: Whether a 1x1 convolution reduces the input to 4k channels first (the B in
            DenseNet-BC).
        norm: Makes a norm from a number of channels.
        checkpointed: Whether to recompute concatenation, norm and first convolution in the
            backward pass instead of keeping their outputs, whose memory grows with the square of
            the depth (Pleiss et al. 2017). Under ``torch.compile`` the norm must compile to one
            graph, which :class:`resnorm.norms.BatchRenorm2d` and ``momentum=None`` do not; such a
            norm would count its batch twice.

    Shape:
        List of (N, channels_i, H, W), where the channels_i add up to in_channels ->
        (N, growth_rate, H, W).

    Source:
        Huang et al. (2017), section 3.
    """

    def __init__(
        self, in_channels: int, growth_rate: int, bottleneck: bool, norm: Norm, checkpointed: bool
    ):
        super().__init__()
        width = 4 * growth_rate if bottleneck else in_channels
        self.norm1 = norm(in_channels)
        if bottleneck:
            self.conv1 = conv1x1(in_channels, width)
            self.norm2 = norm(width)
            self.conv2 = conv3x3(width, growth_rate)
        else:
            self.conv1 = conv3x3(in_channels, growth_rate)
        self.bottleneck, self.checkpointed = bottleneck, checkpointed

    def forward(self, features: list[Tensor]) -> Tensor:
        """Compute the new feature maps from all earlier ones."""
        if self.checkpointed and self.training:
            # Compiled code repeats no write to a buffer, and accepts no contexts.
            contexts: dict[str, Any] = (
                {} if torch.compiler.is_compiling() else {"context_fn": self.contexts}
            )
            out = checkpoint(self.read, *features, use_reentrant=False, **contexts)
        else:
            out = self.read(*features)
        if not self.bottleneck:
            return out
        out = F.relu(self.norm2(out))
        return self.conv2(out)

    def read(self, *features: Tensor) -> Tensor:
        """Concatenate, normalize and convolve: the part that is large to keep.

        With a bottleneck, whose convolution is 1x1, it is also fairly cheap to repeat.

        Args:
            *features: Earlier feature maps, (N, channels_i, H, W) each.

        Returns:
            (N, 4 * growth_rate, H, W) with a bottleneck, (N, growth_rate, H, W) without.
        """
        x = torch.cat(features, 1)  # -> (N, in_channels, H, W)
        x = F.relu(self.norm1(x))
        return self.conv1(x)

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Make the contexts of the forward pass, which is about to begin, and of its repetition.

        The repetition draws the same noise, where the norm draws any, and does not count the batch
        in the running statistics a second time.

        Returns:
            A context manager for each of the two.
        """
        return nullcontext(), Repetition(self.norm1)


class DenseBlock(nn.ModuleDict):
    """Layers that each read the block's input and the outputs of all layers before them.

    Args:
        modules: Layers by name, of :class:`DenseLayer`, in order; more can be added by key.

    Shape:
        (N, in_channels, H, W) -> (N, in_channels + len(self) * growth_rate, H, W).

    Source:
        Huang et al. (2017), equation 2.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the input and the outputs of all layers."""
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)
