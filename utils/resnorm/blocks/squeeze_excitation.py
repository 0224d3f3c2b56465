"""Squeeze-and-excitation: a gate for each channel, computed from the whole image."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Multiply each channel by a number that depends on the means of all channels.

    Squeeze: global average pooling leaves one number per channel. Excitation: two linear maps with
    an activation in between turn these numbers into one gate per channel. The linear maps are 1x1
    convolutions with biases, and the names of the layers are those of torchvision's
    ``ops.SqueezeExcitation``, so that weights travel both ways.

    Args:
        in_channels: Channels of the input and of the output.
        squeeze_channels: Channels between the two linear maps, such as ``in_channels // 16``.
        activation: Makes the activation between the two linear maps.
        gate: Makes the activation that gives the gates, such as the sigmoid, with values in (0, 1).

    Raises:
        ValueError: A number of channels is below 1.

    Shape:
        (N, in_channels, H, W) -> (N, in_channels, H, W).

    Source:
        Hu, Shen & Sun (2018), section 3, equations 2 to 4.
    """

    def __init__(
        self,
        in_channels: int,
        squeeze_channels: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ):
        super().__init__()
        if min(in_channels, squeeze_channels) < 1:
            raise ValueError(
                f"in_channels is {in_channels} and squeeze_channels is {squeeze_channels}; both "
                "must be 1 or more, for example 256 and 16"
            )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, in_channels, 1)
        self.activation = activation()
        self.scale_activation = gate()

    def gates(self, x: Tensor) -> Tensor:
        """Compute the gates.

        Args:
            x: the input, (N, in_channels, H, W).

        Returns:
            A gate for each channel of each image, (N, in_channels, 1, 1).
        """
        z = self.avgpool(x)  # squeeze: (N, C, 1, 1)
        s = self.activation(self.fc1(z))  # (N, squeeze_channels, 1, 1)
        return self.scale_activation(self.fc2(s))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each channel by its gate."""
        return x * self.gates(x)
