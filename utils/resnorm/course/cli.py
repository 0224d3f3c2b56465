"""``resnorm-course``: one command per step, from an empty folder to the marks.

The commands are private functions, because they are called through ``app`` alone. Their arguments
are documented by help texts (``options``), which ``resnorm-course COMMAND --help`` shows. They
import what needs nbformat, nbconvert or nbgrader themselves, because those take seconds, and help
needs none of them.
"""

from __future__ import annotations

import itertools
import os
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import typer

from . import options
from .collecting import times
from .collecting.collected import summary
from .collecting.times import time_zone
from .collecting.worksheet import read_worksheet
from .folder import CHECKOUT, Course, CourseError, make
from .grading.reports import Report
from .marks import STATES
from .sandbox.bubblewrap import unavailable
from .sandbox.limits import DEFAULT_LIMITS, GiB, Limits

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Release, collect, grade and export the assignments of the course.\n\n"
    "The steps are: init, release A1, (hand out release/A1), collect A1 EXPORT, grade A1, "
    "(mark the written answers: jupyter lab, menu Nbgrader), feedback A1, export A1. "
    "Every command can be given again; what is done is not done twice.\n\n"
    "Exit codes: 0 done; 1 done, but some submissions need a look; 2 nothing was done, and the "
    "message says why; 3 an error that was not foreseen; 130 stopped by Ctrl-C.",
)


@app.command("init")
def _init(
    folder: options.NewFolder,
    source: options.Source = None,
    variant: options.Variant = None,
) -> None:
    """Make a course's folder: configuration, an empty class list, the source notebooks."""
    make(folder, source or CHECKOUT / "source")
    if variant is not None:
        Course(folder).keep_variant_seed(variant)
    typer.echo(f"Made {folder} with {', '.join(Course(folder).assignments())}.")
    typer.echo(
        "Next: save the class list of the LMS as students.csv there, or fill in its columns; then: "
        "resnorm-course release A1"
    )
    if reason := unavailable():
        typer.echo(f"Before grading: {reason}", err=True)


@app.command("release")
def _release(
    assignment: options.Assignment,
    course: options.Course = Path("."),
    variant: options.Variant = None,
) -> None:
    """Write the students' notebook, without solutions and hidden tests."""
    from .gradebook import Gradebook
    from .variants import described

    here = Course(course)
    here.assignment(assignment)
    with here.alone(f"release {assignment}"):
        if variant is not None:
            here.keep_variant_seed(variant)
        path = Gradebook(here).release(assignment)
    if here.variant_seed is None:
        typer.echo(f"Released: {path}. Hand out its folder, or the Colab link of the book's page.")
        return
    typer.echo(f"Released: {path}. Hand out its folder; the book's page has another variant.")
    typer.echo(described(here, assignment))


@app.command("collect")
def _collect(
    assignment: options.Assignment,
    download: options.Download,
    course: options.Course = Path("."),
    due: options.Due = "",
    timezone: options.Timezone = "",
    worksheet: options.Worksheet = None,
    replace: options.Replace = False,
) -> None:
    """Sort what students handed in into one folder per student.

    Takes the download of Canvas, Moodle or Gradescope, or a folder that holds one folder or file
    per student.
    """
    from .collecting import collector
    from .gradebook import Gradebook

    here = Course(course)
    handout = here.handout(assignment)
    if not download.exists():
        raise CourseError(
            f"there is no {download}; give the zip or the folder that the LMS lets you download"
        )
    students = here.students()
    gradebook = Gradebook(here)
    with here.alone(f"collect {assignment}"):
        try:
            zone = time_zone(timezone)
            deadline = times.deadline(due, zone) if due else gradebook.due(assignment)
            listed = read_worksheet(worksheet, zone) if worksheet else None
            result = collector.collect(
                download,
                assignment,
                here.assignment(assignment).notebook.name,
                students,
                here.root / "submitted",
                due=deadline,
                replace=replace,
                handout=handout,
                worksheet=listed,
                zone=zone,
            )
        except ValueError as problem:
            raise CourseError(str(problem)) from None
        if due and deadline and not gradebook.set_due(assignment, deadline):
            reason = f"run resnorm-course release {assignment}, then collect again"
            result.left.append((f"--due {due}", f"{assignment} is not in the gradebook: {reason}"))
    typer.echo(f"Collected {len(result.students)} of {len(students)} students.")
    for line in summary(result, deadline, zone, listed):
        typer.echo(line)
    for label, reason in result.left:
        typer.echo(f"Not taken: {label}: {reason}", err=True)
    if not result.students and not result.again:
        why = "see above" if result.left else "there is no notebook and no zip in it"
        raise CourseError(f"nothing was collected: {why}")
    if result.left:
        raise typer.Exit(1)


