"""Limits on memory and processes that the operating system keeps, where it lets us."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from .incidents import Incident, exceeded
from .leftovers import left_over
from .limits import Limits

ROOT = Path("/sys/fs/cgroup")
#: Seconds in which the last processes leave a group. A busy machine takes its time to end them.
LEAVING = 30.0


class ControlGroups:
    """The control groups of one submission, or none where this process may not make any.

    The operating system enforces them at once, so that nothing can grow faster than it is watched.
    Where there are none, the watchdog remains.

    Args:
        limits: those of the submission.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self.folders: list[Path] = []
        memory = limits.memory + limits.disk  # what is written to the box's disk counts as memory
        # Version 1 has one hierarchy for each controller, version 2 has one for all of them.
        settings: dict[str, dict[str, int]] = {
            "memory": {
                "memory.limit_in_bytes": memory,
                "memory.memsw.limit_in_bytes": memory,
                "memory.max": memory,
                "memory.swap.max": 0,
            },
            "pids": {"pids.max": limits.processes},
        }
        for controller, values in settings.items():
            try:
                self._make(controller, values)
            except OSError:
                continue

    def _make(self, controller: str, values: Mapping[str, int]) -> None:
        """Make a group of this controller below the group of this process."""
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            unified = number == "0"
            if controller not in controllers.split(",") and not (
                unified and (ROOT / "cgroup.controllers").exists()
            ):
                continue
            parent = Path(ROOT, *([] if unified else [controllers]), path.lstrip("/"))
            prefix = f"resnorm-{controller}-"
            for old in left_over(parent, prefix):
                with contextlib.suppress(OSError):
                    old.rmdir()
            folder = parent / f"{prefix}{os.getpid()}-{time.monotonic_ns()}"
            folder.mkdir()
            present = {name: value for name, value in values.items() if (folder / name).exists()}
            if not present:
                folder.rmdir()
                continue
            self.folders.append(folder)
            for name, value in present.items():
                (folder / name).write_text(str(value))
            return

    def process_files(self) -> list[Path]:
        """List the files to which a process writes its number in order to join the groups."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def incident(self) -> Incident | None:
        """Say which limit was hit, if any."""
        for folder in self.folders:
            for name, key, incident in (
                ("memory.oom_control", "oom_kill ", exceeded("memory", self.limits)),
                ("memory.events", "oom_kill ", exceeded("memory", self.limits)),
                ("pids.events", "max ", exceeded("processes", self.limits)),
            ):
                if _counted(folder / name, key):
                    return incident
        return None

    def remove(self) -> None:
        """Remove the groups. The last processes leave them a moment after they were killed."""
        end = time.monotonic() + LEAVING
        for folder in self.folders:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.02)


def _counted(file: Path, key: str) -> bool:
    """Whether the operating system's file of events counts any under this key."""
    return file.exists() and any(
        line.startswith(key) and int(line.split()[1]) for line in file.read_text().splitlines()
    )
