"""One process at a time changes a record."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

#: Seconds to wait for another process. Reading and writing a record takes some milliseconds.
PATIENCE = 60


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes of this machine from changing a file meanwhile.

    The lock is an empty file in the temporary folder, so that nothing appears beside the records,
    and so that their folder may be on a network. If it cannot be had, a warning says so: the
    results of a long training are not given up for it.

    Args:
        path: the file, which need not exist; a link is followed.
    """
    lock = _lock(path, PATIENCE)
    try:
        lock.acquire()
    except OSError as problem:  # a timeout is one, too
        warnings.warn(
            f"{path.name} is written without a lock ({problem}); "
            "a run that another process adds at the same moment could be lost",
            stacklevel=4,
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Claim a piece of work for this process, on this machine.

    Args:
        path: the file that the work is for, which need not exist; a link is followed.

    Raises:
        BlockingIOError: if another process has claimed it.
    """
    lock = _lock(path.with_name(f"{path.name}.claim"), 0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"another process is making runs for {path}. Wait for it, or choose another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path, patience: float) -> FileLock:
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    name = Path(tempfile.gettempdir(), f"resnorm-{digest}.lock")
    return FileLock(name, timeout=patience, mode=0o666)  # other users of the machine may lock, too
