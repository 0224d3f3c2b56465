"""How much memory some processes use together, as an ordinary user can measure it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

#: How ``/proc/PID/maps`` names memory that processes share and that is no file of the box. It is
#: held as long as somebody maps it, even where none of its pages shows in any process.
SHARED = ("/dev/zero (deleted)", "/memfd:", "/SYSV")


def memory_in_use(processes: Iterable[psutil.Process], limit: int) -> int:
    """Measure the memory of some processes.

    The sum of their resident memory is quick to get, but counts what forked processes share once
    for each of them. Only where that sum exceeds the limit are shared pages counted once. What is
    written to the box's file systems is not counted, because those have limits of their own.

    Args:
        processes: those to measure. One that has ended counts nothing.
        limit: bytes above which the exact number is needed.

    Returns:
        Bytes.
    """
    folders = [Path(f"/proc/{process.pid}") for process in processes]
    shared = _shared(folders)
    total = shared + sum(_own(folder / "status", "RssAnon", "RssFile") for folder in folders)
    if total <= limit:
        return total
    return shared + sum(_own(folder / "smaps_rollup", "Pss_Anon", "Pss_File") for folder in folders)


def _own(file: Path, *names: str) -> int:
    """The sum of these lines of a file of ``/proc``, in bytes."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(":")
            if name in names:
                total += 1024 * int(value.split()[0])
    return total


def _shared(folders: Iterable[Path]) -> int:
    """Bytes of the memory that processes share, each piece once and as large as it can become."""
    pieces: dict[str, int] = {}
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            for line in (folder / "maps").read_text(errors="replace").splitlines():
                if not any(name in line for name in SHARED):
                    continue
                # 7f2c1a000000-7f2c1b000000 rw-s 00000000 00:01 1234   /dev/zero (deleted)
                addresses, rights, start, _, inode, _ = line.split(maxsplit=5)
                if rights.endswith("s"):
                    first, last = (int(address, 16) for address in addresses.split("-"))
                    end = int(start, 16) + last - first
                    pieces[inode] = max(pieces.get(inode, 0), end)
    return sum(pieces.values())
