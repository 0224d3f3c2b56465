"""A course on disk: its folder, its assignments, its class, and what was handed in.

This file is longer than others because most of it is one class, whose methods all say where
something lies in the course's folder and read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .atomic import write_whole
from .collecting.class_list import COLUMNS, Student, read_class
from .grading.reports import Report

#: The assignments that come with a checkout of the course.
CHECKOUT = Path(__file__).resolve().parents[3] / "notebooks" / "assignments"
CONFIGURATION = """\
# Written by resnorm-course init. The commands of nbgrader itself work here, too
# (nbgrader --help; in jupyter lab the menu Nbgrader).
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {course!r}
# What the sandbox has run. What was handed in stays in the folder submitted.
c.CourseDirectory.submitted_directory = "restored"
# The conventions of a class are not handed out, whoever releases.
c.CourseDirectory.ignore.append({variants!r})
c.ClearSolutions.code_stub = {{"python": "# YOUR CODE HERE\\nraise NotImplementedError"}}
c.ClearSolutions.text_stub = "*Your answer here.*"
# Never execute outside of the sandbox: resnorm-course grade executes, nbgrader reads the result.
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors." + name
    for name in ("DeduplicateIds", "OverwriteCells", "CheckCellMetadata")
]
c.Autograde.autograde_preprocessors = [
    "nbgrader.preprocessors." + name
    for name in ("SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata")
]
# The notebooks are sanitized already; this holds for what nbgrader adds or somebody puts there.
c.HTMLExporter.sanitize_html = True
# Students get the verdicts, not the hidden tests: the next class has the same ones.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.GetGrades",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
"""


#: File beside a source notebook with its conventions, which is not handed out.
VARIANTS = "variants.py"
#: File of a course with the number that chooses the conventions of its class.
SEED = "variant-seed"
#: The most digits of that number.
DIGITS = 100
#: Seconds to wait for the lock of a course.
PATIENCE = 3.0


class CourseError(ValueError):
    """The instructor has to do something first, or differently. The message says what."""


def _locked(file: IO[str]) -> bool:
    """Lock an open file, unless somebody else has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # There are file systems that lock nothing, as before there was a lock.
    return True


