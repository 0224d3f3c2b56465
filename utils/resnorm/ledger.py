"""Recorded runs: what was run, on what, and what came out; never edited by hand.

One JSON file a record. It is written after each run, to a temporary name first, so that a record
is whole at any moment, and a run that is already in it is not run again.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

#: Records that the chapters draw from. They travel with the package, so that a notebook alone in Colab has them.
RESULTS = Path(__file__).parent / "results"

#: Fields of a record and their types; each run has these of its own.
RECORD_FIELDS = {"name": str, "command": str, "data": str, "configuration": dict, "runs": list}
RUN_FIELDS = {
    "arm": str,
    "seed": int,
    "results": dict,
    "seconds": float,
    "hardware": str,
    "versions": dict,
    "commit": str,
}


def hardware() -> str:
    """Processor and accelerator in words, without names of machines."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {cores} cores, {torch.get_num_threads()} threads; {device}"


def versions() -> dict[str, str]:
    """Of Python, torch, torchvision and NumPy."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """The checkout's commit, with ``+changes`` if files differ from it; ``unknown`` outside of one."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("+changes" if dirty.strip() else "")


@dataclass
class Record:
    """A record in memory; :meth:`add` writes it.

    Attributes:
        name: of the experiment.
        command: that runs it, without paths of one machine.
        data: what the data is.
        configuration: everything that decides the numbers, seeds apart.
        runs: one dictionary a finished run, with ``RUN_FIELDS``.
        path: the file, or None for a record that is not kept.
    """

    name: str
    command: str
    data: str
    configuration: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    path: Path | None = None

    def has(self, arm: str, seed: int) -> bool:
        """Whether this run is finished."""
        return any(run["arm"] == arm and run["seed"] == seed for run in self.runs)

    @contextmanager
    def run(self, arm: str, seed: int) -> Iterator[dict[str, Any]]:
        """Time one run; what is put in the dictionary is recorded, unless an error ends it."""
        start, results = time.perf_counter(), {}
        yield results  # an error inside leaves here: nothing is recorded
        self.add(arm, seed, results, time.perf_counter() - start)

    def add(self, arm: str, seed: int, results: dict[str, Any], seconds: float) -> None:
        """Add a finished run, in the place of an equal one, and write the file."""
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
            _write(self)

    def values(self, arm: str, key: str) -> list[float]:
        """One result of every seed of an arm.

        Raises:
            KeyError: nothing recorded for the arm, or no such result.
        """
        found = [run["results"][key] for run in self.runs if run["arm"] == arm]
        if not found:
            raise KeyError(
                f"{self.name}: no run of {arm!r}; there are {', '.join(sorted({run['arm'] for run in self.runs}))}"
            )
        return found


@dataclass(frozen=True)
class Line:
    """One result of an arm over its seeds: number of seeds, mean, standard deviation (NaN for one seed).

    As text it is the mean, for several seeds with its spread: two decimals, three below 1.
    """

    arm: str
    n: int
    mean: float
    std: float

    def __str__(self) -> str:
        digits = 2 if abs(self.mean) >= 1 else 3
        spread = f" ± {self.std:.{digits}f}" if self.n > 1 else ""
        return f"{self.mean:.{digits}f}{spread}"


def summary(record: Record, key: str) -> list[Line]:
    """A line for every arm that has runs, best (smallest) mean first.

    Raises:
        KeyError: a run without this result.
    """
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in record.runs):
        values = record.values(arm, key)
        lines.append(
            Line(arm, len(values), mean(values), stdev(values) if len(values) > 1 else math.nan)
        )
    return sorted(lines, key=lambda line: line.mean)


