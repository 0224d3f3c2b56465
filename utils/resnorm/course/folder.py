"""A course on disk: what is released, handed in, graded, and exported. nbgrader keeps the gradebook."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import nbformat
import numpy as np

from . import collect as collecting
from . import grading
from .sandbox import Limits, NoSandbox, require

CONFIGURATION = """\
# Written by resnorm-course init. nbgrader's own commands (nbgrader --help; in jupyter lab the menu Nbgrader) work here, too.
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "{course}"
c.CourseDirectory.submitted_directory = "restored"  # what the sandbox has run; what was handed in stays in submitted
c.ClearSolutions.code_stub = {{"python": "# YOUR CODE HERE\\nraise NotImplementedError"}}
c.ClearSolutions.text_stub = "*Your answer here.*"
# Never execute outside of the sandbox: resnorm-course grade does it, and nbgrader reads what it found.
c.Autograde.sanitize_preprocessors = ["nbgrader.preprocessors." + name for name in ("DeduplicateIds", "OverwriteCells", "CheckCellMetadata")]
c.Autograde.autograde_preprocessors = ["nbgrader.preprocessors." + name for name in ("SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata")]
# Students get the verdicts, not the hidden tests: the next class has the same ones.
c.GenerateFeedback.preprocessors = ["nbgrader.preprocessors.ClearHiddenTests", "nbgrader.preprocessors.GetGrades", "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor"]
"""
CLASS_LIST = "id,name,email,lms_id\n"


class CourseError(ValueError):
    """Something that the instructor has to do first, or differently."""


def make(folder: Path, source: Path) -> None:
    """A new course's folder.

    Raises:
        CourseError: the folder is not empty, or there are no assignments in ``source``.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CourseError(
            f"{folder} is not empty; choose another folder (an existing course needs no init)"
        )
    if not source.is_dir():
        raise CourseError(
            f"no assignments in {source}: run this from a checkout of the course, or give --from DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, folder / "source")
    (folder / "students.csv").write_text(CLASS_LIST, encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(
        CONFIGURATION.format(course=folder.resolve().name), encoding="utf-8"
    )


@dataclass(frozen=True)
class Assignment:
    """One assignment: its name, its notebook, and the files that are handed out with it."""

    name: str
    notebook: Path
    files: tuple[Path, ...]


class Course:
    """The folder of a course.

    ``source`` has the notebooks with solutions, ``release`` what students get, ``submitted`` what they
    handed in, ``restored`` the same after the sandbox, ``reports`` what happened there, ``autograded`` and
    ``feedback`` are nbgrader's, ``marks`` is for the LMS.

    Raises:
        CourseError: no course in this folder.
    """

    def __init__(self, root: Path):
        self.root = root.resolve()
        if not (self.root / "nbgrader_config.py").is_file():
            raise CourseError(
                f"{root} is no course (it has no nbgrader_config.py): run resnorm-course init {root}, or give --course DIR"
            )

    # --- what there is ---------------------------------------------------------------------------

    def assignments(self) -> list[str]:
        """Names, in order."""
        return sorted(
            path.name for path in (self.root / "source").iterdir() if any(path.glob("*.ipynb"))
        )

    def assignment(self, name: str) -> Assignment:
        """One by name.

        Raises:
            CourseError: no such assignment, or not exactly one notebook in it.
        """
        folder = self.root / "source" / name
        notebooks = sorted(folder.glob("*.ipynb"))
        if len(notebooks) != 1:
            there = ", ".join(self.assignments()) or "none"
            raise CourseError(
                f"no assignment {name!r}: there are {there}"
                if not folder.is_dir()
                else f"source/{name} must hold one notebook; it holds {len(notebooks)}"
            )
        return Assignment(
            name,
            notebooks[0],
            tuple(
                path for path in sorted(folder.iterdir()) if path.is_file() and path != notebooks[0]
            ),
        )

    def students(self) -> list[collecting.Student]:
        """The class list."""
        path = self.root / "students.csv"
        if not path.exists():
            raise CourseError(
                "there is no students.csv: make one with the columns id, name, email, lms_id"
            )
        try:
            students = collecting.read_class(path)
        except ValueError as problem:
            raise CourseError(str(problem)) from None
        if not students:
            raise CourseError(
                "students.csv lists nobody yet: one row a student, with id, name, email, lms_id"
            )
        return students

    def submitted(self, assignment: str) -> dict[str, Path]:
        """Student -> folder of what was handed in."""
        return {
            path.parent.name: path
            for path in sorted((self.root / "submitted").glob(f"*/{assignment}"))
            if path.is_dir()
        }

    def report(self, assignment: str, student: str) -> grading.Report | None:
        """The report of the last grading, if there is one."""
        path = self._report(assignment, student)
        return grading.Report.read(path) if path.exists() else None

    def _report(self, assignment: str, student: str) -> Path:
        return self.root / "reports" / assignment / f"{student}.json"

    def labels(self, name: str) -> np.ndarray | None:
        """The hidden labels of an assignment that is graded by predictions, or None for any other.

        Raises:
            CourseError: it needs them, and they were not made.
        """
        source = nbformat.read(self.assignment(name).notebook, as_version=4)
        if not any(cell.metadata.get("resnorm", {}).get("levels") for cell in source.cells):
            return None
        path = self.root / "hidden" / name / "labels.npy"
        if not path.exists():
            raise CourseError(
                f"{name} is graded by predictions, and has no hidden part yet: run resnorm-course hide {name} --data DIR"
            )
        return np.load(path, allow_pickle=False)

    def hide(self, name: str, labels: np.ndarray, count: int, seed: int) -> Path:
        """Choose the hidden part: ``count`` of the images, the same number of each class; all other labels become -1.

        Raises:
            CourseError: there is one already (another would change marks), or too few images.
        """
        path = self.root / "hidden" / self.assignment(name).name / "labels.npy"
        if path.exists():
            raise CourseError(
                f"{name} has a hidden part already ({path.relative_to(self.root)}); another one would change marks: delete it yourself if you mean it"
            )
        classes, generator = np.unique(labels), np.random.default_rng(seed)
        each = count // len(classes)
        if each == 0 or min(int((labels == c).sum()) for c in classes) < each:
            raise CourseError(
                f"{count} images cannot be hidden: {each} of each of {len(classes)} classes are wanted"
            )
        hidden = np.full(len(labels), -1, dtype=np.int64)
        for c in classes:
            chosen = generator.choice(np.flatnonzero(labels == c), each, replace=False)
            hidden[chosen] = c
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, hidden)
        return path

    # --- nbgrader --------------------------------------------------------------------------------

    def _nbgrader(self):
        from nbgrader.apps import NbGraderAPI
        from traitlets.config import Config
        from traitlets.config.loader import PyFileConfigLoader

        # nbgrader calls alembic by name; where it was called by its path, the environment's folder is not searched
        binaries = str(Path(sys.executable).parent)
        if binaries not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([binaries, os.environ.get("PATH", "")])
        config = Config(PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config())
        config.CourseDirectory.root = str(self.root)
        return NbGraderAPI(config=config)

    def _call(self, what: str, result: dict) -> None:
        if not result["success"]:
            said = f"{result.get('log') or ''}\n{result.get('error') or ''}".splitlines()
            reasons = [
                line.strip()
                for line in said
                if re.match(r"\s*[\w.]*(Error|Exception)\b", line) and "traceback" not in line
            ]
            raise CourseError(
                f"nbgrader could not {what}: {reasons[-1] if reasons else 'it does not say why'}"
            )

    def release(self, name: str) -> Path:
        """Write the student's notebook to ``release`` and enter the assignment into the gradebook.

        Raises:
            CourseError: a graded cell that compares nothing, or what nbgrader complains of.
        """
        assignment = self.assignment(name)
        cells = grading.graded_cells(nbformat.read(assignment.notebook, as_version=4))
        if silent := [
            grading.meta(cell)["grade_id"]
            for cell in cells
            if not re.search(r"checking\.(close|record)\(", cell.source)
        ]:
            raise CourseError(
                f"{name}: these graded cells compare nothing, so they would earn nothing: {', '.join(silent)}; use checking.close or checking.emit"
            )
        self._call(
            f"release {name}", self._nbgrader().generate_assignment(name, force=True, create=True)
        )
        return self.root / "release" / name / assignment.notebook.name

    # --- grading ---------------------------------------------------------------------------------

    def grade(
        self,
        name: str,
        students: Iterable[str] | None = None,
        *,
        jobs: int = 1,
        force: bool = False,
        limits: Limits = Limits(),
        unsafe: bool = False,
        told: Callable[[grading.Report], None] = lambda report: None,
    ) -> list[grading.Report]:
        """Grade what is handed in and not yet graded as it is; a report each, also for what cannot be graded.

        Args:
            name: of the assignment.
            students: only these.
            jobs: submissions at the same time.
            force: grade again what has not changed.
            limits: of one submission.
            unsafe: without a sandbox.
            told: called with each report as it comes.

        Raises:
            CourseError: nothing to grade, an unknown student, no sandbox, or a solution that fails itself.
        """
        try:
            require(unsafe)
        except NoSandbox as problem:
            raise CourseError(str(problem)) from None
        assignment, submitted = self.assignment(name), self.submitted(name)
        chosen = sorted(submitted) if students is None else list(students)
        if unknown := [student for student in chosen if student not in submitted]:
            raise CourseError(f"{', '.join(unknown)}: nothing handed in for {name}")
        if not chosen:
            raise CourseError(
                f"nothing is handed in for {name}: run resnorm-course collect {name} EXPORT first"
            )
        source = nbformat.read(assignment.notebook, as_version=4)
        try:
            told_by_solution = grading.reference(
                source,
                self.root / "reports" / ".reference",
                assignment.files,
                limits,
                unsafe=unsafe,
            )
        except grading.NotGradable as problem:
            raise CourseError(str(problem)) from None
        labels = self.labels(name)
        base = grading.fingerprint(source, assignment.files)
        todo, done = [], []
        for student in chosen:
            key = f"{base}-{_fingerprint(submitted[student])}"
            report = self.report(name, student)
            if report and report.key == key and not force:
                done.append(report)
            else:
                todo.append((student, key))
        for report in done:
            told(report)
        for report in self._run(
            assignment, submitted, todo, told_by_solution, labels, jobs, limits, unsafe
        ):
            done.append(report)
            told(report)
        self._enter(name, done)
        return sorted(done, key=lambda report: report.student)

    def _run(
        self, assignment, submitted, todo, told, labels, jobs, limits, unsafe
    ) -> Iterator[grading.Report]:
        tasks = [
            (self.root, assignment, student, key, submitted[student], told, labels, limits, unsafe)
            for student, key in todo
        ]
        if not tasks:
            return
        with ProcessPoolExecutor(
            max_workers=min(jobs, len(tasks)), mp_context=get_context("spawn")
        ) as pool:
            futures = [pool.submit(_grade_one, *task) for task in tasks]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool:
                raise CourseError(
                    "a grading process was killed (out of memory?). What was graded is kept; run the command again, with fewer --jobs"
                ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _enter(self, name: str, reports: list[grading.Report]) -> None:
        """Into nbgrader's gradebook: one after the other, since SQLite has one writer."""
        api = self._nbgrader()
        with api.gradebook as gradebook:
            for student in self.students():
                first, _, last = student.name.rpartition(" ")
                gradebook.update_or_create_student(
                    student.id,
                    first_name=first,
                    last_name=last,
                    email=student.email or None,
                    lms_user_id=student.lms_id or None,
                )
        for report in reports:
            if report.status in ("refused", "failed"):
                continue
            if self._entered(name, report.student) == report.key:
                continue
            try:
                self._call(
                    f"enter {report.student}'s {name}",
                    api.autograde(name, report.student, force=True, create=True),
                )
                (self.root / "autograded" / report.student / name / ".key").write_text(report.key)
            except (CourseError, OSError) as problem:
                report.status, report.incidents = "failed", [*report.incidents, _machine(problem)]
        with api.gradebook as gradebook:
            for report in reports:
                if report.status not in ("refused", "failed"):
                    grades = gradebook.find_submission(name, report.student).notebooks[0].grades
                    for verdict in report.verdicts:
                        if verdict.bonus:
                            next(
                                grade for grade in grades if grade.name == verdict.name
                            ).extra_credit = verdict.points
                    gradebook.db.commit()
                    # two ways to the same number: a difference is a fault of ours
                    entered = sum(grade.auto_score or 0.0 for grade in grades)
                    if abs(entered - report.points) > 1e-6:
                        raise CourseError(
                            f"{report.student}: the gradebook has {entered:g} points, the report {report.points:g}; please report this"
                        )

    def _entered(self, name: str, student: str) -> str:
        """Key of the report that the gradebook has whole; nbgrader leaves unmarked cells when it is stopped."""
        path = self.root / "autograded" / student / name / ".key"
        return path.read_text() if path.is_file() else ""

    def feedback(self, name: str) -> list[Path]:
        """Write what students get back: a page for each graded submission."""
        graded = sorted(path.parent.name for path in (self.root / "autograded").glob(f"*/{name}"))
        if not graded:
            raise CourseError(f"{name} is not graded yet: run resnorm-course grade {name} first")
        api = self._nbgrader()
        for student in graded:
            self._call(
                f"write the feedback of {student}", api.generate_feedback(name, student, force=True)
            )
        return [
            page
            for student in graded
            for page in sorted((self.root / "feedback" / student / name).glob("*.html"))
        ]

    # --- marks -----------------------------------------------------------------------------------

    def marks(self, name: str) -> list[dict]:
        """A row for every student of the class: mark, what it is of, and what stands in the way of one."""
        rows = []
        with self._nbgrader().gradebook as gradebook:
            possible = (
                gradebook.find_assignment(name).max_score
                if name in {a.name for a in gradebook.assignments}
                else None
            )
            entered = (
                {s.student.id: s for s in gradebook.assignment_submissions(name)}
                if possible is not None
                else {}
            )
            for student in self.students():
                report = self.report(name, student.id)
                row = {"student": student, "possible": possible, "mark": None, "why": ""}
                if student.id not in self.submitted(name):
                    row["why"] = "nothing handed in"
                elif report is None:
                    row["why"] = "not graded yet"
                elif report.status == "refused":
                    row["why"] = report.incidents[0].message
                elif student.id not in entered or self._entered(name, student.id) != report.key:
                    row["why"] = "not in the gradebook yet: run grade again"
                else:
                    submission = entered[student.id]
                    row["mark"] = submission.score
                    waiting = [
                        grade.name
                        for notebook in submission.notebooks
                        for grade in notebook.grades
                        if grade.needs_manual_grade
                    ]
                    row["why"] = (
                        f"waits for a person: {', '.join(waiting)}"
                        if waiting
                        else (
                            "unfinished run, see the report"
                            if report.status == "unfinished"
                            else ""
                        )
                    )
                rows.append(row)
        return rows

    def export(self, name: str, system: str) -> Path:
        """The marks as a CSV that Canvas or Moodle imports; who has none keeps an empty field, never a 0."""
        rows = self.marks(name)
        columns: list[str]
        if system == "canvas":
            columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", name]
            lines = [
                [
                    "    Points Possible",
                    "",
                    "",
                    "",
                    "",
                    _mark(rows[0]["possible"] if rows else None),
                ]
            ]
            lines += [
                [
                    r["student"].name,
                    r["student"].lms_id,
                    r["student"].id,
                    r["student"].email,
                    "",
                    _mark(r["mark"]),
                ]
                for r in rows
            ]
        elif system == "moodle":
            columns = [
                "Identifier",
                "Full name",
                "Email address",
                "Grade",
                "Maximum Grade",
                "Feedback comments",
            ]
            lines = [
                [
                    r["student"].lms_id or r["student"].id,
                    r["student"].name,
                    r["student"].email,
                    _mark(r["mark"]),
                    _mark(r["possible"]),
                    r["why"],
                ]
                for r in rows
            ]
        else:
            raise CourseError(f"{system!r} is no system that is known here: canvas or moodle")
        path = self.root / "marks" / f"{name}-{system}.csv"
        table = io.StringIO(newline="")
        csv.writer(table).writerows(
            [columns, *([_harmless(value) for value in line] for line in lines)]
        )
        grading.write_whole(path, table.getvalue())
        return path


def _mark(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _harmless(value: str) -> str:
    """A spreadsheet takes a field that begins like a formula for one."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _grade_one(
    root: Path,
    assignment: Assignment,
    student: str,
    key: str,
    folder: Path,
    told: dict,
    labels: np.ndarray | None,
    limits: Limits,
    unsafe: bool,
) -> grading.Report:
    """One submission, in a process of its own: sandbox, verdicts, files; the report is written last."""
    destination = root / "restored" / student / assignment.name
    part = destination.with_name(destination.name + ".part")
    try:
        source = nbformat.read(assignment.notebook, as_version=4)
        path = folder / assignment.notebook.name
        if not path.is_file():
            raise grading.NotGradable(
                f"there is no {assignment.notebook.name} among {', '.join(sorted(p.name for p in folder.iterdir())) or 'nothing'}"
            )
        submitted = grading.read_submission(path)
        theirs = [
            p
            for p in sorted(folder.iterdir())
            if p.is_file() and not p.is_symlink() and p != path and p.name != "timestamp.txt"
        ]
        ours = {p.name for p in assignment.files}
        notebook, report = grading.grade(
            submitted, source, told,
            student=student, assignment=assignment.name, limits=limits, labels=labels, unsafe=unsafe,
            files=[*assignment.files, *(p for p in theirs if p.name not in ours)],
        )  # fmt: skip
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        nbformat.write(notebook, part / assignment.notebook.name)
        if (folder / "timestamp.txt").exists():
            shutil.copy(folder / "timestamp.txt", part)
        shutil.rmtree(destination, ignore_errors=True)
        os.replace(part, destination)
    except grading.NotGradable as problem:
        report = grading.Report(
            student,
            assignment.name,
            "refused",
            incidents=[grading.Incident(-1, "refused", str(problem))],
        )
    except OSError as problem:
        shutil.rmtree(part, ignore_errors=True)
        return grading.Report(student, assignment.name, "failed", incidents=[_machine(problem)])
    report.key = key
    try:
        report.write(root / "reports" / assignment.name / f"{student}.json")
    except OSError as problem:
        report.status, report.incidents = "failed", [_machine(problem)]
    return report


def _machine(problem: Exception) -> grading.Incident:
    """What is this machine's fault and not the student's. No report of it is kept, so that the next run tries again."""
    why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
    return grading.Incident(
        -1, "machine", f"could not be graded: {why}. Mend that and run the command again"
    )
