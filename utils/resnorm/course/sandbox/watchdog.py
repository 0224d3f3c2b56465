"""Limits on memory and processes that are watched, which works everywhere."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterable
from pathlib import Path

import psutil

from .incidents import Incident, Trace, memory_exceeded
from .limits import Limits


class Watchdog(threading.Thread):
    """A thread that looks at a process and its descendants twenty times per second.

    It kills them all when they take more memory or more processes than the limits allow.
    ``incident`` says which limit was hit, and is None while none was.

    Args:
        pid: number of the process.
        limits: those of the submission.
        trace: its largest use of memory and processes is kept up to date.
    """

    def __init__(self, pid: int, limits: Limits, trace: Trace):
        super().__init__(daemon=True)
        self.root, self.limits, self.trace = psutil.Process(pid), limits, trace
        self.incident: Incident | None = None
        self.finished = threading.Event()

    def run(self) -> None:
        """Watch until ``finished`` is set, the process ends, or a limit is hit."""
        while not self.finished.wait(0.05):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.Error:
                return
            memory = memory_in_use(family, self.limits.memory)
            self.trace.memory = max(self.trace.memory, memory)
            self.trace.processes = max(self.trace.processes, len(family))
            if memory > self.limits.memory:
                self.incident = memory_exceeded(self.limits)
            elif len(family) > self.limits.processes:
                too_many = f"stopped at {self.limits.processes} processes"
                self.incident = Incident(-1, "processes", too_many)
            if self.incident:
                self.kill()
                return

    def kill(self) -> None:
        """Kill the processes. The first one of a PID namespace takes all others with it."""
        with contextlib.suppress(psutil.Error):
            for process in [*self.root.children(recursive=True), self.root]:
                process.send_signal(signal.SIGKILL)


def memory_in_use(processes: Iterable[psutil.Process], limit: int) -> int:
    """Measure the memory of some processes.

    The sum of their resident memory is quick to get, but counts what forked processes share once
    for each of them. Only where that sum exceeds the limit are shared pages counted once.

    Args:
        processes: those to measure. One that has ended counts nothing.
        limit: bytes above which the exact number is needed.

    Returns:
        Bytes.
    """
    processes = list(processes)
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    if total <= limit:
        return total
    exact = 0
    for process in processes:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            exact += next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return exact