def make(folder: Path, source: Path) -> None:
    """Make the folder of a new course.

    Args:
        folder: it must be empty, or not exist yet.
        source: folder that holds one folder per assignment.

    Raises:
        CourseError: the folder is not empty, or there are no assignments in ``source``.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(
            f"{folder} is not empty; choose another folder (an existing course needs no init)"
        )
    if not source.is_dir():
        raise CourseError(
            f"no assignments in {source}: "
            "run this from a checkout of the course, or give --from DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, folder / "source")
    (folder / "students.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    configuration = CONFIGURATION.format(course=folder.resolve().name, variants=VARIANTS)
    (folder / "nbgrader_config.py").write_text(configuration, encoding="utf-8")


@dataclass(frozen=True)
class Assignment:
    """One assignment.

    Attributes:
        name: such as ``A1``.
        notebook: the instructor's notebook, with solutions and hidden tests.
        files: those that are handed out with it.
    """

    name: str
    notebook: Path
    files: tuple[Path, ...]


class Course:
    """The folder of a course, and what is in it.

    ``source`` has the notebooks with solutions, ``release`` what students get, ``submitted`` what
    they handed in, ``duplicates`` what else of theirs was kept, ``restored`` what was handed in
    after the sandbox, and ``reports`` what happened there. ``hidden`` has the images that
    networks are graded on, and ``variant`` the notebooks with the conventions of this class, which
    the number in ``variant-seed`` chooses. ``autograded`` and ``feedback`` are nbgrader's, and
    ``marks`` is for the learning management system.

    Args:
        root: the folder.

    Raises:
        CourseError: there is no course in this folder.
    """

    def __init__(self, root: Path):
        self.root = root.resolve()
        if not (self.root / "nbgrader_config.py").is_file():
            raise CourseError(
                f"{root} is not a course (it has no nbgrader_config.py): "
                f"run resnorm-course init {root}, or give --course DIR"
            )

    @contextlib.contextmanager
    def alone(self, doing: str) -> Iterator[None]:
        """Keep other commands that write into this course out while the body runs.

        The system takes the lock back when this process ends, however it does. On a busy machine,
        a process that was killed may take a second or two to end, so the lock is waited for.

        Args:
            doing: the command, such as ``grade A1``, for whoever is kept out.

        Raises:
            CourseError: another command is at work. The message says which.
        """
        with (self.root / ".lock").open("a+") as file:
            until = time.monotonic() + PATIENCE
            while not _locked(file):
                if time.monotonic() < until:
                    time.sleep(0.1)
                    continue
                file.seek(0)
                at_work = file.read(200).strip() or "it does not say which"
                raise CourseError(
                    f"another resnorm-course command is at work in {self.root}: {at_work}. "
                    "Wait for its end, or stop it"
                )
            file.truncate(0)
            file.write(f"{doing}, process {os.getpid()}")
            file.flush()
            yield

    @property
    def variant_seed(self) -> int | None:
        """The private number that chooses the conventions of this class, or None without one.

        Raises:
            CourseError: what is in the file ``variant-seed`` is no such number.
        """
        path = self.root / SEED
        if not path.is_file():
            return None
        content = path.read_text(encoding="utf-8", errors="replace").strip()
        if not re.fullmatch(rf"[0-9]{{1,{DIGITS}}}", content):
            raise CourseError(
                f"the file {SEED} must hold one whole number of at most {DIGITS} digits; it holds "
                f"{content[:40]!r}. Write the number there with which the assignments were "
                "released, or remove the file if they were released without one"
            )
        return int(content)

    def keep_variant_seed(self, seed: int) -> None:
        """Keep the number that chooses the conventions of this class.

        Args:
            seed: a non-negative number.

        Raises:
            CourseError: the number is negative or too long, or the course has another one.
        """
        if not 0 <= seed < 10**DIGITS:
            wrong = "is negative" if seed < 0 else f"has more than {DIGITS} digits"
            raise CourseError(
                f"the variant {wrong}: give --variant a number of twenty digits or more"
            )
        known = self.variant_seed
        if known is not None and known != seed:
            raise CourseError(
                f"this course has a variant of its own already, and {seed} is another one: leave "
                f"--variant out. If no assignment is handed out yet, remove the file {SEED}"
            )
        released = self.root / "release"
        if known is None and released.is_dir() and (names := sorted(os.listdir(released))):
            raise CourseError(
                f"{', '.join(names)} is released in the published variant: another one would "
                "make right answers wrong. Leave --variant out; if nothing of it is handed out, "
                "remove the folder release"
            )
        write_whole(self.root / SEED, f"{seed}\n")

    def assignments(self) -> list[str]:
        """List the names of the assignments, in order."""
        folders = (self.root / "source").iterdir()
        return sorted(folder.name for folder in folders if any(folder.glob("*.ipynb")))

    def assignment(self, name: str) -> Assignment:
        """Get an assignment.

        Args:
            name: such as ``A1``.

        Raises:
            CourseError: there is no such assignment, or its folder does not hold one notebook.
        """
        folder = self.root / "source" / name
        notebooks = sorted(folder.glob("*.ipynb"))
        if not folder.is_dir():
            there = ", ".join(self.assignments()) or "none"
            raise CourseError(f"no assignment {name!r}: there are {there}")
        if len(notebooks) != 1:
            raise CourseError(f"source/{name} must hold one notebook; it holds {len(notebooks)}")
        ours = {notebooks[0].name, VARIANTS}
        beside = [path for path in sorted(folder.iterdir()) if path.is_file()]
        beside = [path for path in beside if path.name not in ours]
        return Assignment(name, notebooks[0], tuple(beside))

    def handout(self, name: str) -> Path:
        """Find the notebook that students get, or else the one it is made of.

        Args:
            name: of the assignment.
        """
        notebook = self.assignment(name).notebook
        places = [self.root / "release" / name, CHECKOUT / "release" / name]
        there = (folder / notebook.name for folder in places)
        return next((path for path in there if path.is_file()), notebook)

    def students(self) -> list[Student]:
        """Read the class list.

        Raises:
            CourseError: there is no class list, it is empty, or it cannot be used.
        """
        path = self.root / "students.csv"
        if not path.exists():
            raise CourseError(
                "there is no students.csv: save the class list of the LMS there, or make one with "
                "the columns id, name, email, lms_id"
            )
        try:
            students = read_class(path)
        except ValueError as problem:
            raise CourseError(str(problem)) from None
        if not students:
            raise CourseError(
                "students.csv lists nobody yet: one row per student, with id, name, email, lms_id"
            )
        return students

    def submitted(self, assignment: str) -> dict[str, Path]:
        """Find what was handed in.

        Args:
            assignment: name of the assignment.

        Returns:
            Student's id -> folder.
        """
        return {
            path.parent.name: path
            for path in sorted((self.root / "submitted").glob(f"*/{assignment}"))
            if path.is_dir()
        }

    def report_path(self, assignment: str, student: str) -> Path:
        """Say where the report of a submission is kept.

        Args:
            assignment: name of the assignment.
            student: id of the student.
        """
        return self.root / "reports" / assignment / f"{student}.json"

    def report(self, assignment: str, student: str) -> Report | None:
        """Read the report of the last grading, if there is one that this version can read.

        Args:
            assignment: name of the assignment.
            student: id of the student.
        """
        path = self.report_path(assignment, student)
        try:
            return Report.read(path) if path.exists() else None
        except (ValueError, TypeError, KeyError):  # of another version: it is graded again
            return None

    def failures(self, assignment: str) -> dict[str, str]:
        """Read which submissions this machine failed to grade, and why.

        Args:
            assignment: name of the assignment.
        """
        path = self._failures_path(assignment)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def note_failures(self, assignment: str, reports: Iterable[Report]) -> None:
        """Note which submissions this machine failed to grade, in place of what was noted before.

        Args:
            assignment: name of the assignment.
            reports: those of the last run.
        """
        known = self.failures(assignment)
        for report in reports:
            known.pop(report.student, None)
            if report.status == "failed":
                known[report.student] = report.incidents[-1].message
        if known or self._failures_path(assignment).exists():
            write_whole(self._failures_path(assignment), json.dumps(known, indent=1) + "\n")

    def _failures_path(self, assignment: str) -> Path:
        return self.root / "reports" / assignment / ".failed.json"
