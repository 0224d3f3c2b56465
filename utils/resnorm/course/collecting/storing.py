"""Write what was handed in: whole, and never over something else."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..atomic import write_whole
from .times import NOTED


def holds(folder: Path, files: Mapping[str, Path], before: str = "") -> bool:
    """Say whether a folder has files of these names and contents.

    Args:
        folder: where to look; it need not exist.
        files: name -> file with the content.
        before: what stands in the folder before each of the names.
    """
    return all(
        (kept := folder / f"{before}{name}").is_file() and filecmp.cmp(kept, path, shallow=False)
        for name, path in files.items()
    )


def store(files: Mapping[str, Path], target: Path, noted: str = "") -> None:
    """Copy a submission. Stopped at any moment, this leaves no folder with a part of it.

    Args:
        files: name -> file.
        target: folder to make or to replace.
        noted: when it was handed in, as nbgrader reads it; empty if that is not known.

    Raises:
        OSError: it cannot be written. What was there before is left as it was.
    """
    part, old = (target.with_name(target.name + end) for end in (".part", ".old"))
    for left_over in (part, old):
        shutil.rmtree(left_over, ignore_errors=True)
    part.mkdir(parents=True)
    for name, path in files.items():
        shutil.copy(path, part / name)
    if noted:
        write_whole(part / NOTED, noted)
    if target.exists():
        os.replace(target, old)
    os.replace(part, target)
    shutil.rmtree(old, ignore_errors=True)


def keep(files: Mapping[str, Path], folder: Path) -> None:
    """Keep a duplicate, once; its files get a number that no other has had.

    Args:
        files: name -> file.
        folder: that of the duplicates of a student.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [re.match(r"(\d+)-", path.name) for path in folder.iterdir()]
    numbers = {int(name[1]) for name in names if name}
    if not any(holds(folder, files, f"{number}-") for number in numbers):
        for name, path in files.items():
            shutil.copy(path, folder / f"{max(numbers, default=0) + 1}-{name}")
