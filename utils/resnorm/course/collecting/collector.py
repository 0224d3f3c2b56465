"""Copy the submissions of a download to one folder per student."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from ..atomic import write_whole
from ..sandbox.limits import MAX_FILE_BYTES, MiB
from . import archives
from .archives import printable
from .choosing import Candidate, beside, candidate, choose, handed_out
from .class_list import Student
from .collected import Collected
from .downloads import files_below, submissions
from .matching import Match, is_known, match
from .people import File, Person, Submission
from .storing import holds, keep, store
from .times import FILE_TIME, NOTED, HandedIn
from .worksheet import Worksheet

#: Files that Jupyter executes in a folder in which it looks for notebooks.
CONFIGURATION = re.compile(r"_config\.(py|json)$", re.IGNORECASE)


def collect(
    source: Path,
    assignment: str,
    notebook: str,
    students: list[Student],
    submitted: Path,
    *,
    due: datetime | None = None,
    replace: bool = False,
    handout: Path | None = None,
    worksheet: Worksheet | None = None,
    zone: tzinfo | None = None,
) -> Collected:
    """Copy each submission to ``submitted/<student>/<assignment>``, whole or not at all.

    Args:
        source: a folder or a zip.
        assignment: name of the assignment.
        notebook: name of the file that grading expects, such as ``A1-batch-norm.ipynb``.
        students: the class.
        submitted: folder to copy to.
        due: when a submission is late, where the download does not say so itself.
        replace: take the new file of a student who has one already, and keep the earlier one in
            ``duplicates``. Otherwise the new one is kept there. Both are reported.
        handout: the notebook that students get, which tells a blank file from a filled-in one.
        worksheet: Moodle's grading worksheet.
        zone: time zone of the times in a zip; None for that of this machine.

    Raises:
        ValueError: the download is refused as a whole.
    """
    collector = _Collector(
        assignment,
        notebook,
        students,
        submitted,
        due,
        replace,
        zone,
        handed_out(handout) if handout else frozenset(),
    )
    with tempfile.TemporaryDirectory(prefix="collect") as temporary:
        collector.temporary = Path(temporary)
        if source.is_file():
            folder = collector.unpacked(source)
        elif source.is_dir():
            folder = source
        else:
            raise ValueError(
                f"{source} is neither a folder nor a zip; give what the LMS lets you download"
            )
        collector.take_all(folder, worksheet)
    return collector.result


@dataclass
class _Claim:
    """A submission that seems to be of a student."""

    submission: Submission
    person: Person
    match: Match

    @property
    def number(self) -> str:
        """The number of this person in the download, which tells people of one name apart."""
        return self.person.number or self.person.loose_number


@dataclass
class _Collector:
    """Takes one submission after another; the attributes are the arguments of ``collect``."""

    assignment: str
    notebook: str
    students: list[Student]
    submitted: Path
    due: datetime | None
    replace: bool
    zone: tzinfo | None
    ours: frozenset[str]
    temporary: Path = Path()
    result: Collected = field(default_factory=Collected)

    def take_all(self, folder: Path, worksheet: Worksheet | None) -> None:
        """Find out whose everything is, and copy what is clear."""
        claims: dict[str, list[_Claim]] = defaultdict(list)
        for submission in submissions(self._inside(folder), self.is_known, worksheet):
            for person in submission.people:
                if submission.problem:
                    self.leave(person.label, submission.problem)
                    continue
                found = match(self._named(person), self.students)
                if found.student is None:
                    self.leave(person.label, found.reason)
                else:
                    claims[found.student.id].append(_Claim(submission, person, found))
        for student in self.students:
            if mine := self._agreeing(student, claims.get(student.id, [])):
                try:
                    self.take(student, mine)
                except PermissionError as problem:
                    self.leave(student.id, f"{problem.filename}: {problem.strerror}")

    def leave(self, label: str, reason: str) -> None:
        """Note that something is not taken."""
        self.result.left.append((printable(label), reason))

    def unpacked(self, archive: Path) -> Path:
        """Unpack a zip into a folder of its own."""
        folder = Path(tempfile.mkdtemp(dir=self.temporary))
        self.result.left += archives.unpack(archive, folder, self.zone)
        return folder

    def is_known(self, name: str) -> bool:
        """Whether a folder or file is named after somebody in the class."""
        return is_known(self._stripped(name), self.students)

    def _inside(self, folder: Path) -> Path:
        """The folder of the download: what is given, or the only zip in it."""
        files = [file.path for file in files_below(folder)]
        if len(files) == 1 and files[0].suffix.lower() == ".zip":
            names = [*files[0].relative_to(folder).parts[:-1], files[0].stem]
            if not any(map(self.is_known, names)):
                return self.unpacked(files[0])
        return folder

    def _named(self, person: Person) -> Person:
        """A person of whom only a file is known, without the assignment's name in it."""
        return Person(handle=self._stripped(person.handle)) if person.handle else person

    def _stripped(self, name: str) -> str:
        """A file's name without that of the assignment: ``A1_jane`` is Jane's."""
        if is_known(name, self.students):
            return name
        for part in (Path(self.notebook).stem, self.assignment):
            start = name.lower().find(part.lower())
            if start >= 0:
                name = f"{name[:start]} {name[start + len(part) :]}"
        return name.strip(" _-.") or "?"

    def _agreeing(self, student: Student, claims: list[_Claim]) -> list[_Claim]:
        """The claims on one student that can be of one person; notes the others."""
        if not claims:
            return []
        best = min(claim.match.level for claim in claims)
        numbers = {claim.number for claim in claims if claim.match.level == best} - {""}
        name = f"{student.id} ({student.name})"
        kept = []
        for claim in claims:
            is_worse = claim.match.level > best
            if is_worse and (claim.number or not claim.match.is_exact):
                self.leave(claim.person.label, f"somebody else fits {name} better")
            elif len(numbers) > 1 and best > 0:
                self.leave(
                    claim.person.label,
                    f"{len(numbers)} people in the download fit {name}: "
                    "put the right one's lms_id or email into the class list",
                )
            else:
                kept.append(claim)
        return kept

    def take(self, student: Student, claims: list[_Claim]) -> None:
        """Copy the best notebook of one student, or note why not."""
        self.result.remarks += [claim.match.remark for claim in claims if claim.match.remark]
        looked_into: list[tuple[Submission, list[File]]] = []
        found: list[Candidate] = []
        for claim in claims:
            files = self._files(claim.submission)
            looked_into.append((claim.submission, files))
            notebooks = [file for file in files if file.is_notebook and self._fits(student, file)]
            found += [
                candidate(file, claim.submission.order(file), self.ours) for file in notebooks
            ]
        chosen = choose(found, self.notebook)
        if chosen is None:
            names = sorted(printable(file.name) for _, files in looked_into for file in files)
            reason = f"no file {self.notebook} and not exactly one notebook; "
            reason += f"handed in: {', '.join(names)[:200] or 'nothing'}"
            self.leave(student.id, reason)
            return
        submission, files = next(pair for pair in looked_into if chosen.file in pair[1])
        target = self.submitted / student.id / self.assignment
        time = submission.time_of(chosen.file)
        wanted = self._wanted(files, chosen.file)
        earlier = self._earlier(target)
        is_same = holds(target, wanted)
        if is_same and not self.replace:
            self._keep_time(student, target, time)
        elif earlier and not self.replace and not (earlier.is_blank and chosen.is_filled_in):
            self._duplicate(student, wanted)
            self.result.again.append(student.id)
        else:
            if earlier and not is_same:
                self._note_replaced(student, earlier, chosen)
            store(wanted, target, self._noted(time))
            self.result.taken.append(student.id)
            self._note_time(student, time)
            self._note_others(student, chosen, [one for one in found if one is not chosen])
            self.result.students.append(student.id)

    def _earlier(self, target: Path) -> Candidate | None:
        """What was collected before. A folder without the notebook holds no work."""
        file = File(target / self.notebook, self.notebook)
        return candidate(file, (), self.ours) if file.path.is_file() else None

    def _wanted(self, files: list[File], chosen: File) -> dict[str, Path]:
        """Name -> file of what is copied: the notebook and what it reads, such as predictions."""
        wanted = {self.notebook: chosen.path}
        for name, path in beside(files, chosen).items():
            if CONFIGURATION.search(name):
                self.leave(printable(name), "would configure Jupyter in the folder of the student")
            elif path.stat().st_size <= MAX_FILE_BYTES and name not in (self.notebook, NOTED):
                wanted[name] = path
        return wanted

    def _note_replaced(self, student: Student, earlier: Candidate, chosen: Candidate) -> None:
        """Say what is replaced, and keep it, unless a filled-in notebook replaces a blank one."""
        if earlier.is_blank and chosen.is_filled_in:
            remark = "a filled-in notebook replaced a blank one"
        else:
            files = files_below(earlier.file.path.parent)
            self._duplicate(student, {file.name: file.path for file in files})
            took = f"{printable(chosen.file.name)} ({chosen.describes})"
            remark = f"took {took}, and kept the earlier one ({earlier.describes}) in duplicates"
        self.result.remarks.append(f"{student.id}: {remark}")

    def _fits(self, student: Student, file: File) -> bool:
        if (size := file.path.stat().st_size) <= MAX_FILE_BYTES:
            return True
        limit = MAX_FILE_BYTES // MiB
        reason = f"{printable(file.name)} has {size // MiB} MB; at most {limit} are taken"
        self.leave(student.id, reason)
        return False

    def _files(self, submission: Submission) -> list[File]:
        """The files of a submission, with those of its only zip if there is no notebook."""
        files = submission.files
        zips = [file for file in files if file.is_zip]
        if len(zips) == 1 and not any(file.is_notebook for file in files):
            try:
                unpacked = files_below(self.unpacked(zips[0].path))
                inside = [File(one.path, one.name, archive=zips[0].path) for one in unpacked]
            except ValueError as problem:
                self.leave(zips[0].name, str(problem))
                return files
            if any(file.is_notebook for file in inside):
                return [file for file in files if not file.is_zip] + inside
        return files

    def _note_time(self, student: Student, handed_in: HandedIn) -> None:
        self.result.times[student.id] = handed_in
        if handed_in.late or (self.due and handed_in.when and handed_in.when > self.due):
            self.result.late.append(student.id)

    def _note_others(self, student: Student, chosen: Candidate, others: list[Candidate]) -> None:
        """Say which notebook was taken when there were several, and keep the others."""
        content = chosen.file.path.read_bytes()
        others = [one for one in others if one.file.path.read_bytes() != content]
        for one in others:
            if one.is_filled_in:
                self._duplicate(student, {self.notebook: one.file.path})
        if others:
            rest = ", ".join(f"{printable(one.file.name)} ({one.describes})" for one in others)
            took = f"{printable(chosen.file.name)} ({chosen.describes})"
            self.result.remarks.append(f"{student.id}: took {took}, not {rest}")

    def _keep_time(self, student: Student, target: Path, time: HandedIn) -> None:
        """Of a submission that is there already, something better may be known about the time."""
        known = HandedIn.read(target / NOTED)
        if known and time.source in ("", FILE_TIME) and not known.is_same(time):
            time = known
        if noted := self._noted(time):
            write_whole(target / NOTED, noted)
        self._note_time(student, time)
        self.result.students.append(student.id)

    def _duplicate(self, student: Student, files: Mapping[str, Path]) -> None:
        """Keep a notebook and what it reads in ``duplicates``."""
        keep(files, self.submitted.parent / "duplicates" / student.id / self.assignment)

    def _noted(self, handed_in: HandedIn) -> str:
        """The time as nbgrader reads it; nothing if it is not known."""
        when = handed_in.when
        if handed_in.late and self.due and not (when and when > self.due):
            when = self.due + timedelta(seconds=1)
        return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else ""
