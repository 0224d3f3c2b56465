"""One file with the tensors of a data set, because thousands of images take long to read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch


def load_checked(path: str | Path) -> Any:
    """Load what ``torch.save`` saved, on the CPU, after comparing all checksums in the file.

    ``torch.load`` alone does not compare them, and would load a file in which bits have changed.

    Args:
        path: the file.

    Raises:
        Exception: of many types, if the file is damaged or was not written by ``torch.save``.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")
    return torch.load(path, weights_only=True, map_location="cpu")


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
        return dict(load_checked(path))
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
        with contextlib.suppress(OSError):  # in a read-only folder nothing can be removed, either
            part.unlink(missing_ok=True)


def fingerprint(root: Path, files: Iterable[Path]) -> str:
    """Describe files by names, sizes and times; it changes when one is added, removed or changed.

    A file that takes the place of another of the same size and time is not noticed: reading all
    files to find out would take as long as making the tensors again.

    Args:
        root: the folder that the names are relative to, so that the whole folder can be moved.
        files: the files; their order matters.
    """
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        entry = (path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()
