"""What a run was made on: hardware, versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def hardware() -> str:
    """Describe the processor and the accelerator, without the names of machines.

    Returns:
        One line, such as "some CPU, 2 cores, 2 threads; no GPU".
    """
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {cores} cores, {torch.get_num_threads()} threads; {device}"


def versions() -> dict[str, str]:
    """Look up the versions of Python, torch, torchvision and NumPy.

    Returns:
        Name -> version, or ``"not installed"``.
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Look up the commit of the checkout that the package is part of.

    Returns:
        Twelve digits, followed by ``+changes`` if files of the package differ from the commit;
        ``unknown`` outside of a checkout.
    """
    try:
        head = _git("rev-parse", "HEAD").strip()
        changed = _git("status", "--porcelain", "--", ".").strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True).stdout
