"""What the families of models share: the choice of a stem, depths, and initialization."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from ..blocks import Norm

#: ``"imagenet"``: a 7x7 convolution of stride 2 and a max pooling; ``"cifar"``: a 3x3 convolution.
STEMS = ("imagenet", "cifar")


def he_initialization(model: nn.Module) -> None:
    """Initialize all 2-D convolutions by fan-out, as He et al. (2015) and torchvision do.

    Norms need nothing, because they start as the identity.

    Args:
        model: The network whose weights are drawn, from torch's global generator.

    Source:
        He et al. (2015), section 2.2, equation 14.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def blocks_of_depth(depth: int, per_block: int, extra: int, stages: int = 3) -> int:
    """Compute the blocks per stage of a network for CIFAR: depth = stages * per_block * n + extra.

    Args:
        depth: Number of layers, as the paper counts them.
        per_block: Layers per block.
        extra: Layers outside of the blocks.
        stages: Number of stages.

    Returns:
        The number n of blocks per stage.

    Raises:
        ValueError: No n fits; the message names depths that do.
    """
    step = stages * per_block
    n, rest = divmod(depth - extra, step)
    if rest or n < 1:
        below = max(n, 1) * step + extra
        raise ValueError(
            f"depth is {depth}; this family needs {step}n + {extra} layers, such as {below} "
            f"or {below + step}"
        )
    return n


def check_stages(layers: Sequence[int], widths: Sequence[int]) -> None:
    """Check that every stage has a number of blocks and a width.

    Args:
        layers: Blocks per stage.
        widths: Channels per stage.

    Raises:
        ValueError: One has more entries than the other, or a stage has no block.
    """
    if len(layers) != len(widths):
        raise ValueError(
            f"layers has {len(layers)} entries, {tuple(layers)}, and widths has {len(widths)}, "
            f"{tuple(widths)}; give both one entry per stage"
        )
    if min(layers, default=0) < 1:
        raise ValueError(f"layers is {tuple(layers)}; every stage must have 1 block or more")


def check_choice(what: str, given: str, allowed: Iterable[str]) -> None:
    """Check that an argument is one of a few words.

    Args:
        what: Name of the argument, for the message.
        given: Its value.
        allowed: The values that it may have.

    Raises:
        ValueError: ``given`` is none of them; the message lists them.
    """
    if given not in allowed:
        raise ValueError(f"{what} is {given!r}; it must be one of {', '.join(map(repr, allowed))}")


def check_probability(what: str, given: float) -> None:
    """Check that an argument is the probability of dropping something.

    Args:
        what: Name of the argument, for the message.
        given: Its value.

    Raises:
        ValueError: It lies outside [0, 1).
    """
    if not 0 <= given < 1:
        raise ValueError(f"{what} is {given}; it is the probability of dropping a unit, in [0, 1)")


def check_image_size(x: Tensor, network: str, smallest: int, exactly: bool = False) -> None:
    """Check that images are large enough for all poolings and strides of a network.

    Args:
        x: A batch of images, (N, C, H, W).
        network: Name of the network, for the message.
        smallest: The smallest height and width, in pixels.
        exactly: Whether no other size fits, because fully connected layers read every position.

    Raises:
        ValueError: The images are too small, or have another size than the only one that fits.
    """
    height, width = x.shape[-2:]
    if min(height, width) < smallest or (exactly and max(height, width) > smallest):
        raise ValueError(
            f"the images are {height} x {width}; {network} needs {smallest} x {smallest}"
            f"{'' if exactly else ' or more'}. Resize them, for example by F.interpolate."
        )


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    norm: Norm = nn.BatchNorm2d,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Make a convolution without bias, its norm, and an activation.

    The layers are numbered like those of torchvision's ``Conv2dNormActivation``.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the kernel, an odd number.
        stride: Step between positions.
        groups: Groups of channels that are convolved separately; ``in_channels`` of them make the
            convolution depthwise.
        norm: Makes a norm from a number of channels.
        activation: Makes the activation; None leaves it out.

    Returns:
        Layers that map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride), rounded
        up.
    """
    conv = nn.Conv2d(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, norm(out_channels), *([activation()] if activation else []))


def multiple_of_8(channels: float) -> int:
    """Round a number of channels to a multiple of 8 that is at least 90 % of it.

    Args:
        channels: The number, not rounded yet.

    Returns:
        The nearest multiple of 8, or the next one if that is less than 90 % of ``channels``.

    Source:
        The rule of the authors' code for MobileNet v2 and EfficientNet (``_make_divisible``).
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
