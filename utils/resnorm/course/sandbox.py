"""Run a notebook that nobody has read: in a box, within limits, and with a report of what it tried.

The box is bubblewrap's: no network, a read-only system, a private home and ``/tmp``, process numbers of
its own, and of the course's files only what is handed in. The kernel talks to the grader through Unix
sockets in one folder, which is the only thing that the two share.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from . import _boxed_kernel

#: Read-only in the box, where they exist. Not ``/``: that would show the gradebook and other submissions.
SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/fonts",
)
#: Of the box: files as handed in, what may be written, the working folder.
HANDED_IN, TMP = "/handed-in", "/tmp"
WORK = f"{TMP}/work"
GiB, MiB = 2**30, 2**20


class NoSandbox(RuntimeError):
    """There is no sandbox on this machine, and nobody said that none is wanted."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        memory: bytes, of all its processes together.
        processes: processes and threads at the same time.
        disk: bytes it may write, into memory that vanishes with it.
        cell_seconds, notebook_seconds: of execution.
        output: bytes of text and pictures of all cells together.
    """

    memory: int = 4 * GiB
    processes: int = 256
    disk: int = 512 * MiB
    cell_seconds: float = 120.0
    notebook_seconds: float = 900.0
    output: int = 4 * MiB


@dataclass(frozen=True)
class Incident:
    """Something that an instructor should know of.

    Attributes:
        cell: its index, or -1 where none is known.
        kind: ``"time"``, ``"memory"``, ``"processes"``, ``"disk"``, ``"output"``, ``"crash"``, ``"kernel"`` or ``"reach"``.
        message: in words.
    """

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


@functools.cache
def unavailable() -> str:
    """Why there is no sandbox here, and what to do; empty if there is one."""
    if sys.platform != "linux":
        return f"the sandbox needs Linux, and this is {sys.platform}: grade in a container or a virtual machine"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
    trial = [
        "bwrap",
        "--unshare-all",
        "--ro-bind",
        "/usr",
        "/usr",
        "--ro-bind-try",
        "/lib",
        "/lib",
        "--ro-bind-try",
        "/lib64",
        "/lib64",
    ]
    result = subprocess.run(
        [*trial, "--symlink", "usr/bin", "/bin", "--", "/usr/bin/true"],
        capture_output=True,
        text=True,
    )
    if result.returncode:
        return f"bubblewrap cannot make a box here ({result.stderr.strip()}): allow unprivileged user namespaces, or grade in a virtual machine"
    return ""


def require(unsafe: bool) -> bool:
    """Whether there is a sandbox; it is an error that there is none, unless that was said to be wanted.

    Raises:
        NoSandbox: none here, and not ``unsafe``.
    """
    reason = unavailable()
    if reason and not unsafe:
        raise NoSandbox(
            f"{reason}. Code that nobody has read would run with your rights; --unsafe grades all the same."
        )
    return not reason


def command(
    run: Path,
    work: Path,
    limits: Limits,
    environment: Mapping[str, str],
    joined: Iterable[Path] = (),
) -> list[str]:
    """What stands before the kernel's own command.

    Args:
        run: folder of the connection file and the sockets.
        work: the submission's own files; copied to ``WORK`` in the box.
        limits: of disk; the others are kept from outside.
        environment: all that the kernel sees of it.
        joined: ``cgroup.procs`` files of groups that the box belongs to.
    """
    package = str(Path(__file__).resolve().parents[1])
    readable = [*SYSTEM, os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix, package]
    box = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--hostname",
        "box",
    ]
    box += ["--size", str(limits.disk), "--tmpfs", TMP, "--dev", "/dev", "--proc", "/proc"]
    box += ["--size", str(16 * MiB), "--tmpfs", "/dev/shm"]
    for path in dict.fromkeys(readable):
        box += ["--ro-bind-try", path, path]
    box += [
        "--bind",
        str(run),
        str(run),
        "--ro-bind",
        str(work),
        HANDED_IN,
        "--dir",
        WORK,
        "--chdir",
        WORK,
        "--clearenv",
    ]
    box += [
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
    ]  # or what is written there would have no size
    for key, value in environment.items():
        box += ["--setenv", key, value]
    # the files are copied inside, so that what is written counts towards the size of /tmp
    box += ["--", "/bin/sh", "-c", 'cp -r "$0/." . && exec "$@"', HANDED_IN]
    groups = [str(path) for path in joined]
    if not groups:
        return box
    join = f'for group in {" ".join(f"${{{i}}}" for i in range(1, len(groups) + 1))}; do echo $$ > "$group"; done; shift {len(groups)}; exec "$@"'
    return ["/bin/sh", "-c", join, "join", *groups, *box]


class Groups:
    """Control groups with the limits of one submission, where this process may make any; else none.

    The kernel of the operating system keeps them, so that nothing grows faster than it is watched.
    """

    def __init__(self, limits: Limits):
        self.folders: list[Path] = []
        settings = {  # version 1 has a hierarchy for each controller, version 2 has one
            "memory": {"memory.limit_in_bytes": limits.memory + limits.disk, "memory.memsw.limit_in_bytes": limits.memory + limits.disk,
                       "memory.max": limits.memory + limits.disk, "memory.swap.max": 0},
            "pids": {"pids.max": limits.processes},
        }  # fmt: skip
        for controller, values in settings.items():
            try:
                self._make(controller, values)
            except OSError:
                continue  # the watchdog remains

    def _make(self, controller: str, values: Mapping[str, int]) -> None:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if controller not in controllers.split(",") and not (
                number == "0" and Path("/sys/fs/cgroup/cgroup.controllers").exists()
            ):
                continue
            parent = Path(
                "/sys/fs/cgroup", *([] if number == "0" else [controllers]), path.lstrip("/")
            )
            folder = parent / f"resnorm-{controller}-{os.getpid()}-{time.monotonic_ns()}"
            folder.mkdir()
            present = {name: value for name, value in values.items() if (folder / name).exists()}
            if not present:
                folder.rmdir()
                continue
            self.folders.append(folder)
            for name, value in present.items():
                (folder / name).write_text(str(value))
            return

    def joined(self) -> list[Path]:
        """The files that a process writes its number to, to belong to them."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def verdict(self, limits: Limits) -> tuple[str, str] | None:
        """Which limit was met, as kind and message."""
        for folder in self.folders:
            for name, key, kind, message in (
                (
                    "memory.oom_control",
                    "oom_kill ",
                    "memory",
                    f"stopped: more than {limits.memory / GiB:.1f} GiB of memory",
                ),
                (
                    "memory.events",
                    "oom_kill ",
                    "memory",
                    f"stopped: more than {limits.memory / GiB:.1f} GiB of memory",
                ),
                (
                    "pids.events",
                    "max ",
                    "processes",
                    f"stopped at {limits.processes} processes and threads",
                ),
            ):
                file = folder / name
                if file.exists() and any(
                    line.startswith(key) and int(line.split()[1])
                    for line in file.read_text().splitlines()
                ):
                    return kind, message
        return None

    def remove(self) -> None:
        for folder in self.folders:
            for _ in range(100):  # the last processes leave it a moment after they were killed
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.02)


