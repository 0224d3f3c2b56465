"""What a grading process that was killed could not remove: folders of boxes, and control groups."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

#: Seconds after which nothing of a run is in use. A folder may be that of a process which cannot be
#: seen from here, because it runs in another container.
AGE = 24 * 3600.0


def left_over(folder: Path, prefix: str) -> Iterator[Path]:
    """Find the folders of this user whose process has ended and which are a day old.

    Args:
        folder: where they are.
        prefix: what their names begin with, before the number of the process and a hyphen.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            named = re.match(rf"{re.escape(prefix)}(\d{{1,9}})-", path.name)
            if named and not psutil.pid_exists(int(named[1])):
                about = path.lstat()
                is_ours = about.st_uid == os.getuid() and path.is_dir() and not path.is_symlink()
                if is_ours and time.time() - about.st_mtime > AGE:
                    yield path
