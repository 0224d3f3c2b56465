"""Limits on time, memory and processes that are watched, which works everywhere."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import psutil

from .incidents import Incident, Trace, exceeded
from .limits import GiB, Limits
from .memory import memory_in_use

#: How much the grader itself may grow while it listens to one kernel, in bytes. A message is only
#: counted when it is complete, and what a kernel sends until then makes the grader grow.
GROWTH = GiB
#: Seconds within which a process stops that is told to, and what it is then.
SUSPENDING, STILL = 1.0, {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


class Watchdog(threading.Thread):
    """A thread that looks at a process and its descendants twenty times per second.

    It kills them all when they take more memory or more processes than the limits allow, and at the
    deadline, whatever else goes on in this process. ``incident`` says which limit was hit, and is
    None while none was.

    Args:
        pid: number of the process.
        limits: those of the submission.
        trace: its largest use of memory and processes is kept up to date.
        deadline: when it kills in any case, on the clock of ``time.monotonic``; None for never. It
            may be changed while the thread runs.
    """

    def __init__(self, pid: int, limits: Limits, trace: Trace, deadline: float | None = None):
        super().__init__(daemon=True)
        self.root, self.limits, self.trace = psutil.Process(pid), limits, trace
        self.deadline = deadline
        self.incident: Incident | None = None
        self.finished = threading.Event()
        self.grader = psutil.Process()
        self.before = self.grader.memory_info().rss

    def run(self) -> None:
        """Watch until ``finished`` is set, the process ends, or a limit is hit."""
        while not self.finished.wait(0.05):
            try:
                if found := self._late() or self._look():
                    self.stop(found)
            except psutil.NoSuchProcess:
                return
            except (psutil.Error, OSError):
                continue  # a process ended while it was looked at

    def _late(self) -> Incident | None:
        """Say that the deadline is over, if it is."""
        if self.deadline is None or time.monotonic() <= self.deadline:
            return None
        return exceeded("time", self.limits)

    def _look(self) -> Incident | None:
        """Measure once. Return the limit that is exceeded, if one is."""
        family = [self.root, *self.root.children(recursive=True)]
        memory = memory_in_use(family, self.limits.memory)
        self.trace.memory = max(self.trace.memory, memory)
        self.trace.processes = max(self.trace.processes, len(family))
        if memory > self.limits.memory:
            return exceeded("memory", self.limits)
        threads = 0
        for process in family:
            with contextlib.suppress(psutil.Error):
                threads += process.num_threads()
        if threads > self.limits.processes:
            return exceeded("processes", self.limits)
        if self.grader.memory_info().rss - self.before > GROWTH:
            return Incident(-1, "output", "stopped: more output than can be read in time")
        return None

    def last_look(self) -> Incident | None:
        """Look once more, at what the last turn of the thread came too early for.

        Returns:
            The limit that is exceeded, if one is and none was before.
        """
        with contextlib.suppress(psutil.Error, OSError):
            if self.incident is None:
                self.incident = self._look()
                return self.incident
        return None

    def stop(self, incident: Incident) -> None:
        """Kill the processes for a reason that was found elsewhere.

        Args:
            incident: the reason, which ``incident`` has from now on.
        """
        self.finished.set()
        self.incident = self.incident or incident
        self.kill()

    def kill(self) -> None:
        """Kill the processes."""
        kill_family(self.root)


def kill_family(root: psutil.Process) -> None:
    """Kill a process and its descendants. The first of a PID namespace takes all others with it.

    Args:
        root: the process. One that has ended already is no error.
    """
    # What a box has begun to start outlives its first process until it has asked the system to die
    # with it. So nothing may be started while the processes are listed.
    with contextlib.suppress(psutil.Error):
        root.suspend()
        end = time.monotonic() + SUSPENDING
        while root.status() not in STILL and time.monotonic() < end:
            time.sleep(0.001)
    with contextlib.suppress(psutil.Error):
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