@app.command("grade")
def _grade(
    assignment: options.Assignment,
    students: options.Students = None,
    course: options.Course = Path("."),
    jobs: options.Jobs = 1,
    force: options.Force = False,
    cell_seconds: options.CellSeconds = DEFAULT_LIMITS.cell_seconds,
    notebook_seconds: options.NotebookSeconds = DEFAULT_LIMITS.notebook_seconds,
    memory: options.Memory = DEFAULT_LIMITS.memory / GiB,
    unsafe: options.Unsafe = False,
) -> None:
    """Run each submission in a sandbox, mark it, and report what it did.

    Stop it at any moment; given again, it continues where it stopped.
    """
    from tqdm import tqdm

    from .runs import grade_class

    here = Course(course)
    limits = Limits(
        memory=int(memory * GiB), cell_seconds=cell_seconds, notebook_seconds=notebook_seconds
    )
    total = len(students) if students else len(here.submitted(assignment))
    with (
        here.alone(f"grade {assignment}"),
        tqdm(total=total, unit="submission", disable=not sys.stderr.isatty()) as bar,
    ):
        done = itertools.count(1)

        def advance(report: Report) -> None:
            bar.update()
            if bar.disable:  # into a file goes a line per submission instead of a bar
                typer.echo(f"{next(done)} of {total} done: {report.student}", err=True)

        reports = grade_class(
            here,
            assignment,
            students or None,
            jobs=jobs,
            force=force,
            limits=limits,
            unsafe=unsafe,
            on_report=advance,
        )
        here.note_failures(assignment, reports)
    attention = sum(_show(report) for report in reports)
    marked = sum(report.has_mark for report in reports)
    typer.echo(
        f"Graded {marked} of {len(reports)}; {attention} need a look. "
        f"Reports: reports/{assignment}/"
    )
    if attention:
        raise typer.Exit(1)


def _show(report: Report) -> bool:
    """Print a report in short, and say whether somebody needs to look at it."""
    mark = f"{report.points:g}/{report.possible:g}" if report.has_mark else "no mark"
    status = "" if report.status == "graded" else f", {report.status}"
    typer.echo(f"{report.student}: {mark}{status}")
    for incident in report.incidents:
        # A line of its own could be taken for one of ours, such as that of somebody else's mark.
        typer.echo(f"    {incident.kind}: {' | '.join(incident.message.splitlines())}")
    return report.status != "graded" or bool(report.incidents)


@app.command("hide")
def _hide(
    assignment: options.Assignment,
    data: options.Data,
    seed: options.Seed,
    count: options.Count = 5000,
    course: options.Course = Path("."),
) -> None:
    """Choose the test images that networks are graded on (A6)."""
    from .. import data as datasets
    from .hidden_images import hide

    try:
        images = datasets.cifar10(data)
    except (FileNotFoundError, ValueError) as problem:
        raise CourseError(str(problem)) from None
    if images.source != "CIFAR-10":
        raise CourseError(
            f"{data} holds {images.source}: students train on the pixels of the official archive, "
            "so put cifar-10-python.tar.gz there"
        )
    here = Course(course)
    with here.alone(f"hide {assignment}"):
        test = images.test_images.numpy(), images.test_labels.numpy()
        held_out = set(images.validation_indices().tolist())
        trained_on = [i for i in range(len(images.train_labels)) if i not in held_out]
        familiar = images.train_images[trained_on].numpy(), images.train_labels[trained_on].numpy()
        path = hide(here, assignment, test, familiar, count, seed)
    typer.echo(f"Wrote {path}. It is not released and not in the sandbox; keep a copy.")


