"""From what a learning management system hands out to one folder a student.

Bulk downloads differ in how they pack a submission: Canvas names files ``doejane_LATE_1234_5678_a1.ipynb``,
Moodle makes folders ``Jane Doe_1234_assignsubmission_file``, Gradescope folders ``submission_1234`` with a
``submission_metadata.yml`` beside them. A folder with one folder a student is taken as it is.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import yaml

MiB = 2**20
#: Of an archive, unpacked: far above any class's notebooks, far below a disk.
MAX_BYTES, MAX_FILES, MAX_ONE = 4096 * MiB, 50_000, 64 * MiB

CANVAS = re.compile(
    r"^(?P<name>[^_]+)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?P<submission>\d+)_(?P<file>.+)$"
)
MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?$")
GRADESCOPE = re.compile(r"^submission_(?P<id>\d+)$")


@dataclass(frozen=True)
class Student:
    """A row of the class list: the name that folders and marks use, the full name, what the LMS calls the person."""

    id: str
    name: str = ""
    email: str = ""
    lms_id: str = ""


@dataclass
class Found:
    """One person's files in an export."""

    label: str
    lms_id: str = ""
    late: bool = False
    when: datetime | None = None
    files: dict[str, Path] = field(default_factory=dict)


@dataclass
class Collected:
    """What became of an export: students with a submission, and every file that was not taken, with the reason."""

    students: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def read_class(path: Path) -> list[Student]:
    """The class list: a CSV with the columns ``id`` and, if wanted, ``name``, ``email``, ``lms_id``.

    Raises:
        ValueError: no column ``id``, a name that cannot be a folder's, or two rows of one person.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or []
    if "id" not in columns:
        raise ValueError(
            f"{path.name} needs a column id (and may have name, email, lms_id); it has {', '.join(columns) or 'none'}"
        )
    students = [
        Student(**{key: (row.get(key) or "").strip() for key in ("id", "name", "email", "lms_id")})
        for row in rows
    ]
    for student in students:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]*", student.id):
            raise ValueError(
                f"{path.name}: the id {student.id!r} must be of letters, digits and . _ @ - (it names a folder)"
            )
    for attribute in ("id", "lms_id", "email"):
        values = [value for student in students if (value := getattr(student, attribute).lower())]
        if double := {value for value in values if values.count(value) > 1}:
            raise ValueError(
                f"{path.name}: more than one row has the {attribute} {', '.join(sorted(double))}"
            )
    return students


def unpack(archive: Path, folder: Path) -> list[tuple[str, str]]:
    """Unpack a zip: nothing outside the folder, no links, nothing beyond the limits; archives inside stay packed.

    Returns:
        Entries that were left out, with the reason.

    Raises:
        ValueError: no zip that can be read, or altogether too much.
    """
    left_out, left = [], MAX_BYTES
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES:
                raise ValueError(
                    f"{archive.name} holds {len(entries):,} files; at most {MAX_FILES:,} are unpacked. Nothing was collected"
                )
            for entry in entries:
                target = _inside(folder, entry.filename)
                if target is None:
                    left_out.append(
                        (repr(entry.filename), "would be unpacked outside of its folder")
                    )
                elif stat.S_ISLNK(entry.external_attr >> 16):
                    left_out.append((entry.filename, "is a link"))
                else:
                    try:
                        left -= _unpack_one(zipped, entry, target, left)
                    except _LeftOut as reason:
                        left_out.append((entry.filename, str(reason)))
                        left -= MAX_ONE
                if left < 0:
                    raise ValueError(
                        f"{archive.name} unpacks to more than {MAX_BYTES // MiB:,} MB. Nothing was collected"
                    )
    except (zipfile.BadZipFile, EOFError) as problem:
        raise ValueError(f"{archive.name} cannot be read as a zip: {problem}") from None
    return left_out


class _LeftOut(ValueError):
    """One entry of an archive that is not taken."""


def _unpack_one(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Bytes that were written; what comes out counts, not what the entry claims."""
    written, most = 0, min(MAX_ONE, left)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(entry) as source, target.open("xb") as file:
            while chunk := source.read(MiB):
                written += len(chunk)
                if written > most:
                    break
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise _LeftOut("is there twice in the archive") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        target.unlink(missing_ok=True)
        raise _LeftOut(f"is damaged or encrypted: {problem}") from None
    if written > most:
        target.unlink()
        raise _LeftOut(f"unpacks to more than {most // MiB} MB")
    return written


