"""One record: the finished runs of an experiment, written to a JSON file after each run.

A record is written under a temporary name first, so that the file is whole at any moment. What
another process of the same machine adds to the file meanwhile is kept; several machines need a file
each, to be merged later.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..renaming import replace_whole
from .lock import locked
from .stamp import commit, hardware, versions

if TYPE_CHECKING:
    import torch

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
    def run(
        self, arm: str, seed: int, device: str | torch.device = "cpu"
    ) -> Iterator[dict[str, Any]]:
        """Time one run and add it to the record, unless an error ends the run.

        Args:
            arm: the name of the arm.
            seed: the seed of the run.
            device: what it trains on.

        Yields:
            An empty dictionary for the results.
        """
        start = time.perf_counter()
        results: dict[str, Any] = {}
        yield results  # An error in the run leaves from here, so that nothing is added.
        self.add(arm, seed, results, time.perf_counter() - start, device)

    def add(
        self,
        arm: str,
        seed: int,
        results: dict[str, Any],
        seconds: float,
        device: str | torch.device = "cpu",
    ) -> None:
        """Add a finished run and write the file. A run of the same arm and seed is replaced.

        Args:
            arm: the name of the arm.
            seed: the seed of the run.
            results: name -> value, as JSON can hold it.
            seconds: the wall time of the run.
            device: what it trained on.

        Raises:
            OSError: if the file cannot be written, for example because the drive is full or gone.
                The runs are then in a temporary file, which the message names.
            TypeError: if JSON cannot hold the results.
            ValueError: if the file has become a record of something else meanwhile.
        """
        run = {
            "arm": arm,
            "seed": int(seed),
            "results": json.loads(json.dumps(results)),  # as a reader of the file will find them
            "seconds": round(float(seconds), 1),
            "hardware": hardware(device),
            "versions": versions(),
            "commit": commit(),
        }
        with locked(self.path) if self.path is not None else nullcontext():
            runs = {(r["arm"], r["seed"]): r for r in [*self._runs_in_file(), *self.runs, run]}
            everything = replace(self, runs=[runs[key] for key in sorted(runs)])
            self.runs = everything.runs
            if self.path is not None:
                try:
                    write(everything, self.path)
                except OSError as problem:
                    raise OSError(
                        f"{self.path} cannot be written ({problem}). {self._rescue()}"
                    ) from None

    def _rescue(self) -> str:
        """Write the record elsewhere, and say where it is and how it comes back."""
        path = Path(tempfile.gettempdir(), f"{self.name}.{uuid.uuid4().hex[:8]}.json")
        try:
            write(self, path)
        except OSError as problem:
            return f"Neither can a temporary file ({problem}), so the last run is lost"
        return (
            f"All finished runs are in {path}. When there is a place for them: "
            f"python -m resnorm.experiments {self.name} --merge {path} --out FILE"
        )

    def _runs_in_file(self) -> list[dict[str, Any]]:
        """The runs in the file, some of which another process may have added."""
        if self.path is None or not self.path.exists():
            return []
        found = read(self.path)
        if different := difference(found, self):
            raise ValueError(f"{self.path.name} has become another record meanwhile ({different})")
        return found.runs

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
        found = [run["results"] for run in self.runs if run["arm"] == arm]
        if not found:
            arms = ", ".join(sorted({run["arm"] for run in self.runs})) or "none"
            raise KeyError(f"{self.name}: no run of {arm!r}; there are {arms}")
        for results in found:
            if key not in results:
                raise KeyError(f"{self.name}, {arm}: no {key!r}; there are {', '.join(results)}")
        return [results[key] for results in found]


def write(record: Record, path: str | Path) -> None:
    """Write a record to a file, either completely or not at all.

    Args:
        record: the record; its own ``path`` is neither used nor changed.
        path: the file; missing folders are made, and a link is followed.

    Raises:
        OSError: if it cannot be written. A file that was there before is left as it was.
    """
    fields = {key: value for key, value in asdict(record).items() if key != "path"}
    text = json.dumps(fields, indent=1) + "\n"
    with temporary_beside(Path(path)) as temporary:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        replace_whole(temporary, Path(path).resolve())


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Name a temporary file on the file system of another one, and remove it afterwards.

    Args:
        path: the other file; missing folders are made, and a link is followed.

    Yields:
        A path that no other process writes to.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | Path) -> Record:
    """Read a record from its file.

    Args:
        path: the file.

    Returns:
        The record.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no record; the message names the wrong field.
    """
    path = Path(path)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path.name} is not JSON: {problem}") from None
    _check(fields, RECORD_FIELDS, path.name)
    for i, run in enumerate(fields["runs"]):
        _check(run, RUN_FIELDS, f"{path.name}, run {i}")
    keys = [(run["arm"], run["seed"]) for run in fields["runs"]]
    if twice := [f"{arm}, seed {seed}" for arm, seed in set(keys) if keys.count((arm, seed)) > 1]:
        raise ValueError(f"{path.name} has a run twice: {'; '.join(sorted(twice))}")
    return Record(**fields, path=path)


def _check(fields: Any, expected: dict[str, type], where: str) -> None:
    if not isinstance(fields, dict) or fields.keys() != expected.keys():
        given = ", ".join(fields) if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(f"{where}: the fields are {given}; expected {', '.join(expected)}")
    for key, kind in expected.items():
        if not isinstance(fields[key], kind):
            given = type(fields[key]).__name__
            raise ValueError(f"{where}: {key} is {given}; it must be {kind.__name__}")


def difference(found: Record, wanted: Record) -> str:
    """Say where two records of what should be the same experiment first differ.

    Args:
        found: one record, "there" in the text.
        wanted: the other record, "here" in the text.

    Returns:
        The first difference, or nothing if they are of the same experiment.
    """
    for key in ("name", "data", "configuration"):
        # As JSON has them: a file holds lists where Python has tuples.
        a, b = (json.loads(json.dumps(getattr(record, key))) for record in (found, wanted))
        if a != b:
            return _first_difference(a, b, key)
    return ""


def _first_difference(a: Any, b: Any, where: str) -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        if only := a.keys() ^ b.keys():
            return f"{where}: only one of them has {', '.join(sorted(only))}"
        key = next(key for key in a if a[key] != b[key])
        return _first_difference(a[key], b[key], f"{where}, {key}")
    return f"{where}: {a!r} there, {b!r} here"
