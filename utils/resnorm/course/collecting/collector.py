"""Copy the submissions of a download to one folder per student."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import archives
from .archives import MiB
from .class_list import Student
from .downloads import Submission, submissions
from .matching import match


@dataclass
class Collected:
    """What became of a download.

    Attributes:
        students: ids of the students whose submission was taken, or was there already.
        late: ids of those whose submission came late.
        again: ids of those whose further submission was kept beside the first.
        left: everything that was not taken: its name, and the reason.
    """

    students: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


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
    """Copy each submission to ``submitted/<student>/<assignment>``, whole or not at all.

    Args:
        source: a folder or a zip.
        assignment: name of the assignment.
        notebook: name of the file that grading expects, such as ``A1-batch-norm.ipynb``.
        students: the class.
        submitted: folder to copy to.
        due: when a submission is late, where the download does not say so itself.
        replace: take the new file of a student who has one already. Otherwise the new file is kept
            in ``duplicates`` and reported.

    Raises:
        ValueError: the download is refused as a whole.
    """
    collector = _Collector(assignment, notebook, students, submitted, due, replace)
    with tempfile.TemporaryDirectory(prefix="collect") as temporary:
        folder = source
        if source.is_file():
            folder = Path(temporary, "unpacked")
            folder.mkdir()
            collector.result.left += archives.unpack(source, folder)
        elif not source.is_dir():
            raise ValueError(
                f"{source} is neither a folder nor a zip; give what the LMS lets you download"
            )
        for submission in submissions(folder):
            collector.take(submission)
    return collector.result


@dataclass
class _Collector:
    """Takes one submission after another; the attributes are the arguments of ``collect``."""

    assignment: str
    notebook: str
    students: list[Student]
    submitted: Path
    due: datetime | None
    replace: bool
    result: Collected = field(default_factory=Collected)

    def take(self, submission: Submission) -> None:
        """Copy a submission to its student's folder, or note why not."""
        student = match(submission, self.students)
        if student is None:
            reason = (
                "nobody in the class list has this name, number or address: "
                "add the row, or its lms_id, and collect again"
            )
            self.result.left.append((submission.label, reason))
            return
        chosen = self._choose(student, submission)
        if chosen is None:
            return
        target = self.submitted / student.id / self.assignment
        late = submission.late or bool(self.due and submission.when and submission.when > self.due)
        if student.id in self.result.students or (target.exists() and not self.replace):
            self._keep_beside(student, chosen, target)
            return
        self._copy(submission, chosen, target)
        self.result.students.append(student.id)
        if late:
            self.result.late.append(student.id)

    def _choose(self, student: Student, submission: Submission) -> Path | None:
        """The notebook of a submission, or None, with a note, if it is not clear or too large."""
        notebooks = {
            name: path for name, path in submission.files.items() if name.lower().endswith(".ipynb")
        }
        only = next(iter(notebooks.values())) if len(notebooks) == 1 else None
        chosen = notebooks.get(self.notebook) or only
        if chosen is None:
            what = ", ".join(sorted(submission.files)) or "nothing"
            reason = (
                f"no file {self.notebook} and not exactly one notebook; handed in: {what[:200]}"
            )
            self.result.left.append((student.id, reason))
            return None
        if (size := chosen.stat().st_size) > archives.MAX_ONE:
            limit = archives.MAX_ONE // MiB
            reason = f"{chosen.name} has {size // MiB} MB; at most {limit} are taken"
            self.result.left.append((student.id, reason))
            return None
        return chosen

    def _keep_beside(self, student: Student, chosen: Path, target: Path) -> None:
        """Keep a further submission in ``duplicates``, unless it is the same as the first."""
        first = target / self.notebook
        if first.exists() and first.read_bytes() == chosen.read_bytes():
            if student.id not in self.result.students:
                self.result.students.append(student.id)
            return
        beside = self.submitted.parent / "duplicates" / student.id / self.assignment
        beside.mkdir(parents=True, exist_ok=True)
        kept = list(beside.glob("*.ipynb"))
        if all(path.read_bytes() != chosen.read_bytes() for path in kept):
            shutil.copy(chosen, beside / f"{len(kept) + 1}-{self.notebook}")
        self.result.again.append(student.id)

    def _copy(self, submission: Submission, chosen: Path, target: Path) -> None:
        """Copy the notebook and what it reads, such as saved predictions."""
        when = submission.when or datetime.fromtimestamp(chosen.stat().st_mtime, UTC)
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copy(chosen, part / self.notebook)
        for name, path in submission.files.items():
            if (
                path != chosen
                and not name.lower().endswith(".ipynb")
                and name != "timestamp.txt"
                and path.stat().st_size <= archives.MAX_ONE
            ):
                shutil.copy(path, part / name)
        stamp = when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        (part / "timestamp.txt").write_text(stamp, encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
