"""Run a notebook in the box, from its files to what happened.

The kernel talks to this process through Unix sockets in one folder, which is the only thing that
the two share.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from . import boxed_kernel, bubblewrap
from .cell_runner import Before, CellRunner
from .cgroups import ControlGroups
from .incidents import Incident, Trace
from .limits import DEFAULT_LIMITS, Limits
from .watchdog import Watchdog


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
    """
    boxed = bubblewrap.require(unsafe)
    trace, start = Trace(), time.monotonic()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    groups = ControlGroups(limits)
    # Not in $TMPDIR, whose name may be long: that of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(
        prefix=f"box-{os.getpid()}-", dir="/tmp" if os.path.isdir("/tmp") else None
    ) as folder:
        shared, work, log = Path(folder, "run"), Path(folder, "work"), Path(folder, "stderr")
        shared.mkdir()
        work.mkdir()
        for file in files:
            shutil.copy(file, work)
        inside = _environment(bubblewrap.WORK if boxed else str(work)) | dict(environment or {})
        box: list[str] = []
        if boxed:
            box = bubblewrap.command(shared, work, limits, inside, groups.process_files())
        manager = _kernel_manager(shared, box)
        pid = await _start(manager, work, log, {} if boxed else inside)
        watchdog = Watchdog(pid, limits, trace)
        watchdog.start()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=120)
            cells = CellRunner(notebook, manager, client, limits, watchdog, groups)
            await cells.run(trace.incidents, start + limits.notebook_seconds, before)
        except RuntimeError as problem:
            reason = f"{problem} {log.read_text(errors='replace').strip()[-300:]}".strip()
            trace.incidents.append(Incident(-1, "kernel", f"the kernel did not start: {reason}"))
        finally:
            watchdog.finished.set()
            watchdog.kill()
            client.stop_channels()
            await manager.shutdown_kernel(now=True)
            await manager.cleanup_resources()
            groups.remove()
        trace.incidents += _reached(_journal(shared))
    trace.seconds = time.monotonic() - start
    return trace


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


def _kernel_manager(shared: Path, box: list[str]) -> _BoxedKernelManager:
    """A manager of the kernel in the box; the kernel runs without one where ``box`` is empty."""
    manager = _BoxedKernelManager(
        transport="ipc", ip=str(shared / "k"), connection_file=str(shared / "kernel.json")
    )
    kernel = [sys.executable, "-P", "-m", boxed_kernel.__name__, str(_journal(shared))]
    kernel += ["-f", "{connection_file}", "--HistoryManager.hist_file=:memory:"]
    manager.boxed = KernelSpec(argv=[*box, *kernel], display_name="box", language="python")
    return manager


async def _start(
    manager: _BoxedKernelManager, work: Path, log: Path, environment: Mapping[str, str]
) -> int:
    """Start the kernel, or the box around it, with this addition to our environment."""
    # ipykernel takes the process that JPY_PARENT_PID names for its parent, finds no such process
    # in the box, and stops.
    ours = {key: value for key, value in os.environ.items() if key != "JPY_PARENT_PID"}
    with log.open("w") as stderr:
        await manager.start_kernel(
            env=ours | dict(environment),
            cwd=str(work),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    assert isinstance(manager.provisioner, LocalProvisioner)
    assert manager.provisioner.process is not None
    return manager.provisioner.process.pid


def _journal(shared: Path) -> Path:
    """The file in which the kernel writes down what its code tries to reach."""
    return shared / "journal"


def _reached(journal: Path, max_incidents: int = 20) -> list[Incident]:
    """Read the journal: each attempt to reach outside the box, once."""
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
    return list(seen.values())[:max_incidents]
