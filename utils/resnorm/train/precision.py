"""The number format of the forward pass."""

from __future__ import annotations

import os
from pathlib import Path

import torch

#: The formats in which ``fit`` can compute the forward pass, by name.
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def best_precision(device: torch.device | str) -> str:
    """Return the precision in which this device is fast and training is safe.

    This is bfloat16 where the hardware multiplies in it: a GPU since Ampere, a CPU with AMX or
    AVX512-BF16. It is float16 on an older GPU, such as the T4; ``fit`` then scales the loss so that
    small gradients do not underflow. It is float32 everywhere else, because a CPU without such
    instructions emulates bfloat16, about ten times slower than float32. So does one that may not
    use them: the variable ``ONEDNN_MAX_CPU_ISA`` limits what convolutions use.

    Args:
        device: such as ``"cuda"`` or ``"cpu"``.

    Returns:
        A key of ``PRECISIONS``.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    native = {"amx_bf16", "avx512_bf16"} & cpu_flags()
    if device.type == "cpu" and native and _instructions_allowed():
        return "bfloat16"
    return "float32"


def cpu_flags() -> set[str]:
    """Return the words in Linux's description of the processor, such as its instruction sets.

    Returns:
        The words; none on other systems.
    """
    description = Path("/proc/cpuinfo")
    return set(description.read_text().split()) if description.exists() else set()


def _instructions_allowed() -> bool:
    """Tell whether oneDNN may use bfloat16 instructions, by the names that its limit can have."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    return limit in ("DEFAULT", "ALL") or any(name in limit for name in ("BF16", "FP16", "AMX"))


def autocast_for(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which ``fit`` computes the forward pass.

    Args:
        device: where the model is.
        precision: a key of ``PRECISIONS``; with ``"float32"`` the context changes nothing.

    Returns:
        A context manager that can be entered any number of times.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}, or auto"
        )
    enabled = precision != "float32"
    dtype = PRECISIONS[precision] if enabled else torch.bfloat16  # float32 is not an autocast type
    return torch.autocast(device.type, dtype, enabled=enabled)
