"""Memory: which batch would have fitted, and a setting that makes training on a CPU faster."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable

import torch
from torch import Tensor, nn


def smaller_batch_error(
    problem: torch.OutOfMemoryError,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    autocast: torch.autocast,
    loss: Callable[..., Tensor],
) -> torch.OutOfMemoryError:
    """Find a batch size whose training step fits into memory, by halving, and say so in an error.

    Args:
        problem: the error of the step that did not fit.
        model: parameters and running statistics are left as they are, gradients are dropped.
        images: (n, channels, height, width), the batch that did not fit.
        labels: of these images.
        autocast: the context of the forward pass.
        loss: of the model's output and the labels.

    Returns:
        The error to raise in place of ``problem``.
    """
    size, before = len(labels), copy.deepcopy(model.state_dict())
    problem.__traceback__ = None  # it holds the tensors that filled the memory
    while size > 1:
        size //= 2
        model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            with autocast:
                loss(model(images[:size]), labels[:size]).backward()
        except torch.OutOfMemoryError:
            continue
        model.zero_grad(set_to_none=True)
        model.load_state_dict(before)
        return torch.OutOfMemoryError(
            f"a training step with batch_size={len(labels)} does not fit into memory; "
            f"batch_size={size} does ({problem})"
        )
    return torch.OutOfMemoryError(
        f"a training step does not fit into memory, not even with one image ({problem})"
    )


def keep_freed_memory() -> bool:
    """Ask the C library to keep large blocks that are freed, so that the next step can reuse them.

    By default, glibc returns blocks of some megabytes to the system at once, and each training step
    then waits until the same pages are zeroed and mapped again. The only cost is that the process
    stays as large as its largest step.

    Returns:
        Whether the C library understood. It does on Linux with glibc; elsewhere nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # malloc.h
    return all(
        mallopt(*setting) == 1
        for setting in ((m_mmap_max, 0), (m_trim_threshold, 2**31 - 1), (m_top_pad, 2**26))
    )
