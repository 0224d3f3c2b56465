"""Unpack a zip that nobody has looked into."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

MiB = 2**20
#: Limits of an archive, unpacked: bytes of all files, their number, and bytes of one file. They are
#: far above the notebooks of any class, and far below the size of a disk.
MAX_BYTES, MAX_FILES, MAX_ONE = 4096 * MiB, 50_000, 64 * MiB


def unpack(archive: Path, folder: Path) -> list[tuple[str, str]]:
    """Unpack a zip, but nothing outside the folder, no links, and nothing beyond the limits.

    Archives inside the archive stay packed.

    Args:
        archive: the zip.
        folder: where its files go.

    Returns:
        The entries that were left out, each with the reason.

    Raises:
        ValueError: this is not a zip that can be read, or it unpacks to too much.
    """
    left_out, left = [], MAX_BYTES
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES:
                raise ValueError(
                    f"{archive.name} holds {len(entries):,} files; "
                    f"at most {MAX_FILES:,} are unpacked. Nothing was collected"
                )
            for entry in entries:
                target = _inside(folder, entry.filename)
                if target is None:
                    reason = "would be unpacked outside of its folder"
                    left_out.append((repr(entry.filename), reason))
                elif stat.S_ISLNK(entry.external_attr >> 16):
                    left_out.append((entry.filename, "is a link"))
                else:
                    try:
                        left -= _unpack_one(zipped, entry, target, left)
                    except _EntryError as problem:
                        left_out.append((entry.filename, str(problem)))
                        left -= MAX_ONE
                if left < 0:
                    raise ValueError(
                        f"{archive.name} unpacks to more than {MAX_BYTES // MiB:,} MB. "
                        "Nothing was collected"
                    )
    except (zipfile.BadZipFile, EOFError) as problem:
        raise ValueError(f"{archive.name} cannot be read as a zip: {problem}") from None
    return left_out


class _EntryError(ValueError):
    """One entry of an archive is not unpacked."""


def _unpack_one(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one entry and return the bytes written. Those count, not what the entry claims."""
    written, max_bytes = 0, min(MAX_ONE, left)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(entry) as source, target.open("xb") as file:
            while chunk := source.read(MiB):
                written += len(chunk)
                if written > max_bytes:
                    break
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise _EntryError("is there twice in the archive") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        target.unlink(missing_ok=True)
        raise _EntryError(f"is damaged or encrypted: {problem}") from None
    if written > max_bytes:
        target.unlink()
        raise _EntryError(f"unpacks to more than {max_bytes // MiB} MB")
    return written


def _inside(folder: Path, name: str) -> Path | None:
    """Where an entry goes; None if that would be outside the folder."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        return None
    return folder.joinpath(*parts.parts)
