"""Run a notebook that nobody has read: in a box, within limits, and with a report of what it tried.

The box is bubblewrap's: no network, a read-only system, a private home and ``/tmp``, its own process
numbers, and of the course's files only what is handed in. The kernel talks to the grader through Unix
sockets in one folder, which is the only thing that the two share.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

#: Read-only in the box, where they exist. Not ``/``: that would show the gradebook and other submissions.
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/sbin", "/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs", "/etc/fonts")
HANDED_IN, WORK = "/handed-in", "/tmp/work"


class NoSandbox(RuntimeError):
    """There is no sandbox on this machine, and nobody said that none is wanted."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        memory: bytes, of all its processes together.
        processes: at the same time.
        disk: bytes it may write, in memory-backed folders that vanish with it.
        cell_seconds, notebook_seconds: of execution.
        output: bytes of text and pictures of all cells.
    """

    memory: int = 4 * 2**30
    processes: int = 256
    disk: int = 512 * 2**20
    cell_seconds: float = 120.0
    notebook_seconds: float = 900.0
    output: int = 2 * 2**20


@dataclass
class Incident:
    """Something that an instructor should know of: where (cell index, or -1), what kind, in words."""

    cell: int
    kind: str
    message: str


@dataclass
class Trace:
    """What happened: incidents in order, seconds, the largest use of memory in bytes and of processes."""

    incidents: list[Incident] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0
    processes: int = 0


def available() -> str:
    """Why there is no sandbox here; empty if there is one."""
    if sys.platform != "linux":
        return f"the sandbox needs Linux; this is {sys.platform}"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt install bubblewrap)"
    return ""


def command(run: Path, work: Path, limits: Limits, environment: Mapping[str, str]) -> list[str]:
    """What stands before the kernel's own command.

    Args:
        run: folder of the connection file and the sockets.
        work: the submission's own files; copied to ``WORK`` in the box.
        limits: of disk; the others are kept from outside.
        environment: all that the kernel sees of it.
    """
    import resnorm

    readable = [*SYSTEM, os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix, str(Path(resnorm.__file__).parent)]
    argv = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "box"]
    argv += ["--size", str(limits.disk), "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]
    for path in dict.fromkeys(readable):
        argv += ["--ro-bind-try", path, path]
    argv += ["--bind", str(run), str(run), "--ro-bind", str(work), HANDED_IN, "--dir", WORK, "--chdir", WORK, "--clearenv"]
    for key, value in environment.items():
        argv += ["--setenv", key, value]
    # the files are copied inside, so that what is written counts towards the size of /tmp
    return [*argv, "--", "/bin/sh", "-c", 'cp -r "$0/." . && exec "$@"', HANDED_IN]


class Watchdog(threading.Thread):
    """Look at a process and its descendants twenty times a second; kill all when they take too much."""

    def __init__(self, pid: int, limits: Limits, trace: Trace):
        super().__init__(daemon=True)
        self.root, self.limits, self.trace = psutil.Process(pid), limits, trace
        self.verdict: Incident | None = None
        self.finished = threading.Event()

    def run(self) -> None:
        while not self.finished.wait(0.05):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.Error:
                return
            memory = 0
            for process in family:
                try:
                    memory += process.memory_info().rss - process.memory_info().shared
                except psutil.Error:
                    continue  # it ended meanwhile
            self.trace.memory = max(self.trace.memory, memory)
            self.trace.processes = max(self.trace.processes, len(family))
            if memory > self.limits.memory:
                self.verdict = Incident(-1, "memory", f"stopped at {memory / 2**30:.1f} GiB of memory; {self.limits.memory / 2**30:.1f} are allowed")
            elif len(family) > self.limits.processes:
                self.verdict = Incident(-1, "processes", f"stopped at {len(family)} processes; {self.limits.processes} are allowed")
            if self.verdict:
                self.root.send_signal(signal.SIGKILL)  # the first process of a PID namespace takes all others with it
                return


class _BoxedKernelManager(AsyncKernelManager):
    """Starts the kernel of a given specification, whatever a notebook asks for."""

    boxed: KernelSpec | None = None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        return self.boxed


async def execute(
    notebook: nbformat.NotebookNode,
    files: Iterable[Path] = (),
    limits: Limits = Limits(),
    *,
    environment: Mapping[str, str] | None = None,
    unsafe: bool = False,
) -> Trace:
    """Execute the cells of a notebook in place; errors in cells are outputs, everything else is an incident.

    Args:
        notebook: its outputs are replaced.
        files: copied into the working folder of the box.
        limits: see there.
        environment: added to the little that the kernel sees.
        unsafe: run without a box where there is none.

    Returns:
        What happened, besides the outputs.

    Raises:
        NoSandbox: none here, and not ``unsafe``.
    """
    reason = available()
    if reason and not unsafe:
        raise NoSandbox(f"{reason}. Code that nobody has read would run with your rights. --unsafe runs it all the same.")
    trace, start = Trace(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="box") as folder:
        run, work = Path(folder, "run"), Path(folder, "work")
        run.mkdir(), work.mkdir()
        for file in files:
            shutil.copy(file, work)
        seen = {"HOME": WORK, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"} | dict(environment or {})
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.hist_file=:memory:"]
        manager = _BoxedKernelManager(transport="ipc", ip=str(run / "k"), connection_file=str(run / "kernel.json"))
        manager.boxed = KernelSpec(argv=[*([] if reason else command(run, work, limits, seen)), *kernel], display_name="box", language="python")
        # ipykernel takes the process that JPY_PARENT_PID names for its parent, finds none in the box, and stops
        await manager.start_kernel(env={key: value for key, value in os.environ.items() if key != "JPY_PARENT_PID"}, cwd=str(work))
        watchdog = Watchdog(manager.provisioner.process.pid, limits, trace)
        watchdog.start()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=60)
            await _run_cells(notebook, manager, client, limits, trace, watchdog, start)
        except RuntimeError as problem:
            trace.incidents.append(Incident(-1, "kernel", f"the kernel did not start: {problem}"))
        finally:
            watchdog.finished.set()
            client.stop_channels()
            await manager.shutdown_kernel(now=True)
            await manager.cleanup_resources()
    trace.seconds = time.monotonic() - start
    return trace


class _Runner(NotebookClient):
    """Kills the kernel when the outputs of all cells grow beyond a limit, while they come."""

    def limit(self, size: int, kill) -> None:
        self.left, self.kill = size, kill

    def process_message(self, msg, cell, cell_index):
        self.left -= len(str(msg["content"]))
        if self.left < 0:
            self.kill()
            cell.outputs = []
            return None
        return super().process_message(msg, cell, cell_index)


async def _run_cells(notebook, manager, client, limits, trace, watchdog, start) -> None:
    runner = _Runner(notebook, km=manager, timeout=int(limits.cell_seconds), allow_errors=True, interrupt_on_timeout=False)
    runner.limit(limits.output, lambda: watchdog.root.send_signal(signal.SIGKILL))
    runner.kc = client
    runner.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if time.monotonic() - start > limits.notebook_seconds:
            trace.incidents.append(Incident(index, "time", f"the notebook was stopped after {limits.notebook_seconds:.0f} s"))
            return
        try:
            await runner.async_execute_cell(cell, index, store_history=False)
        except CellTimeoutError:
            trace.incidents.append(Incident(index, "time", f"stopped after {limits.cell_seconds:.0f} s"))
            return
        except DeadKernelError:
            if runner.left < 0:
                cell.outputs = []
                trace.incidents.append(Incident(index, "output", f"stopped: more than {limits.output:,} bytes of output"))
                return
            why = watchdog.verdict or Incident(index, "crash", "the kernel ended in this cell (os._exit, a crash, or a kill)")
            trace.incidents.append(Incident(index, why.kind, why.message))
            return


def run(notebook: nbformat.NotebookNode, *args, **kwargs) -> Trace:
    """:func:`execute`, from code that is not asynchronous."""
    return asyncio.run(execute(notebook, *args, **kwargs))
