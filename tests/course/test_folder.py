"""A small course, graded while the machine fails: what cannot be graded is named, the rest goes on, nothing is lost."""

import csv
import shutil

import nbformat
import pytest
from resnorm.course import sandbox
from resnorm.course.folder import Course, make

NOTEBOOK = "T1-double.ipynb"
ANSWERS = {
    "ann": "def double(x):\n    return 2 * x",
    "bo": "def double(x):\n    return x + x",
    "cy": "def double(x):\n    return x",
    "di": "def double(x):\n    return x * 2.0",
}


def cell(source, name, **about):
    about = {
        "grade": False,
        "grade_id": name,
        "locked": False,
        "schema_version": 3,
        "solution": False,
        "task": False,
    } | about
    return nbformat.v4.new_code_cell(
        source, id=name.replace("_", "-"), metadata={"nbgrader": about}
    )


def assignment(answer="### BEGIN SOLUTION\ndef double(x):\n    return 2 * x\n### END SOLUTION"):
    test = "from resnorm import checking\nchecking.close(double(2.0), 4.0)\n### BEGIN HIDDEN TESTS\nchecking.emit('of three', double(3.0))\n### END HIDDEN TESTS"
    cells = [
        cell(answer, "double", solution=True),
        cell(test, "test_double", grade=True, locked=True, points=2),
    ]
    return nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )


@pytest.fixture
def course(tmp_path, missing):
    if reason := sandbox.unavailable():
        missing(reason)
    source = tmp_path / "sources" / "T1"
    source.mkdir(parents=True)
    nbformat.write(assignment(), source / NOTEBOOK)
    folder = tmp_path / "course"
    make(folder, source.parent)
    with (folder / "students.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["id", "name", "email", "lms_id"],
                *([student, student, "", ""] for student in ANSWERS),
            ]
        )
    for student, answer in ANSWERS.items():
        path = folder / "submitted" / student / "T1" / NOTEBOOK
        path.parent.mkdir(parents=True)
        nbformat.write(assignment(answer), path)
    course = Course(folder)
    course.release("T1")
    return course


def outcome(reports):
    return {report.student: (report.status, report.points) for report in reports}


def marks(course):
    return {row["student"].id: row["mark"] for row in course.marks("T1")}


def test_what_fails_is_named_the_rest_goes_on_and_the_next_run_mends_it(course):
    full = (
        course.root / "reports" / "T1" / "bo.json.part"
    )  # where bo's report would be written first
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    blocked = course.root / "autograded" / "di"  # where nbgrader would make a folder
    blocked.parent.mkdir()
    blocked.write_text("")

    first = course.grade("T1", jobs=2)
    assert {report.student: report.status for report in first} == {
        "ann": "graded",
        "bo": "failed",
        "cy": "graded",
        "di": "failed",
    }
    said = {report.student: report.incidents[-1] for report in first if report.status == "failed"}
    assert (
        said["bo"].kind == "machine"
        and "No space left on device" in said["bo"].message
        and "run the command again" in said["bo"].message
    )
    assert said["di"].kind == "machine" and "nbgrader could not enter di's T1" in said["di"].message
    assert course.report("T1", "bo") is None and not list(course.root.rglob("*.part"))
    why = {
        row["student"].id: (row["mark"], row["why"]) for row in course.marks("T1")
    }  # no silent 0
    assert why == {
        "ann": (2.0, ""),
        "bo": (None, "not graded yet"),
        "cy": (0.0, ""),
        "di": (None, "not in the gradebook yet: run grade again"),
    }

    blocked.unlink()
    kept = {
        path.name: path.stat().st_mtime_ns
        for path in (course.root / "reports" / "T1").glob("*.json")
    }
    assert outcome(course.grade("T1", jobs=2)) == {
        "ann": ("graded", 2.0),
        "bo": ("graded", 2.0),
        "cy": ("graded", 0.0),
        "di": ("graded", 2.0),
    }
    now = {
        path.name: path.stat().st_mtime_ns
        for path in (course.root / "reports" / "T1").glob("*.json")
    }
    assert kept.items() <= now.items() and now.keys() - kept.keys() == {
        "bo.json"
    }  # what was done is not done again
    assert marks(course) == {"ann": 2.0, "bo": 2.0, "cy": 0.0, "di": 2.0}

    # on a cluster: a copy of the course grades a part, and here it is only entered
    copy = Course(shutil.copytree(course.root, course.root.with_name("copy")))
    for student in ("bo", "di"):
        nbformat.write(
            assignment(ANSWERS[student] + "  # again"),
            copy.root / "submitted" / student / "T1" / NOTEBOOK,
        )
        shutil.copy(
            copy.root / "submitted" / student / "T1" / NOTEBOOK,
            course.root / "submitted" / student / "T1",
        )
    copy.grade("T1", ["bo", "di"], jobs=2)
    for folder in ("restored", "reports"):
        shutil.copytree(copy.root / folder, course.root / folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Course,
            "_run",
            lambda self, assignment, submitted, todo, *rest: (
                [pytest.fail("graded again")] if todo else []
            ),
        )
        course.grade("T1")
    assert marks(course) == {"ann": 2.0, "bo": 2.0, "cy": 0.0, "di": 2.0}
    assert "# again" in (course.root / "autograded" / "di" / "T1" / NOTEBOOK).read_text()

    # what is handed in anew is graded anew, and a file that is no notebook takes its mark with it
    nbformat.write(assignment(ANSWERS["ann"]), course.root / "submitted" / "cy" / "T1" / NOTEBOOK)
    (course.root / "submitted" / "ann" / "T1" / NOTEBOOK).write_text("")
    assert outcome(course.grade("T1", jobs=2)) == {
        "ann": ("refused", 0.0),
        "bo": ("graded", 2.0),
        "cy": ("graded", 2.0),
        "di": ("graded", 2.0),
    }
    assert marks(course) == {"ann": None, "bo": 2.0, "cy": 2.0, "di": 2.0}
    assert "is empty" in next(
        row["why"] for row in course.marks("T1") if row["student"].id == "ann"
    )

    # so is everything when a test changes
    path = course.root / "source" / "T1" / NOTEBOOK
    stricter = nbformat.read(path, as_version=4)
    stricter.cells[1].source = stricter.cells[1].source.replace(
        "double(3.0))", "double(3.0))\nchecking.emit('of four', double(4.0))"
    )
    nbformat.write(stricter, path)
    again = course.grade("T1", ["cy"])
    assert outcome(again) == {"cy": ("graded", 2.0)} and again[0].verdicts[0].total == 3
