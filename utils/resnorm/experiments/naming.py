"""How the command line names the file of a record, and the command that made it."""

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
    return folder / f"{name}{'.validation' * validation}.json"


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
    how = " --data DIR" * data + " --validation" * validation
    how += f" --tuned {tuned}" if tuned is not None else ""
    return f"python -m resnorm.experiments {name}{how}"
