"""Execute the cells of a notebook, and say which limit stopped it.

Between the cells, requests can be executed in the same kernel and within the same limits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import nbformat
from jupyter_client.client import KernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from ..remote import FIELD, LOAD, MIME, SERVE
from .cgroups import ControlGroups
from .incidents import Incident, StoppedError, Trace, exceeded
from .journal import Journal
from .limits import Limits, MiB
from .messages import Meter
from .watchdog import Watchdog

#: Executes a request in the kernel, and returns the reply, which may be anything.
Ask = Callable[[str], Awaitable[object]]
#: Is called before each cell with nbgrader's name of the cell.
Before = Callable[[str, Ask], Awaitable[None]]
#: Bytes of output that one request may cause.
MAX_REPLY = 40 * MiB


class OutsideError(Exception):
    """What was to be done outside of the box failed; the cause says how."""


class _RequestChannel:
    """A kernel client whose next message carries a request.

    As part of the code, a request of a megabyte would take a second to read.
    """

    def __init__(self, client: KernelClient, request: str):
        self.client, self.request = client, request

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def execute(self, code: str, **_: object) -> str:
        content = {"code": code, "silent": True, "store_history": False, FIELD: self.request}
        content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
        message = self.client.session.msg("execute_request", content)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]


class CellRunner:
    """Executes the cells of one notebook, one after another, in a kernel that is ready.

    Args:
        notebook: its cells get the outputs.
        manager: manager of the kernel.
        client: client of the kernel, whose channels are open.
        limits: what the notebook may use.
        watchdog: thread that watches the kernel.
        groups: control groups of the kernel.
        meter: keeps account of what the kernel says.
        journal: what the kernel says of what it tries and uses.
    """

    def __init__(
        self,
        notebook: nbformat.NotebookNode,
        manager: AsyncKernelManager,
        client: KernelClient,
        limits: Limits,
        watchdog: Watchdog,
        groups: ControlGroups,
        meter: Meter,
        journal: Journal,
    ):
        self.meter, self.journal = meter, journal
        self.notebook, self.limits, self.watchdog, self.groups = notebook, limits, watchdog, groups
        self.client = NotebookClient(
            notebook,
            km=manager,
            timeout=int(limits.cell_seconds),
            allow_errors=True,
            interrupt_on_timeout=False,
        )
        self.client.kc = self.channels = client
        self.client.reset_execution_trackers()

    async def run(self, trace: Trace, deadline: float, before: Before | None = None) -> None:
        """Execute all cells, or those up to the first one that has to be stopped.

        Args:
            trace: gets the incidents as they happen, and what was used during requests.
            deadline: when the notebook is stopped, on the clock of ``time.monotonic``.
            before: is awaited before each cell that has a name, and may execute requests.
        """
        self.used, incidents = trace.used, trace.incidents
        if before and self.notebook.cells:
            with contextlib.suppress(StoppedError):  # then the first cell is stopped, too
                await self._aside(0, LOAD, deadline)
        for index, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code":
                continue
            if stop := await self._stopped_before(index, cell, deadline, before):
                incidents.append(stop)
                return
            if stop := await self._stopped_by(index, cell, deadline):
                incidents.append(stop)
                return
            full = os.strerror(errno.ENOSPC)
            if any(full in output.get("evalue", "") for output in cell.outputs):
                size = f"{self.limits.disk / MiB:.0f} MiB of disk"
                incidents.append(Incident(index, "disk", f"ended with an error at {size}"))
        if met := self.groups.incident():
            incidents.append(met)

    async def _stopped_before(
        self, index: int, cell: nbformat.NotebookNode, deadline: float, before: Before | None
    ) -> Incident | None:
        """Do what comes before a cell. Return the incident that stopped the notebook, if any."""
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if not before or not name:
            return None

        async def ask(request: str) -> object:
            self.journal.used()
            try:
                return await self._reply(index, request, deadline)
            finally:
                used = {*self.used.get(name, ()), *self.journal.used()}
                self.used[name] = sorted(used)

        try:
            await before(name, ask)
        except StoppedError as stopped:
            return replace(stopped.incident, cell=index)
        except Exception as problem:
            raise OutsideError from problem
        return None

    async def _reply(self, index: int, request: str, deadline: float) -> object:
        """Execute a request. What it prints does not count as output of the notebook."""
        self.client.kc = cast(KernelClient, _RequestChannel(self.channels, request))
        try:
            with self.meter.aside(MAX_REPLY):
                outputs = await self._aside(index, SERVE, deadline)
        finally:
            self.client.kc = self.channels
        replies = [output.get("data", {}).get(MIME) for output in outputs]
        return next((reply for reply in reversed(replies) if reply is not None), None)

    async def _aside(self, index: int, code: str, deadline: float) -> list[nbformat.NotebookNode]:
        """Execute code that is not the notebook's, before one of its cells."""
        own, cell = self.notebook.cells[index], nbformat.v4.new_code_cell(code)
        try:
            if stop := await self._stopped_by(index, cell, deadline):
                raise StoppedError(stop)
        finally:
            self.notebook.cells[index] = own  # which nbclient has replaced
        return cell.outputs

    async def _stopped_by(
        self, index: int, cell: nbformat.NotebookNode, deadline: float
    ) -> Incident | None:
        """Execute one cell. Return the incident that stopped the notebook here, if one did."""
        left = deadline - time.monotonic()
        if left <= 0:
            return replace(exceeded("time", self.limits), cell=index)
        self.client.timeout = max(1, int(min(self.limits.cell_seconds, left)))
        try:
            await self.client.async_execute_cell(cell, index, store_history=False)
        except CellTimeoutError:
            return Incident(index, "time", f"stopped after {self.client.timeout} s")
        except DeadKernelError:
            return replace(self._death(), cell=index)
        except Exception as problem:  # whatever the kernel's messages provoke
            ours = isinstance(problem, (OSError, MemoryError))
            if ours and not isinstance(problem, TimeoutError):
                raise
            said = f"stopped: the kernel's messages led to {type(problem).__name__}"
            return self.watchdog.incident or Incident(index, "messages", said)
        return None

    def _death(self) -> Incident:
        """Say why the kernel ended."""
        return (
            self.watchdog.incident
            or self.groups.incident()
            or Incident(-1, "crash", "the kernel ended in this cell: os._exit, a crash or a kill")
        )
