"""How the command line names the files of a record, and the command that made it."""

from __future__ import annotations

from pathlib import Path


def record_file(folder: Path, name: str, *, validation: bool = False) -> Path:
    """Name the file of a reader's own record. Those of the package are never written by default.

    Args:
        folder: the folder of the reader's records.
        name: the name of the experiment.
        validation: whether the errors are those of a validation split; these have their own file.

    Returns:
        The file; it need not exist.
    """
    return folder / f"{name}.validation.json" if validation else folder / f"{name}.json"


def state_folder(checkpoints: Path, *, validation: bool = False) -> Path:
    """Name the folder for the states of unfinished runs.

    Args:
        checkpoints: the folder for all states.
        validation: whether the runs measure on a validation split. They have the names of those
            that measure on the test set, so they get a folder of their own.

    Returns:
        The folder; it need not exist.
    """
    return checkpoints / "validation" if validation else checkpoints


def command(
    name: str, *, data: bool = True, validation: bool = False, tuned: str | None = None
) -> str:
    """Write the command for a record.

    Paths of one machine are left out, and so are seeds and arms, which each run states itself.

    Args:
        name: the name of the experiment.
        data: whether it needs images on the disk.
        validation: whether it measured on a validation split.
        tuned: the name of the record that chose the learning rates, if one did.

    Returns:
        The command.
    """
    words = ["python -m resnorm.experiments", name]
    words += ["--data DIR"] if data else []
    words += ["--validation"] if validation else []
    words += [f"--tuned {tuned}"] if tuned is not None else []
    return " ".join(words)
