"""Keeping the weights of trained networks in half precision, small enough to ship."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from ...renaming import replace_whole


def weights_file(folder: str | Path, experiment: str, arm: str, seed: int) -> Path:
    """Name the file for the weights of a run.

    Args:
        folder: where the weights are.
        experiment: the name of the experiment.
        arm: the name of the arm.
        seed: the seed of the run.

    Returns:
        The file; it need not exist.
    """
    return Path(folder) / f"{experiment}, {arm}, seed {seed}, weights.pt"


def save_weights(model: nn.Module, path: str | Path) -> str:
    """Save a network's state with its floating-point tensors in half precision.

    A parameter takes two bytes instead of four, and a relative error of at most 2^-11.

    Args:
        model: the trained network; it is not changed.
        path: the file; one that exists is replaced.

    Returns:
        The SHA-256 checksum of the file, in hexadecimal.

    Raises:
        OSError: the file cannot be written; one that was there is as it was.
        ValueError: a weight is not finite in half precision, whose largest number is 65,504.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        kept = tensor.detach().cpu()
        if kept.is_floating_point():
            kept = kept.half()
            if not kept.isfinite().all():
                raise ValueError(
                    f"{name} is not finite in half precision, so the weights are not saved; its "
                    f"largest magnitude is {tensor.abs().max().item():g}"
                )
        state[name] = kept.clone()
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    torch.save(state, part)
    checksum = hashlib.sha256(part.read_bytes()).hexdigest()
    replace_whole(part, path)
    return checksum
