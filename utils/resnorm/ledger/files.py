"""Opening, reading and merging records. Runs of different configurations are never mixed.

The records that come with the package are in ``RESULTS``. A reader's own are in another folder, see
:func:`own_folder`, so that no command changes the package.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .record import Record, difference, read, temporary_beside
from .stamp import RESULTS, commit


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
        OSError: if the file could not be written. It is tried now and not after hours of training.
        ValueError: if the file holds runs of another experiment, configuration or data set.
    """
    commit()  # of the code that runs: looked up before a long training, in which files may change
    path = Path(path) if path is not None else None
    # A file holds lists where Python has tuples, so the configuration goes through JSON once.
    wanted = Record(name, command, data, json.loads(json.dumps(configuration)), path=path)
    if path is None:
        return wanted
    found = read(path) if path.exists() else wanted
    if different := difference(found, wanted):
        raise ValueError(
            f"{path.name} holds other runs ({different}). "
            "Choose another file, or move this one away"
        )
    with temporary_beside(path) as temporary:
        temporary.touch()
    return found


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


def own_folder() -> Path:
    """Name the folder of the reader's own records, which a command fills unless told otherwise.

    Returns:
        The folder that the environment variable ``RESNORM_RUNS`` names, such as one on a drive that
        outlives the machine; without it, ``resnorm-runs`` in the working folder. It need not exist.
    """
    return Path(os.environ.get("RESNORM_RUNS") or "resnorm-runs").expanduser()


def own(name: str) -> Record | None:
    """Read the reader's own record of an experiment.

    Args:
        name: the name of the file in :func:`own_folder`, without ``.json``.

    Returns:
        The record, or None if there is none.

    Raises:
        ValueError: if the file holds no record; the message names the file.
    """
    path = own_folder() / f"{name}.json"
    return read(path) if path.exists() else None


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
        if different := difference(record, first):
            raise ValueError(f"merge: two records are not of the same experiment ({different})")
        merged.runs += [run for run in record.runs if not merged.has(run["arm"], run["seed"])]
    merged.runs.sort(key=lambda run: (run["arm"], run["seed"]))
    return merged
