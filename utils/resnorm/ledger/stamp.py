"""What a run was made on: hardware, versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PACKAGE = Path(__file__).resolve().parent.parent
#: The records that the chapters draw from. They are part of the package, so that a single notebook
#: in Colab has them.
RESULTS = PACKAGE / "results"


def hardware(device: str | torch.device = "cpu") -> str:
    """Describe the processor and the accelerator, without the names of machines.

    Args:
        device: what the run used. An accelerator that it did not use is not mentioned.

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
    device = torch.device(device)
    accelerator = "no GPU" if device.type == "cpu" else device.type
    if device.type == "cuda":
        accelerator = torch.cuda.get_device_name(device)
    return f"{model}, {cores} cores, {torch.get_num_threads()} threads; {accelerator}"


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
    """Look up the commit of the code that runs.

    It is looked up once per process: the files may change while a run trains, the code in memory
    does not. Records are results, not code, so a new one is no change.

    Returns:
        Twelve digits, followed by ``+changes`` if files of the package differ from the commit;
        ``unknown`` if the package is not part of a checkout.
    """
    return _commit(PACKAGE)


@cache
def _commit(package: Path) -> str:
    try:
        # An installed package may lie inside of another repository, which does not track it.
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        head = _git(package, "rev-parse", "HEAD").strip()
        code = [".", f":(exclude){RESULTS.name}"]
        changed = _git(package, "status", "--porcelain", "--untracked-files=all", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("+changes" if changed.strip() else "")


def _git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder, whatever repository a hook or a rebase has put first."""
    names = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    # Optional locks would disturb what the reader does in the same checkout meanwhile.
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout
