"""Run a notebook in the box, from its files to what happened.

The kernel talks to this process through Unix sockets that this process made. The box has them, the
journal and its standard error as open files, and no folder into which both can write.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import nbformat
import psutil
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from . import boxed_kernel, bubblewrap
from .cell_runner import Before, CellRunner, OutsideError
from .cgroups import ControlGroups
from .channels import Channels
from .incidents import Incident, Trace
from .leftovers import left_over
from .limits import DEFAULT_LIMITS, Limits, MiB
from .messages import CheckedSession, Meter
from .watchdog import Watchdog, kill_family

#: What the names of the boxes' folders begin with.
FOLDER = "box-"
#: Seconds that a kernel may take to start.
START_SECONDS = 120.0
#: Seconds after its own end at which a notebook is killed, should the kernel's messages keep this
#: process from seeing that the time is up.
GRACE_SECONDS = 10.0


class KernelNotStartedError(RuntimeError):
    """The kernel did not start, which is this machine's failure: nothing of the notebook ran."""


def run(
    notebook: nbformat.NotebookNode,
    files: Iterable[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    *,
    environment: Mapping[str, str] | None = None,
    unsafe: bool = False,
    before: Before | None = None,
) -> Trace:
    """Do the same as :func:`execute`, for callers that are not asynchronous.

    Args:
        notebook: its outputs are replaced.
        files: copied into the working folder of the box.
        limits: what the notebook may use.
        environment: variables beyond the few that every kernel gets.
        unsafe: run without a box where there is none.
        before: is awaited before each cell, see :meth:`CellRunner.run`.

    Returns:
        What happened, besides the outputs.

    Raises:
        NoSandboxError: there is no sandbox, and ``unsafe`` is False.
        KernelNotStartedError: the kernel did not start.
        OSError: this machine lacks disk, memory or files.
    """
    running = execute(
        notebook, files, limits, environment=environment, unsafe=unsafe, before=before
    )
    return asyncio.run(running)


async def execute(
    notebook: nbformat.NotebookNode,
    files: Iterable[Path] = (),
    limits: Limits = DEFAULT_LIMITS,
    *,
    environment: Mapping[str, str] | None = None,
    unsafe: bool = False,
    before: Before | None = None,
) -> Trace:
    """Execute the cells of a notebook in place.

    An error in a cell is one of its outputs. Everything else that goes wrong is an incident.

    Args:
        notebook: its outputs are replaced.
        files: copied into the working folder of the box.
        limits: what the notebook may use.
        environment: variables beyond the few that every kernel gets.
        unsafe: run without a box where there is none. Time and output stay limited.
        before: is awaited before each cell, see :meth:`CellRunner.run`.

    Returns:
        What happened, besides the outputs.

    Raises:
        NoSandboxError: there is no sandbox, and ``unsafe`` is False.
        KernelNotStartedError: the kernel did not start.
        OSError: this machine lacks disk, memory or files.
    """
    boxed = bubblewrap.require(unsafe)
    trace, start = Trace(), time.monotonic()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with contextlib.ExitStack() as stack:
        # Not in $TMPDIR, whose name may be long: that of a socket has at most 107 bytes.
        place = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()
        for old in left_over(Path(place), FOLDER):
            shutil.rmtree(old, ignore_errors=True)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", dir=place)
        )
        groups = ControlGroups(limits)
        stack.callback(groups.remove)
        shared, work = Path(folder, "run"), Path(folder, "work")
        for made in (shared, work):
            made.mkdir()
            made.chmod(0o755)  # the folder above lets nobody else in
        trace.incidents += _copied(files, work, limits)
        kernel = stack.enter_context(_Kernel(shared, work, limits, dict(environment or {}), boxed))
        pid = await kernel.start(groups)
        latest = time.monotonic() + START_SECONDS + GRACE_SECONDS
        try:
            watchdog = Watchdog(pid, limits, trace, deadline=latest)
            watchdog.start()
        except (psutil.Error, RuntimeError) as problem:  # it has ended, or there is no thread left
            raise KernelNotStartedError(f"the kernel cannot be watched: {problem}") from None
        client = kernel.manager.client(context=kernel.context)
        client.session.meter = meter = Meter(limits, watchdog.stop)
        client.start_channels()
        try:
            try:
                await client.wait_for_ready(timeout=START_SECONDS)
            except Exception as problem:
                met = watchdog.incident or groups.incident()
                said = met.message if met else f"{problem} {kernel.channels.errors()}".strip()
                raise KernelNotStartedError(f"the kernel did not start: {said}") from None
            watchdog.deadline = start + limits.notebook_seconds + GRACE_SECONDS
            journal = kernel.channels.journal
            cells = CellRunner(
                notebook, kernel.manager, client, limits, watchdog, groups, meter, journal
            )
            await cells.run(trace, start + limits.notebook_seconds, before)
            trace.incidents += filter(None, [watchdog.last_look()])
        except OutsideError as problem:
            raise problem.__cause__ or problem from None
        finally:
            watchdog.finished.set()
            watchdog.kill()
            client.stop_channels()
            await kernel.manager.shutdown_kernel(now=True)
            await kernel.manager.cleanup_resources()
        trace.incidents += meter.incidents.values()
        trace.incidents += kernel.channels.journal.reached()
    trace.seconds = time.monotonic() - start
    return trace


def _copied(files: Iterable[Path], work: Path, limits: Limits) -> list[Incident]:
    """Copy files that everybody may read, as long as they leave half of the box's disk free."""
    left, incidents = limits.disk // 2, []
    for file in files:
        size = file.stat().st_size
        if not file.is_file() or size > left:
            problem = f"has {size / MiB:.0f} MiB" if file.is_file() else "is not a file"
            message = f"{file.name} {problem} and was left out"
            incidents.append(Incident(-1, "disk", message))
            continue
        left -= size
        shutil.copyfile(file, work / file.name)
        (work / file.name).chmod(0o644)
    return incidents


def _environment(home: str) -> dict[str, str]:
    """The environment variables that every kernel gets."""
    return {
        "HOME": home,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(bubblewrap.PACKAGE.parent),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class _BoxedKernelManager(AsyncKernelManager):
    """Starts the kernel that it is given, whichever kernel a notebook asks for."""

    boxed: KernelSpec | None = None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        return self.boxed


class _Kernel:
    """A kernel, with the box around it and what connects it to this process."""

    def __init__(
        self, shared: Path, work: Path, limits: Limits, environment: dict[str, str], boxed: bool
    ):
        self.shared, self.work, self.limits, self.boxed = shared, work, limits, boxed
        self.environment = _environment(bubblewrap.WORK if boxed else str(work)) | environment
        self.context = zmq.asyncio.Context()

    def __enter__(self) -> _Kernel:
        connection = self.shared / "kernel.json"
        self.manager = _BoxedKernelManager(
            transport="ipc",
            ip=str(self.shared / "k"),
            connection_file=str(connection),
            session=CheckedSession(),
        )
        self.manager.write_connection_file()
        connection.chmod(0o644)
        self.channels = Channels(self.manager.ip, self.manager.ports)
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever came between, such as a watchdog that could not be made, no kernel outlives this.
        provisioner = self.manager.provisioner
        process = provisioner.process if isinstance(provisioner, LocalProvisioner) else None
        if process and process.poll() is None:
            with contextlib.suppress(psutil.Error):
                kill_family(psutil.Process(process.pid))
            process.kill()
            process.wait()
        self.channels.close()
        self.context.destroy(linger=0)

    async def start(self, groups: ControlGroups) -> int:
        """Start the kernel in these control groups. Return the number of its process."""
        counted = self.boxed and bubblewrap.counts_processes()
        start = boxed_kernel.Start(
            journal=self.channels.journal.theirs,
            sockets=self.channels.numbers,
            files=bubblewrap.HANDED_IN if self.boxed else "",
            processes=self.limits.processes if counted else 0,
        )
        command = [sys.executable, "-P", "-m", boxed_kernel.__name__, json.dumps(asdict(start))]
        command += ["-f", "{connection_file}", "--HistoryManager.hist_file=:memory:"]
        inherited = self.channels.files
        with contextlib.ExitStack() as stack:
            if self.boxed:
                inherited.append(file := stack.enter_context(bubblewrap.filter_file()))
                box = bubblewrap.command(
                    self.shared,
                    self.work,
                    self.limits,
                    self.environment,
                    file,
                    groups.process_files(),
                )
                command = [*box, *command]
            self.manager.boxed = KernelSpec(argv=command, display_name="box", language="python")
            await self.manager.start_kernel(
                # The first process in a box keeps what it is given, and shows it.
                env={} if self.boxed else os.environ | self.environment,
                independent=self.boxed,  # of JPY_PARENT_PID, a process that is not in the box
                cwd=str(self.work),
                stdout=self.channels.errors_file,
                stderr=self.channels.errors_file,
                pass_fds=inherited,
            )
        self.channels.started()
        assert isinstance(self.manager.provisioner, LocalProvisioner)
        assert self.manager.provisioner.process is not None
        return self.manager.provisioner.process.pid
