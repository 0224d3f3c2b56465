"""The names of the files that a run leaves beside its record."""

from __future__ import annotations

from pathlib import Path


def run_file(
    folder: str | Path, experiment: str, arm: str, seed: int, *, weights: bool = False
) -> Path:
    """Name the file for the state of an unfinished run, or for the weights of a finished one.

    Args:
        folder: where the files are.
        experiment: the name of the experiment.
        arm: the name of the arm.
        seed: the seed of the run.
        weights: whether the file is for the weights of the trained network, and not for a state
            to resume from.

    Returns:
        The file; it need not exist.
    """
    kind = ", weights" if weights else ""
    return Path(folder) / f"{experiment}, {arm}, seed {seed}{kind}.pt"
