"""One record: the finished runs of an experiment, written to a JSON file after each run.

A record is written under a temporary name first, so that the file is whole at any moment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .stamp import commit, hardware, versions

#: The fields of a record in its file, and their types.
RECORD_FIELDS: dict[str, type] = {
    "name": str,
    "command": str,
    "data": str,
    "configuration": dict,
    "runs": list,
}
#: The fields of each run, and their types.
RUN_FIELDS: dict[str, type] = {
    "arm": str,
    "seed": int,
    "results": dict,
    "seconds": float,
    "hardware": str,
    "versions": dict,
    "commit": str,
}


@dataclass
class Record:
    """The runs of one experiment; :meth:`add` writes them to the file.

    Attributes:
        name: the name of the experiment.
        command: the command that runs it, without the paths of one machine.
        data: a description of the data.
        configuration: everything that decides the numbers, except for the seeds.
        runs: one dictionary per finished run, with the fields ``RUN_FIELDS``.
        path: the file, or None for a record that is kept in memory only.
    """

    name: str
    command: str
    data: str
    configuration: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    path: Path | None = None

    def has(self, arm: str, seed: int) -> bool:
        """Say whether a run is finished.

        Args:
            arm: the name of the arm.
            seed: the seed of the run.
        """
        return any(run["arm"] == arm and run["seed"] == seed for run in self.runs)

    @contextmanager
    def run(self, arm: str, seed: int) -> Iterator[dict[str, Any]]:
        """Time one run and add it to the record, unless an error ends the run.

        Args:
            arm: the name of the arm.
            seed: the seed of the run.

        Yields:
            An empty dictionary for the results.
        """
        start = time.perf_counter()
        results: dict[str, Any] = {}
        yield results  # An error in the run leaves from here, so that nothing is added.
        self.add(arm, seed, results, time.perf_counter() - start)

    def add(self, arm: str, seed: int, results: dict[str, Any], seconds: float) -> None:
        """Add a finished run and write the file. A run of the same arm and seed is replaced.

        Args:
            arm: the name of the arm.
            seed: the seed of the run.
            results: name -> value, as JSON can hold it.
            seconds: the wall time of the run.
        """
        self.runs = [run for run in self.runs if (run["arm"], run["seed"]) != (arm, seed)]
        self.runs.append(
            {
                "arm": arm,
                "seed": seed,
                "results": results,
                "seconds": round(seconds, 1),
                "hardware": hardware(),
                "versions": versions(),
                "commit": commit(),
            }
        )
        self.runs.sort(key=lambda run: (run["arm"], run["seed"]))
        if self.path is not None:
            write(self, self.path)

    def values(self, arm: str, key: str) -> list[float]:
        """Collect one result over the seeds of an arm.

        Args:
            arm: the name of the arm.
            key: the name of the result.

        Returns:
            One value per seed, in the order of the seeds.

        Raises:
            KeyError: if the arm has no run, or a run has no such result.
        """
        found = [run["results"][key] for run in self.runs if run["arm"] == arm]
        if not found:
            arms = ", ".join(sorted({run["arm"] for run in self.runs}))
            raise KeyError(f"{self.name}: no run of {arm!r}; there are {arms}")
        return found


def write(record: Record, path: str | Path) -> None:
    """Write a record to a file, either completely or not at all.

    Args:
        record: the record; its own ``path`` is neither used nor changed.
        path: the file; missing folders are made.
    """
    path = Path(path)
    fields = {key: value for key, value in asdict(record).items() if key != "path"}
    temporary = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
