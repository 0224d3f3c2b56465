"""One process at a time changes a record."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

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
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    name = Path(tempfile.gettempdir(), f"resnorm-{digest}.lock")
    lock = FileLock(name, timeout=PATIENCE, mode=0o666)  # other users of the machine may lock, too
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
