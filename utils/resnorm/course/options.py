"""The arguments and options of ``resnorm-course``, each with its type and its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Course = Annotated[Path, typer.Option("--course", "-c", help="The course's folder.")]
Assignment = Annotated[str, typer.Argument(help="Name of an assignment, such as A1.")]
NewFolder = Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")]
Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Folder that holds one folder per assignment. Default: those of this checkout.",
    ),
]
Variant = Annotated[
    int | None,
    typer.Option(
        "--variant",
        min=0,
        help="Your own number for this class, twenty digits or more, which chooses its conventions "
        "and the inputs of its hidden tests. It is kept in the course; keep it to yourself. "
        "Default: the published variant.",
    ),
]
Download = Annotated[
    Path,
    typer.Argument(metavar="export", help="The LMS's bulk download, a zip or a folder."),
]
Due = Annotated[
    str,
    typer.Option(
        help="Deadline, such as 2026-11-30T23:59 (or 2026-11-30T23:59+01:00). It enters the "
        "gradebook; without it, the deadline there counts."
    ),
]
Timezone = Annotated[
    str,
    typer.Option(
        help="Time zone of times that do not say, such as Europe/Berlin. Default: that of this "
        "machine."
    ),
]
Worksheet = Annotated[
    Path | None,
    typer.Option(
        help="Moodle's grading worksheet of this assignment: it says who has which number, and "
        "when they handed in."
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Take the new file of a student who has one already.")
]
Students = Annotated[list[str] | None, typer.Argument(help="Only these students.")]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Submissions that run at the same time; each takes about 1 GB of memory.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Grade again what has not changed.")]
CellSeconds = Annotated[float, typer.Option(min=1, help="Seconds that one cell may run.")]
NotebookSeconds = Annotated[float, typer.Option(min=1, help="Seconds that one notebook may run.")]
Memory = Annotated[float, typer.Option(min=0.5, help="Memory of one submission, in GiB.")]
Unsafe = Annotated[
    bool,
    typer.Option(
        "--unsafe",
        help="Grade without a sandbox: students' code runs with your rights, and can read and "
        "change your files, this gradebook included.",
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data",
        help="Folder with CIFAR-10's archive, cifar-10-python.tar.gz. Students train on "
        "its images.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Your own number; keep it to yourself.")]
Networks = Annotated[list[Path], typer.Argument(help="Files that plans.save has written.")]
Count = Annotated[int, typer.Option(min=1, help="How many of the test images count.")]
System = Annotated[str, typer.Argument(help="canvas or moodle")]
Template = Annotated[
    Path | None,
    typer.Option(
        help="The gradebook that Canvas exports, or the grading worksheet that Moodle gives; "
        "the marks are filled in."
    ),
]
Column = Annotated[str, typer.Option(help="Header of the assignment in Canvas's gradebook.")]