def _inside(folder: Path, name: str) -> Path | None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        return None
    return folder.joinpath(*parts.parts)


def submissions(folder: Path) -> Iterator[Found]:
    """Who handed in what, from an unpacked export of any of the systems above."""
    entries = sorted(
        path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))
    )
    while (
        len(entries) == 1 and entries[0].is_dir() and _holds_others(entries[0])
    ):  # the export's own folder
        entries = sorted(
            path for path in entries[0].iterdir() if not path.name.startswith((".", "__MACOSX"))
        )
    metadata = next((path for path in entries if path.name == "submission_metadata.yml"), None)
    gradescope = _gradescope(metadata) if metadata else {}
    canvas: dict[tuple[str, str], Found] = {}
    for entry in entries:
        if entry.is_dir():
            files = {
                path.name: path
                for path in sorted(entry.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
            if match := MOODLE.match(entry.name):
                yield Found(match["name"], match["id"], files=files)
            elif entry.name in gradescope:
                yield Found(**gradescope[entry.name], files=files)
            else:
                yield Found(entry.name, files=files, when=_timestamp(entry))
        elif match := CANVAS.match(entry.name):
            found = canvas.setdefault(
                (match["name"], match["id"]), Found(match["name"], match["id"])
            )
            found.late |= bool(match["late"])
            # Canvas counts resubmissions up: a1-2.ipynb is the third
            name = re.sub(r"-\d+(?=\.[^.]+$)", "", match["file"])
            if name not in found.files or _count(match["file"]) >= _count(found.files[name].name):
                found.files[name] = entry
    yield from canvas.values()


def _holds_others(folder: Path) -> bool:
    """Whether a folder is that of an export, not of one person."""
    if MOODLE.match(folder.name) or GRADESCOPE.match(folder.name):
        return False
    inside = list(folder.iterdir())
    return not any(path.suffix.lower() == ".ipynb" for path in inside) or any(
        CANVAS.match(path.name) for path in inside
    )


def _count(name: str) -> int:
    match = re.search(r"-(\d+)(?=\.[^.]+$)", name)
    return int(match[1]) if match else 0


def _timestamp(folder: Path) -> datetime | None:
    file = folder / "timestamp.txt"
    try:
        return datetime.fromisoformat(file.read_text().strip().replace(" UTC", "+00:00"))
    except (OSError, ValueError):
        return None


def _gradescope(metadata: Path) -> dict[str, dict]:
    """Folder -> label, id and time, from Gradescope's description."""
    try:
        described = yaml.safe_load(metadata.read_text(encoding="utf-8")) or {}
        people = {}
        for name, entry in described.items():
            person = (entry.get(":submitters") or [{}])[0]
            when = entry.get(":created_at")
            people[name] = {
                "label": str(person.get(":email") or person.get(":name") or name),
                "lms_id": str(person.get(":sid") or ""),
                "when": when if isinstance(when, datetime) else None,
            }
        return people
    except (yaml.YAMLError, AttributeError, TypeError, OSError) as problem:
        raise ValueError(
            f"{metadata.name} cannot be read: {str(problem).splitlines()[0]}"
        ) from None


def _words(text: str) -> list[str]:
    """Of a name, without case, accents and punctuation."""
    return re.findall(
        r"[a-z0-9]+", unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    )


def match(found: Found, students: list[Student]) -> Student | None:
    """Whose files these are: by the LMS's number, the id, the address, or the name if only one person has it."""
    for attribute, value in (
        ("lms_id", found.lms_id),
        ("id", found.label),
        ("email", found.label),
        ("id", found.lms_id),
    ):
        if value and (
            same := [
                student
                for student in students
                if getattr(student, attribute).lower() == value.lower()
            ]
        ):
            return same[0]
    # Canvas writes doejane for Jane Doe: compare the letters, in any order of the words
    given = _words(found.label)
    same = [
        s
        for s in students
        if s.name and (sorted(_words(s.name)) == sorted(given) or "".join(given) in _orders(s.name))
    ]
    return same[0] if len(same) == 1 else None


def _orders(name: str) -> set[str]:
    words = _words(name)
    return {"".join(words), "".join([*words[-1:], *words[:-1]]), "".join(reversed(words))}


def collect(
    source: Path,
    assignment: str,
    notebook: str,
    students: list[Student],
    submitted: Path,
    *,
    due: datetime | None = None,
    replace: bool = False,
) -> Collected:
    """Copy the submissions of an export to ``submitted/<student>/<assignment>``, each whole or not at all.

    Args:
        source: a folder or a zip.
        assignment: name of the assignment.
        notebook: the file's name that grading expects, such as ``A1-batch-norm.ipynb``.
        students: the class.
        submitted: where to.
        due: after it a submission is late; Canvas says so itself.
        replace: take the new file where a student has one already; else it is kept beside, and reported.

    Raises:
        ValueError: the archive is refused as a whole.
    """
    result = Collected()
    with tempfile.TemporaryDirectory(prefix="collect") as temporary:
        folder = source
        if source.is_file():
            folder = Path(temporary, "unpacked")
            folder.mkdir()
            result.left += unpack(source, folder)
        elif not source.is_dir():
            raise ValueError(
                f"{source} is neither a folder nor a zip; give what the LMS lets you download"
            )
        for found in submissions(folder):
            _take(found, assignment, notebook, students, submitted, due, replace, result)
    return result


def _take(found, assignment, notebook, students, submitted, due, replace, result) -> None:
    student = match(found, students)
    if student is None:
        result.left.append(
            (
                found.label,
                "nobody in the class list has this name, number or address: add the row, or its lms_id, and collect again",
            )
        )
        return
    notebooks = {
        name: path for name, path in found.files.items() if name.lower().endswith(".ipynb")
    }
    chosen = notebooks.get(notebook) or (
        next(iter(notebooks.values())) if len(notebooks) == 1 else None
    )
    if chosen is None:
        what = ", ".join(sorted(found.files)) or "nothing"
        result.left.append(
            (
                student.id,
                f"no file {notebook} and not exactly one notebook; handed in: {what[:200]}",
            )
        )
        return
    if chosen.stat().st_size > MAX_ONE:
        result.left.append(
            (
                student.id,
                f"{chosen.name} has {chosen.stat().st_size // MiB} MB; at most {MAX_ONE // MiB} are taken",
            )
        )
        return
    target = submitted / student.id / assignment
    late = found.late or bool(due and found.when and found.when > due)
    if student.id in result.students or (target.exists() and not replace):
        if (target / notebook).exists() and (target / notebook).read_bytes() == chosen.read_bytes():
            if student.id not in result.students:
                result.students.append(student.id)
            return  # the same once more: nothing to do
        beside = submitted.parent / "duplicates" / student.id / assignment
        beside.mkdir(parents=True, exist_ok=True)
        kept = list(beside.glob("*.ipynb"))
        if all(path.read_bytes() != chosen.read_bytes() for path in kept):
            shutil.copy(chosen, beside / f"{len(kept) + 1}-{notebook}")
        result.again.append(student.id)
        return
    when = found.when or datetime.fromtimestamp(chosen.stat().st_mtime, UTC)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shutil.copy(chosen, part / notebook)
    for name, path in found.files.items():  # what the notebook reads, such as saved predictions
        if (
            path != chosen
            and not name.lower().endswith(".ipynb")
            and name != "timestamp.txt"
            and path.stat().st_size <= MAX_ONE
        ):
            shutil.copy(path, part / name)
    (part / "timestamp.txt").write_text(
        when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), encoding="utf-8"
    )
    if target.exists():
        shutil.rmtree(target)
    os.replace(part, target)
    result.students.append(student.id)
    if late:
        result.late.append(student.id)
