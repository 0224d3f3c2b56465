"""Opening, reading and merging records. Runs of different configurations are never mixed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .record import RECORD_FIELDS, RUN_FIELDS, Record
from .stamp import PACKAGE

#: The records that the chapters draw from. They are part of the package, so that a single notebook
#: in Colab has them.
RESULTS = PACKAGE / "results"


def open_record(
    path: str | Path | None, name: str, command: str, data: str, configuration: dict[str, Any]
) -> Record:
    """Open a record to add runs to: the one in the file if it exists, a new one otherwise.

    Args:
        path: the file, or None for a record that is kept in memory only.
        name: the name of the experiment.
        command: the command that runs it, without the paths of one machine.
        data: a description of the data.
        configuration: everything that decides the numbers, except for the seeds.

    Returns:
        The record.

    Raises:
        ValueError: if the file holds runs of another experiment, configuration or data set.
    """
    path = Path(path) if path is not None else None
    # A file holds lists where Python has tuples, so the configuration goes through JSON once.
    wanted = Record(name, command, data, json.loads(json.dumps(configuration)), path=path)
    if path is None or not path.exists():
        return wanted
    found = read(path)
    if difference := _difference(found, wanted):
        raise ValueError(
            f"{path.name} holds other runs ({difference}). "
            "Choose another file, or move this one away"
        )
    return found


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
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path.name} is not JSON: {problem}") from None
    _check(fields, RECORD_FIELDS, path.name)
    for i, run in enumerate(fields["runs"]):
        _check(run, RUN_FIELDS, f"{path.name}, run {i}")
    return Record(**fields, path=path)


def recorded(name: str) -> Record:
    """Read a record that comes with the package.

    Args:
        name: the name of the file in ``RESULTS``, without ``.json``.

    Returns:
        The record.

    Raises:
        FileNotFoundError: if there is no such record; the message lists those that exist.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in RESULTS.glob("*.json"))) or "none"
        raise FileNotFoundError(f"no record named {name!r}; there are: {there}")
    return read(path)


def merge(records: Iterable[Record]) -> Record:
    """Join records of one configuration, such as seeds from several machines.

    Args:
        records: at least one; of two runs with the same arm and seed the first is kept.

    Returns:
        A new record that is kept in memory only.

    Raises:
        ValueError: if there is nothing to merge, or if the configurations or the data differ.
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


def _check(fields: Any, expected: dict[str, type], where: str) -> None:
    if not isinstance(fields, dict) or fields.keys() != expected.keys():
        given = ", ".join(fields) if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(f"{where}: the fields are {given}; expected {', '.join(expected)}")
    for key, kind in expected.items():
        if not isinstance(fields[key], kind):
            given = type(fields[key]).__name__
            raise ValueError(f"{where}: {key} is {given}; it must be {kind.__name__}")


def _difference(found: Record, wanted: Record) -> str:
    """Say where two records of what should be the same experiment first differ, if they do."""
    for key in ("name", "data", "configuration"):
        a, b = getattr(found, key), getattr(wanted, key)
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
