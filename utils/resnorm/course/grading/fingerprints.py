"""Hashes of everything that decides a result, so that nothing is graded twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from ..sandbox.limits import Limits
from .cells import meta, ours

if TYPE_CHECKING:
    from nbformat import NotebookNode

PACKAGE = Path(__file__).resolve().parents[2]


def of_assignment(source: NotebookNode, files: Iterable[Path] = ()) -> str:
    """Hash an assignment, and the package and libraries that grade it.

    Args:
        source: the instructor's notebook.
        files: those that are handed out with it.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    versions = [python_version(), version("torch"), version("numpy")]
    digest.update(json.dumps([versions, ours(source)], sort_keys=True).encode())
    for cell in source.cells:
        about = [dict(meta(cell)), ours(cell)]
        digest.update(json.dumps([cell.cell_type, cell.source, *about], sort_keys=True).encode())
    for path in [*sorted(files), *sorted(PACKAGE.rglob("*.py"))]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def of_grading(
    source: NotebookNode, files: Iterable[Path], limits: Limits, hidden: Path | None
) -> str:
    """Hash everything that decides the marks of an assignment, besides what is handed in.

    Args:
        source: the instructor's notebook.
        files: those that are handed out with it.
        limits: what one submission may use.
        hidden: file with hidden images; None for an assignment that has none.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256(f"{of_assignment(source, files)} {limits!r}".encode())
    if hidden is not None:
        digest.update(hidden.read_bytes())
    return digest.hexdigest()[:16]


def of_folder(folder: Path) -> str:
    """Hash the files that a student handed in, but not when.

    Args:
        folder: the one that holds them.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for entry in sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name)):
        if entry.name == "timestamp.txt":  # written by collect: it changes no mark
            continue
        digest.update(os.fsencode(entry.name) + b"\0")
        try:
            # What is no file of the student's own, a link or a pipe, is not graded, either.
            if entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as problem:
            digest.update(str(problem.errno).encode())
    return digest.hexdigest()[:16]
