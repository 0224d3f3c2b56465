"""The files of the repository, for the tests that read them all."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked_files():
    """Files of the repository, those that are not yet added included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    paths = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def text_of(path):
    """The text of a file; None if it holds none, or if others wrote it (``vendor``)."""
    if "vendor" in path.parts:
        return None
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


#: Path below the root -> text.
TEXTS = {
    path.relative_to(ROOT).as_posix(): text
    for path in tracked_files()
    if (text := text_of(path)) is not None
}