@app.command("weigh")
def _weigh(
    assignment: options.Assignment, networks: options.Networks, course: options.Course = Path(".")
) -> None:
    """Say what networks of your own would earn, to calibrate the levels (A6)."""
    from .weighing import weighed

    for line in weighed(Course(course), assignment, networks):
        typer.echo(line)


@app.command("feedback")
def _feedback(assignment: options.Assignment, course: options.Course = Path(".")) -> None:
    """Write one page per student, with the verdicts and your comments."""
    from .gradebook import Gradebook

    here = Course(course)
    with here.alone(f"feedback {assignment}"):
        pages, without = Gradebook(here).feedback(assignment)
    typer.echo(f"Wrote {len(pages)} pages into feedback/<student>/{assignment}/.")
    for student, reason in without.items():
        typer.echo(f"No page: {student}: {reason}", err=True)


@app.command("export")
def _export(
    assignment: options.Assignment,
    system: options.System,
    course: options.Course = Path("."),
    template: options.Template = None,
    column: options.Column = "",
) -> None:
    """Write the marks as a CSV for the LMS. A student without a mark keeps an empty field."""
    from .export import export

    here = Course(course)
    here.assignment(assignment)
    with here.alone(f"export {assignment}"):
        exported = export(here, assignment, system, template, column)
    typer.echo(f"Wrote {exported.path}.")
    for remark in exported.remarks:
        typer.echo(f"    {remark}", err=True)
    open_marks = [mark for mark in exported.marks if mark.reason]
    for mark in open_marks:
        typer.echo(f"    {mark.student.id}: {mark.reason}", err=True)
    if open_marks or exported.remarks:
        raise typer.Exit(1)


@app.command("status")
def _status(course: options.Course = Path(".")) -> None:
    """Show what is released, handed in and graded, and what waits for a person."""
    from .gradebook import Gradebook

    here = Course(course)
    size = len(here.students())
    for name in here.assignments():
        released = "released" if (here.root / "release" / name).is_dir() else "not released"
        submitted = here.submitted(name)
        parts = [f"{len(submitted)} of {size} handed in"]
        if submitted:
            marks = [mark for mark in Gradebook(here).marks(name) if mark.student.id in submitted]
            states = Counter(mark.state for mark in marks)
            parts += [f"{states.pop('graded', 0)} graded"]
            parts += [f"{states[state]} {state}" for state in STATES if states[state]]
            parts += [f"{sum(mark.waits for mark in marks)} wait for a person"]
        typer.echo(f"{name}: {released}; {'; '.join(parts)}")


def main() -> None:
    """Run the command. What the instructor has to fix is one line and exit code 2.

    What nobody foresaw is shown whole, and is exit code 3, because Python's own 1 means that some
    submissions need a look.
    """
    if not sys.warnoptions:  # those of libraries are not for instructors, and would bury ours
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of the processes that grade
    try:
        app()
    except SystemExit as end:
        if isinstance(end.__context__, typer.Abort):  # by Ctrl-C, which is 1 for typer, and "done"
            sys.exit(130)
        raise
    except (CourseError, OSError) as problem:
        typer.echo(f"resnorm-course: {problem}", err=True)
        sys.exit(2)
    except Exception as problem:
        # To import the package of these errors takes a second, which help would wait for.
        if type(problem).__module__.startswith("sqlalchemy."):
            typer.echo(
                f"resnorm-course: gradebook.db cannot be used: {getattr(problem, 'orig', problem)}."
                " Close what else has it open, make room on the disk, or go back to a copy of it",
                err=True,
            )
            sys.exit(2)
        traceback.print_exc()
        typer.echo(
            "resnorm-course: this is a fault of the command; please report it with the lines "
            "above. What was done before is kept",
            err=True,
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
