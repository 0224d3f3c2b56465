"""Trained networks with weights: kept in half precision, small enough to ship, and loaded again."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ...ledger import RESULTS, Record, own, read, recorded
from ...renaming import replace_whole
from .networks import untrained
from .run_files import run_file

#: The weights that come with the package, of runs in its records.
SHIPPED = RESULTS / "weights"


class Shipped(NamedTuple):
    """A trained network that comes with the package.

    Attributes:
        record: the name of the record of its run; with ``arm`` and ``seed`` for :func:`trained`.
        arm: the name of the arm.
        seed: the seed of the run.
        training: the settings of the training, as the record has them.
        results: what the run measured, such as ``"test error"`` in percent.
        data: the images on which it was measured.
        path: the file of the weights.
    """

    record: str
    arm: str
    seed: int
    training: dict[str, Any]
    results: dict[str, Any]
    data: str
    path: Path


def shipped() -> list[Shipped]:
    """List the trained networks that come with the package.

    Returns:
        One entry for each network, the smallest test error first.
    """
    found = []
    for file in RESULTS.glob("*.json"):
        if file.stem.endswith(".validation"):
            continue  # its runs have the names of others, which are measured on the test set
        record = read(file)
        for run in record.runs:
            path = run_file(SHIPPED, record.name, run["arm"], run["seed"], weights=True)
            if "weights" in run["results"] and path.exists():
                training = record.configuration["arms"][run["arm"]]["training"]
                what = (record.name, run["arm"], run["seed"], training, run["results"])
                found.append(Shipped(*what, record.data, path))
    return sorted(found, key=lambda network: float(network.results["test error"]))


def save_weights(model: nn.Module, path: str | Path) -> str:
    """Save a network's state with its floating-point tensors in half precision.

    A parameter takes two bytes instead of four, and a relative error of at most 2^-11.

    Args:
        model: the trained network; it is not changed.
        path: the file; one that exists is replaced.

    Returns:
        The SHA-256 checksum of the file, in hexadecimal.

    Raises:
        OSError: the file cannot be written; one that was there is as it was.
        ValueError: a weight is not finite in half precision, whose largest number is 65,504.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        kept = tensor.detach().cpu()
        if kept.is_floating_point():
            kept = kept.half()
            if not kept.isfinite().all():
                raise ValueError(
                    f"{name} is not finite in half precision, so the weights are not saved; its "
                    f"largest magnitude is {tensor.abs().max().item():g}"
                )
        state[name] = kept.clone()
    # Through memory: torch.save itself reports a full disk as a RuntimeError.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(buffer.getvalue())
        replace_whole(part, path)
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def trained(
    name: str,
    arm: str | None = None,
    seed: int | None = None,
    *,
    folder: str | Path | None = None,
    record: Record | None = None,
) -> nn.Module:
    """Load a network that ``python -m resnorm.experiments NAME --weights DIR`` has trained.

    Some trained networks come with the package, see :func:`shipped`:
    ``trained("lesion-short", "residual-20")`` works at once, unless there is a record of the
    reader's own.

    The record says how to build the network and which checksum its weights have, so that a damaged
    file, or one of another run, is never loaded.

    Args:
        name: the name of the record, such as ``"six-minutes"``.
        arm: the name of the arm; None if only one arm has weights.
        seed: the seed of the run; None takes the smallest seed that has weights.
        folder: the DIR of ``--weights``. None takes the package's weights for a record that comes
            with the package, and the folder ``weights`` for any other.
        record: where the run is recorded; None takes the reader's own record, see
            :func:`resnorm.ledger.own`, or else the one that comes with the package.
            ``resnorm.ledger.recorded(name)`` takes the package's in any case.

    Returns:
        The network on the CPU, in float32 and in evaluation mode. Its weights are those of the end
        of the training, rounded to half precision. It expects images (N, 3, side, side) as
        :func:`resnorm.data.cifar.standardize` makes them, where side is that of the training.

    Raises:
        FileNotFoundError: there is no record of this name, or the folder has no such file.
        ValueError: the record has another name, no such run has kept its weights, several arms
            have, or the file is not the one that the run wrote.
    """
    if record is None:
        record = own(name) or recorded(name)
    elif record.name != name:
        raise ValueError(f"the record is one of {record.name!r}, and not of {name!r}")
    if folder is None:
        comes_with_package = record.path is not None and record.path.parent == RESULTS
        folder = SHIPPED if comes_with_package else "weights"
    run = _run_with_weights(record, arm, seed)
    path = run_file(folder, record.name, run["arm"], run["seed"], weights=True)
    content = _verified(path, run["results"]["weights"]["sha256"])
    built_as = record.configuration["arms"][run["arm"]]
    # A record holds lists where the arm has tuples.
    options = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in built_as["options"].items()
    }
    model = untrained(built_as["model"], options, run["seed"])
    model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    return model.eval()


def _run_with_weights(record: Record, arm: str | None, seed: int | None) -> dict[str, Any]:
    """Choose the run whose weights are asked for; an error lists the runs that kept theirs."""
    kept = [run for run in record.runs if "weights" in run["results"]]
    if not kept:
        raise ValueError(
            f"no run in this record of {record.name} kept its weights. Train one: "
            f"python -m resnorm.experiments {record.name} --weights weights, with the data, a new "
            "record (--out) and what else the command needs. If the package has such weights, "
            f"record=resnorm.ledger.recorded({record.name!r}) takes them"
        )
    there = "; ".join(f"{run['arm']!r}, seed {run['seed']}" for run in kept)
    wanted = [
        run
        for run in kept
        if (arm is None or run["arm"] == arm) and (seed is None or run["seed"] == seed)
    ]
    if not wanted:
        raise ValueError(
            f"{record.name} has no weights of arm {arm!r}, seed {seed}; it has those of {there}"
        )
    if len({run["arm"] for run in wanted}) > 1:
        raise ValueError(f"{record.name} has weights of several arms; choose one of {there}")
    return min(wanted, key=lambda run: int(run["seed"]))


def _verified(path: Path, expected: str) -> bytes:
    """Read a file whose SHA-256 checksum is known, and refuse any other content."""
    if not path.exists():
        there = ", ".join(sorted(found.name for found in path.parent.glob("*weights.pt")))
        raise FileNotFoundError(
            f"no file {path.name!r} in {str(path.parent)!r}, which has {there or 'no weights'}. "
            "Give the DIR of --weights as folder"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path.name} has the SHA-256 checksum {found}; the record expects {expected}. The "
            "file is damaged, or of another run, so it is not loaded. Copy it again, or delete it "
            "and train again with --weights and a new record"
        )
    return content