def leaderboard(name: str, key: str = "test error") -> list[tuple[str, str, str, str]]:
    """The rows of a table: arm, mean ± standard deviation of a result, seeds, minutes a run; smallest mean first.

    Without such a record there is one row, and it says so.
    """
    if not (RESULTS / f"{name}.json").exists():
        return [(f"{name}: not recorded yet", "", "", "")]
    record = recorded(name)
    minutes = {line.arm: line.mean / 60 for line in summary(record, "training seconds")}
    return [
        (line.arm, str(line), str(line.n), f"{minutes[line.arm]:.1f}")
        for line in summary(record, key)
    ]


def write(record: Record, path: str | Path) -> None:
    """Write a record, whole or not at all."""
    _write(Record(**{**vars(record), "path": Path(path)}))


def _write(record: Record) -> None:
    fields = {key: value for key, value in asdict(record).items() if key != "path"}
    temporary = record.path.with_name(record.path.name + ".part")
    record.path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, record.path)


def read(path: str | Path) -> Record:
    """A record from its file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a record: what is missing or of the wrong type is named.
    """
    path = Path(path)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path.name} is not JSON: {problem}") from None
    _check(fields, RECORD_FIELDS, path.name)
    for i, run in enumerate(fields["runs"]):
        _check(run, RUN_FIELDS, f"{path.name}, run {i}")
    return Record(**fields, path=path)


def recorded(name: str) -> Record:
    """A record that comes with the package.

    Raises:
        FileNotFoundError: no such record; the message lists those that exist.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in RESULTS.glob("*.json"))) or "none"
        raise FileNotFoundError(f"no record named {name!r}; there are: {there}")
    return read(path)


def _check(fields: Any, expected: dict[str, type], where: str) -> None:
    if not isinstance(fields, dict) or fields.keys() != expected.keys():
        given = ", ".join(fields) if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(f"{where}: the fields are {given}; a record has {', '.join(expected)}")
    for key, kind in expected.items():
        if not isinstance(fields[key], kind):
            raise ValueError(
                f"{where}: {key} is {type(fields[key]).__name__}; it must be {kind.__name__}"
            )


def open_record(
    path: str | Path | None, name: str, command: str, data: str, configuration: dict[str, Any]
) -> Record:
    """The record at ``path`` to go on with, or a new one.

    Raises:
        ValueError: the file holds runs of another configuration or of other data, which must not be mixed.
    """
    wanted = Record(
        name,
        command,
        data,
        json.loads(json.dumps(configuration)),
        path=Path(path) if path is not None else None,
    )
    if path is None or not Path(path).exists():
        return wanted
    found = read(path)
    if difference := _difference(found, wanted):
        raise ValueError(
            f"{Path(path).name} holds other runs ({difference}): choose another file, or move that one away"
        )
    return found


def _difference(found: Record, wanted: Record) -> str:
    """Where two records that should be of the same runs first differ; empty if they do not."""

    def first(a: Any, b: Any, where: str) -> str:
        if isinstance(a, dict) and isinstance(b, dict):
            if only := a.keys() ^ b.keys():
                return f"{where}: only one of them has {', '.join(sorted(only))}"
            key = next(key for key in a if a[key] != b[key])
            return first(a[key], b[key], f"{where}, {key}")
        return f"{where}: {a!r} there, {b!r} here"

    for key in ("name", "data", "configuration"):
        if getattr(found, key) != getattr(wanted, key):
            return first(getattr(found, key), getattr(wanted, key), key)
    return ""


def merge(records: Iterable[Record]) -> Record:
    """Records of one configuration, seeds from several machines, as one; equal runs are kept once.

    Raises:
        ValueError: nothing to merge, or configurations that differ.
    """
    records = list(records)
    if not records:
        raise ValueError("merge: no records were given")
    first = records[0]
    merged = Record(first.name, first.command, first.data, first.configuration)
    for record in records:
        if difference := _difference(record, first):
            raise ValueError(f"merge: two records are not of the same experiment ({difference})")
        merged.runs += [run for run in record.runs if not merged.has(run["arm"], run["seed"])]
    merged.runs.sort(key=lambda run: (run["arm"], run["seed"]))
    return merged
