"""Execute the cells of a notebook, and say which limit stopped it."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace

import nbformat
from jupyter_client.client import KernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from .cgroups import ControlGroups
from .incidents import Incident
from .limits import Limits, MiB
from .watchdog import Watchdog


class CellRunner:
    """Executes the cells of one notebook, one after another, in a kernel that is ready.

    Args:
        notebook: its cells get the outputs.
        manager: manager of the kernel.
        client: client of the kernel, whose channels are open.
        limits: what the notebook may use.
        watchdog: thread that watches the kernel.
        groups: control groups of the kernel.
    """

    def __init__(
        self,
        notebook: nbformat.NotebookNode,
        manager: AsyncKernelManager,
        client: KernelClient,
        limits: Limits,
        watchdog: Watchdog,
        groups: ControlGroups,
    ):
        self.notebook, self.limits, self.watchdog, self.groups = notebook, limits, watchdog, groups
        self.client = NotebookClient(
            notebook,
            km=manager,
            timeout=int(limits.cell_seconds),
            allow_errors=True,
            interrupt_on_timeout=False,
        )
        self.client.kc = client
        self.client.reset_execution_trackers()

    async def run(self, incidents: list[Incident], deadline: float) -> None:
        """Execute all cells, or those up to the first one that has to be stopped.

        Args:
            incidents: list to which incidents are appended as they happen.
            deadline: when the notebook is stopped, on the clock of ``time.monotonic``.
        """
        for index, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code":
                continue
            if stop := await self._stopped_by(index, cell, deadline):
                incidents.append(stop)
                return
            full = os.strerror(errno.ENOSPC)
            if any(full in output.get("evalue", "") for output in cell.outputs):
                size = f"{self.limits.disk / MiB:.0f} MiB of disk"
                incidents.append(Incident(index, "disk", f"ended with an error at {size}"))
        if met := self.groups.incident():
            incidents.append(met)

    async def _stopped_by(
        self, index: int, cell: nbformat.NotebookNode, deadline: float
    ) -> Incident | None:
        """Execute one cell. Return the incident that stopped the notebook here, if one did."""
        left = deadline - time.monotonic()
        if left <= 0:
            seconds = f"{self.limits.notebook_seconds:.0f} s"
            return Incident(index, "time", f"the notebook was stopped after {seconds}")
        self.client.timeout = max(1, int(min(self.limits.cell_seconds, left)))
        try:
            await self.client.async_execute_cell(cell, index, store_history=False)
        except CellTimeoutError:
            return Incident(index, "time", f"stopped after {self.client.timeout} s")
        except DeadKernelError:
            return replace(self._death(), cell=index)
        return None

    def _death(self) -> Incident:
        """Say why the kernel ended."""
        return (
            self.watchdog.incident
            or self.groups.incident()
            or Incident(-1, "crash", "the kernel ended in this cell: os._exit, a crash or a kill")
        )
