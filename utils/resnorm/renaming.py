"""Files that are replaced whole, even if the power fails."""

import os
from pathlib import Path


def replace_whole(part: Path, path: Path) -> None:
    """Rename a finished file to its final name, after its content has reached the disk.

    A system may write the new name to the disk before the content, so that a power cut between the
    two would leave an empty file under the final name.

    Args:
        part: the finished and closed file, on the file system of ``path``.
        path: the final name; a file that has it is replaced.

    Raises:
        OSError: the content cannot be written, or the file cannot be renamed.
    """
    with part.open("rb+") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())
    os.replace(part, path)