def _memory(processes: Iterable[psutil.Process], limit: int) -> int:
    """Bytes of these processes; what forked ones share is counted once where the plain sum is too large."""
    total, exact = 0, 0
    processes = list(processes)
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended meanwhile
    if total <= limit:
        return total
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            exact += next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return exact


class Watchdog(threading.Thread):
    """Look at a process and its descendants twenty times a second; kill all when they take too much."""

    def __init__(self, pid: int, limits: Limits, trace: Trace):
        super().__init__(daemon=True)
        self.root, self.limits, self.trace = psutil.Process(pid), limits, trace
        self.verdict: tuple[str, str] | None = None
        self.finished = threading.Event()

    def run(self) -> None:
        while not self.finished.wait(0.05):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.Error:
                return
            memory = _memory(family, self.limits.memory)
            self.trace.memory = max(self.trace.memory, memory)
            self.trace.processes = max(self.trace.processes, len(family))
            if memory > self.limits.memory:
                self.verdict = (
                    "memory",
                    f"stopped: more than {self.limits.memory / GiB:.1f} GiB of memory",
                )
            elif len(family) > self.limits.processes:
                self.verdict = ("processes", f"stopped at {self.limits.processes} processes")
            if self.verdict:
                self.kill()
                return

    def kill(self) -> None:
        """The first process of a PID namespace takes all others with it."""
        try:
            for process in [*self.root.children(recursive=True), self.root]:
                process.send_signal(signal.SIGKILL)
        except psutil.Error:
            pass


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
        unsafe: run without a box where there is none. Time and output stay limited.

    Returns:
        What happened, besides the outputs.

    Raises:
        NoSandbox: none here, and not ``unsafe``.
    """
    boxed = require(unsafe)
    trace, start = Trace(), time.monotonic()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    groups = Groups(limits)
    # /tmp, not $TMPDIR: the name of a socket has at most 107 bytes
    with tempfile.TemporaryDirectory(
        prefix="box", dir="/tmp" if os.path.isdir("/tmp") else None
    ) as folder:
        run, work = Path(folder, "run"), Path(folder, "work")
        run.mkdir(), work.mkdir()
        for file in files:
            shutil.copy(file, work)
        seen = {
            "HOME": WORK if boxed else str(work),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
        }
        seen |= {
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        } | dict(environment or {})
        journal = run / "journal"
        kernel = [
            sys.executable,
            "-P",
            "-m",
            _boxed_kernel.__name__,
            str(journal),
            "-f",
            "{connection_file}",
        ]
        kernel += ["--HistoryManager.hist_file=:memory:"]
        manager = _BoxedKernelManager(
            transport="ipc", ip=str(run / "k"), connection_file=str(run / "kernel.json")
        )
        box = command(run, work, limits, seen, groups.joined()) if boxed else []
        manager.boxed = KernelSpec(argv=[*box, *kernel], display_name="box", language="python")
        # ipykernel takes the process that JPY_PARENT_PID names for its parent, finds none in the box, and stops
        outer = {key: value for key, value in os.environ.items() if key != "JPY_PARENT_PID"} | (
            {} if boxed else seen
        )
        with (Path(folder) / "stderr").open("w") as stderr:
            await manager.start_kernel(
                env=outer, cwd=str(work), stdout=subprocess.DEVNULL, stderr=stderr
            )
        watchdog = Watchdog(manager.provisioner.process.pid, limits, trace)
        watchdog.start()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=120)
            await _run_cells(notebook, manager, client, limits, trace, watchdog, groups, start)
        except RuntimeError as problem:
            said = (Path(folder) / "stderr").read_text(errors="replace").strip()[-300:]
            trace.incidents.append(
                Incident(-1, "kernel", f"the kernel did not start: {problem} {said}".strip())
            )
        finally:
            watchdog.finished.set()
            watchdog.kill()
            client.stop_channels()
            await manager.shutdown_kernel(now=True)
            await manager.cleanup_resources()
            groups.remove()
        trace.incidents += _reached(journal)
    trace.seconds = time.monotonic() - start
    return trace


def _reached(journal: Path, most: int = 20) -> list[Incident]:
    """What the kernel's audit hook wrote down: attempts to reach outside, each kind of attempt once."""
    seen: dict[str, Incident] = {}
    try:
        with journal.open("rb") as file:
            lines = file.read(256 * 1024).splitlines()  # a submission can write into it, too
    except OSError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
            message = str(entry["message"])[:200]
        except (ValueError, TypeError, KeyError):
            continue
        seen.setdefault(message, Incident(-1, "reach", message))
    return list(seen.values())[:most]


