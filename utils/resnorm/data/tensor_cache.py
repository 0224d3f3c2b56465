"""One file with the tensors of a data set, because thousands of images take long to read."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch


def load_tensors(path: Path) -> dict[str, Any] | None:
    """Load what :func:`save_tensors` saved.

    Args:
        path: the file.

    Returns:
        The values, or None if the file does not exist or is damaged, so that it must be made again.
    """
    if not path.exists():
        return None
    try:
        return torch.load(path, weights_only=True)
    except Exception as problem:  # a file cut short when the disk failed, or of another version
        warnings.warn(
            f"{path.name} could not be read ({type(problem).__name__}) and is made again",
            stacklevel=3,
        )
        return None


def save_tensors(values: dict[str, Any], path: Path) -> None:
    """Save values; if that fails, warn, leave nothing behind and go on, since only time is lost.

    Args:
        values: tensors and text, by name.
        path: the file; it is written under a temporary name first.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(values, part)
        os.replace(part, path)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as a RuntimeError
        warnings.warn(
            f"could not write {path.name} ({problem}); the images are used all the same",
            stacklevel=3,
        )
    finally:
        part.unlink(missing_ok=True)
