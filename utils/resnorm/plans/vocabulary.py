"""The layers of a plan, one function each; together they are the whole vocabulary."""

from __future__ import annotations

from typing import Any

#: A layer: its kind under ``"layer"``, and its options; all of them plain values.
Layer = dict[str, Any]
#: Layers in the order in which they run.
Plan = list[Layer]


def conv(out: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False) -> Layer:
    """Convolve with a square kernel, padded with ``kernel // 2`` zeros on each side.

    Args:
        out: number of output channels.
        kernel: side of the kernel, in pixels.
        stride: of the output.
        groups: number of groups of channels; as many as there are channels make it depthwise.
        bias: whether there is a bias.

    Returns:
        The layer.

    Shape:
        (N, C, H, W) -> (N, out, H', W').
    """
    options = {"out": out, "kernel": kernel, "stride": stride, "groups": groups, "bias": bias}
    return {"layer": "conv", **options}


def batch_norm() -> Layer:
    """Normalize each channel by batch statistics, then scale and shift it.

    Returns:
        The layer.
    """
    return {"layer": "batch_norm"}


def group_norm(groups: int = 1) -> Layer:
    """Normalize each example over groups of channels, then scale and shift each channel.

    Args:
        groups: number of groups; 1 normalizes over all channels together.

    Returns:
        The layer.
    """
    return {"layer": "group_norm", "groups": groups}


def relu() -> Layer:
    """Replace negative values by 0.

    Returns:
        The layer.
    """
    return {"layer": "relu"}


def gelu() -> Layer:
    """Multiply each value by the normal distribution's function of it.

    Returns:
        The layer.
    """
    return {"layer": "gelu"}


def silu() -> Layer:
    """Multiply each value by its sigmoid.

    Returns:
        The layer.
    """
    return {"layer": "silu"}


def sigmoid() -> Layer:
    """Map each value to between 0 and 1.

    Returns:
        The layer.
    """
    return {"layer": "sigmoid"}


def max_pool(kernel: int = 2, stride: int = 2) -> Layer:
    """Take the largest value of each window; a kernel of 1 subsamples.

    Args:
        kernel: side of the window, in pixels, without padding.
        stride: of the output.

    Returns:
        The layer.
    """
    return {"layer": "max_pool", "kernel": kernel, "stride": stride}


def avg_pool(kernel: int = 2, stride: int = 2) -> Layer:
    """Average over each window.

    Args:
        kernel: side of the window, in pixels, without padding.
        stride: of the output.

    Returns:
        The layer.
    """
    return {"layer": "avg_pool", "kernel": kernel, "stride": stride}


def global_pool() -> Layer:
    """Average each channel over all positions.

    Returns:
        The layer.

    Shape:
        (N, C, H, W) -> (N, C, 1, 1).
    """
    return {"layer": "global_pool"}


def pad_channels(out: int) -> Layer:
    """Append channels of zeros, as shortcut A of He et al. (2016a) does.

    Args:
        out: number of output channels, at least as many as come in.

    Returns:
        The layer.

    Shape:
        (N, C, H, W) -> (N, out, H, W).
    """
    return {"layer": "pad_channels", "out": out}


def dropout(p: float = 0.5) -> Layer:
    """Set values to 0 at random in training; in evaluation, do nothing.

    Args:
        p: fraction of the values, from 0 to 0.95.

    Returns:
        The layer.
    """
    return {"layer": "dropout", "p": p}


def linear(out: int, bias: bool = True) -> Layer:
    """Multiply all values of an example by a matrix.

    Args:
        out: number of outputs.
        bias: whether there is a bias.

    Returns:
        The layer.

    Shape:
        (N, C, H, W) -> (N, out, 1, 1).
    """
    return {"layer": "linear", "out": out, "bias": bias}


def add(*branches: Plan) -> Layer:
    """Add the outputs of branches, which all get the same input.

    Args:
        *branches: plans; an empty one is the identity.

    Returns:
        The layer.
    """
    return {"layer": "add", "branches": list(branches)}


def concat(*branches: Plan) -> Layer:
    """Concatenate the channels of branches, which all get the same input.

    Args:
        *branches: plans; an empty one is the identity.

    Returns:
        The layer.
    """
    return {"layer": "concat", "branches": list(branches)}


def multiply(*branches: Plan) -> Layer:
    """Multiply the outputs of branches, which all get the same input.

    Args:
        *branches: plans; an empty one is the identity. An output of one pixel scales whole
            channels, as in squeeze-and-excitation.

    Returns:
        The layer.
    """
    return {"layer": "multiply", "branches": list(branches)}