class _Runner(NotebookClient):
    """Kills the kernel when the outputs of all cells grow beyond a limit, while they come."""

    def limit(self, size: int, kill: Callable[[], None]) -> None:
        self.left, self.kill = size, kill

    def process_message(self, msg, cell, cell_index):
        self.left -= len(str(msg["content"]))
        if self.left < 0:
            self.kill()
            cell.outputs = []
            return None
        return super().process_message(msg, cell, cell_index)


async def _run_cells(notebook, manager, client, limits, trace, watchdog, groups, start) -> None:
    runner = _Runner(
        notebook,
        km=manager,
        timeout=int(limits.cell_seconds),
        allow_errors=True,
        interrupt_on_timeout=False,
    )
    runner.limit(limits.output, watchdog.kill)
    runner.kc = client
    runner.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        left = limits.notebook_seconds - (time.monotonic() - start)
        if left <= 0:
            trace.incidents.append(
                Incident(
                    index, "time", f"the notebook was stopped after {limits.notebook_seconds:.0f} s"
                )
            )
            return
        runner.timeout = max(1, int(min(limits.cell_seconds, left)))
        try:
            await runner.async_execute_cell(cell, index, store_history=False)
        except CellTimeoutError:
            trace.incidents.append(Incident(index, "time", f"stopped after {runner.timeout} s"))
            return
        except DeadKernelError:
            if runner.left < 0:
                cell.outputs = []
                why = ("output", f"stopped: more than {limits.output:,} bytes of output")
            else:
                why = (
                    watchdog.verdict
                    or groups.verdict(limits)
                    or ("crash", "the kernel ended in this cell: os._exit, a crash or a kill")
                )
            trace.incidents.append(Incident(index, *why))
            return
        if any(os.strerror(errno.ENOSPC) in output.get("evalue", "") for output in cell.outputs):
            trace.incidents.append(
                Incident(
                    index, "disk", f"ended with an error at {limits.disk / MiB:.0f} MiB of disk"
                )
            )
    if met := groups.verdict(limits):
        trace.incidents.append(Incident(-1, *met))


def run(notebook: nbformat.NotebookNode, *args, **kwargs) -> Trace:
    """:func:`execute`, from code that is not asynchronous."""
    return asyncio.run(execute(notebook, *args, **kwargs))
