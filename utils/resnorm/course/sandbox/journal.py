"""The journal of a kernel, as the grader reads it while the kernel runs.

What is read between the request for a call and its reply happened during the call, or beside it,
and this is measured outside of the box. A submission can write into the journal, too.
"""

from __future__ import annotations

import json
import os
import select
import threading

from .incidents import Incident

#: What stands beside the names of what was used if a part of the use could not be seen.
UNSEEN = "(unseen)"
#: Audit events: that ``observation`` is there, with what the hook keeps and the code of
#: ``observed``; that an observation begins; and what is used, with its name.
LOADED, BEGUN, USED = "resnorm.loaded", "resnorm.observed", "resnorm.used"
#: Bytes after which nothing more is read from a journal.
MAX_BYTES = 32 * 2**20
#: Number of different entries of a kind that are kept, and the length of a line.
MAX_ENTRIES, MAX_LINE = 20, 1000


class Journal:
    """A pipe into which the kernel writes, and what was read from it.

    Attributes:
        theirs: number of the open file that takes the journal; the kernel inherits it.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe()
        # A full journal must neither stop the kernel nor, at its end, the grader.
        for file in (self._ours, self.theirs):
            os.set_blocking(file, False)
        self._lock, self._thread = threading.Lock(), threading.Thread(target=self._go, daemon=True)
        self._read_bytes, self._rest = 0, b""
        self._reached: dict[str, None] = {}
        self._used: set[str] = set()

    def started(self) -> None:
        """Close what the kernel has now, and read what it writes."""
        os.close(self.theirs)
        self.theirs = -1
        self._thread.start()

    def used(self) -> set[str]:
        """Take the names of what was used since this was asked last.

        ``UNSEEN`` is one of them if there was more than is kept.
        """
        with self._lock:
            self._read()
            used, self._used = self._used, set()
        return used | {UNSEEN} if self._read_bytes >= MAX_BYTES else used

    def reached(self) -> list[Incident]:
        """List the attempts to reach outside of the box, each once."""
        with self._lock:
            self._read()
        return [Incident(-1, "reach", message) for message in self._reached]

    def close(self) -> None:
        """Close everything. The thread ends when the last one who writes has ended."""
        with self._lock:
            for file in (self._ours, self.theirs):
                if file >= 0:
                    os.close(file)
            self._ours = self.theirs = -1

    def _go(self) -> None:
        """Keep the pipe from filling up."""
        while True:
            with self._lock:
                if self._ours < 0 or not self._read():
                    return
                waiting = select.poll()
                waiting.register(self._ours, select.POLLIN)
            waiting.poll(200)  # milliseconds, after which the pipe may be closed

    def _read(self) -> bool:
        """Read what is there. Return whether more can come."""
        while self._ours >= 0 and self._read_bytes < MAX_BYTES:
            try:
                part = os.read(self._ours, 2**16)
            except BlockingIOError:
                return True
            if not part:
                return False
            self._read_bytes += len(part)
            *lines, self._rest = (self._rest + part).split(b"\n")
            self._rest = self._rest[:MAX_LINE]
            for line in lines:
                self._enter(line)
        return False

    def _enter(self, line: bytes) -> None:
        """Keep one entry, which may be anything."""
        try:
            entry = json.loads(line[:MAX_LINE])
            if "used" in entry:
                full = len(self._used) >= MAX_ENTRIES
                self._used.add(UNSEEN if full else str(entry["used"])[:80])
            elif "message" in entry and len(self._reached) < MAX_ENTRIES:
                self._reached[str(entry["message"])[:200]] = None
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
