"""Unpack a zip that nobody has looked into."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ..sandbox.limits import MAX_FILE_BYTES, MiB
from .times import localized

#: Limits of an archive, unpacked: bytes of all files, and their number. They are far above the
#: notebooks of any class, and far below the size of a disk.
MAX_BYTES, MAX_FILES = 4096 * MiB, 50_000
#: Longest name of a file or folder that is written, in bytes (Linux allows 255), and how deep
#: folders may lie in each other.
MAX_NAME, MAX_DEPTH = 200, 50
#: Extra fields of an entry: the time in seconds since 1970, and the name in UTF-8.
TIME_FIELD, NAME_FIELD = 0x5455, 0x7075


def unpack(archive: Path, folder: Path, zone: tzinfo | None = None) -> list[tuple[str, str]]:
    """Unpack a zip, but nothing outside the folder, no links, and nothing beyond the limits.

    Archives inside the archive stay packed. Hidden files and folders are skipped. The files keep
    the times that the archive has for them.

    Args:
        archive: the zip.
        folder: where its files go.
        zone: time zone of the archive's times; None for that of this machine.

    Returns:
        The entries that were left out, each with the reason.

    Raises:
        ValueError: this is not a zip that can be read, or it unpacks to too much.
    """
    left_out, left = [], MAX_BYTES
    try:
        with _opened(archive) as zipped:
            entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES:
                raise ValueError(
                    f"{archive.name} holds {len(entries):,} files; "
                    f"at most {MAX_FILES:,} are unpacked. Nothing was collected"
                )
            for entry in entries:
                name = _name(entry)
                target = _inside(folder, name)
                if target is None:
                    left_out.append((repr(name), "would be unpacked outside of its folder"))
                elif is_hidden(target.relative_to(folder)):
                    continue
                elif len(target.relative_to(folder).parts) > MAX_DEPTH:
                    left_out.append((printable(name), f"lies in more than {MAX_DEPTH} folders"))
                elif stat.S_ISLNK(entry.external_attr >> 16):
                    left_out.append((printable(name), "is a link"))
                else:
                    try:
                        left -= _unpack_one(zipped, entry, target, left)
                        when = _time(entry, zone)
                        os.utime(target, (when, when))
                    except _EntryError as problem:
                        left_out.append((printable(name), str(problem)))
                        left -= problem.written
                if left < 0:
                    raise ValueError(
                        f"{archive.name} unpacks to more than {MAX_BYTES // MiB:,} MB. "
                        "Nothing was collected"
                    )
    except (zipfile.BadZipFile, EOFError, UnicodeDecodeError, struct.error) as problem:
        raise ValueError(f"{archive.name} cannot be read as a zip: {problem}") from None
    return left_out


def is_hidden(path: Path) -> bool:
    """Whether a file is nobody's work: hidden, a checkpoint, or in a folder of that kind.

    Args:
        path: relative to the folder of the download.
    """
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def printable(name: str) -> str:
    """A name as a message can show it: short, without control characters and half characters.

    Args:
        name: of a file, with any characters.
    """
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= 100 else f"{shown[:60]}…{shown[-30:]}"


def writable(name: str) -> str:
    """A name that every file system takes, and that is the same for a usual name.

    Args:
        name: of one file or folder, with any characters.
    """
    name = "".join(letter if letter.isprintable() else "_" for letter in name)
    name = "_" if name in (".", "..") else name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, dot, suffix = name, "", ""
    while len(f"{stem}{dot}{suffix}".encode()) > MAX_NAME:
        stem = stem[:-1]
    return f"{stem}{dot}{suffix}"


class _EntryError(ValueError):
    """One entry cannot be unpacked; the others can. What was written of it counts all the same."""

    def __init__(self, reason: str, written: int = 0):
        super().__init__(reason)
        self.written = written


class _Copy(mmap.mmap):
    """A file in memory, in which a change stays in memory."""

    def seekable(self) -> bool:
        """Say that it can be read at any place, which Python 3.11 does not know of it."""
        return True


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip, also one with names that claim to be UTF-8 and are not."""
    try:
        zipped = zipfile.ZipFile(archive)
    except UnicodeDecodeError:
        with archive.open("rb") as file, _Copy(file.fileno(), 0, access=mmap.ACCESS_COPY) as copy:
            _clear_claims(copy)
            with zipfile.ZipFile(cast(IO[bytes], copy)) as zipped:
                yield zipped
        return
    with zipped:
        yield zipped


def _clear_claims(copy: mmap.mmap) -> None:
    """Clear the flag "the name is in UTF-8" of every entry, in memory only."""
    end = copy.rfind(b"PK\x05\x06")
    size = int.from_bytes(copy[end + 12 : end + 16], "little")
    place = copy.find(b"PK\x01\x02", max(0, end - size) if size < 2**32 - 1 else 0)
    while place >= 0:
        copy[place + 9] &= ~0x08
        start = int.from_bytes(copy[place + 42 : place + 46], "little")
        if copy[start : start + 4] == b"PK\x03\x04":
            copy[start + 7] &= ~0x08
        place = copy.find(b"PK\x01\x02", place + 46)


def _name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry. Many programs write UTF-8 and do not say so."""
    if entry.flag_bits & 0x800:
        return entry.filename
    field = _extra(entry, NAME_FIELD)
    raw = field[5:] if field else entry.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return entry.filename


def _time(entry: zipfile.ZipInfo, zone: tzinfo | None) -> float:
    """When the file was changed last, in seconds since 1970, by the archive."""
    field = _extra(entry, TIME_FIELD)
    if len(field) >= 5 and field[0] & 1:
        return float(int.from_bytes(field[1:5], "little"))
    try:
        return localized(datetime(*entry.date_time), zone).timestamp()
    except (ValueError, OverflowError):  # such as month 0
        return datetime(1980, 1, 1, tzinfo=UTC).timestamp()


def _extra(entry: zipfile.ZipInfo, wanted: int) -> bytes:
    """One of the extra fields of an entry; empty if there is none."""
    rest = entry.extra
    while len(rest) >= 4:
        kind, size = struct.unpack("<HH", rest[:4])
        if kind == wanted:
            return rest[4 : 4 + size]
        rest = rest[4 + size :]
    return b""


def _unpack_one(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Unpack one entry and return the bytes written. Those count, not what the entry claims."""
    if entry.flag_bits & 1:
        raise _EntryError("is encrypted: ask for it without a password")
    written, max_bytes = 0, min(MAX_FILE_BYTES, left)
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
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        UnicodeDecodeError,
    ) as problem:
        target.unlink(missing_ok=True)
        raise _EntryError(f"is damaged or encrypted: {problem}", written) from None
    except OSError as problem:
        if problem.errno not in (errno.ENAMETOOLONG, errno.EINVAL):
            raise
        raise _EntryError(f"cannot be written under its name: {problem.strerror}") from None
    if written > max_bytes:
        target.unlink()
        raise _EntryError(f"unpacks to more than {max_bytes // MiB} MB", written)
    return written


def _inside(folder: Path, name: str) -> Path | None:
    """Where an entry goes; None if that would be outside the folder."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        return None
    return folder.joinpath(*map(writable, parts.parts))
