"""A small course, graded while the machine fails.

What cannot be graded is named, the rest is graded, and nothing is lost.
"""

import shutil

import nbformat
import pytest
import small_course
from small_course import NOTEBOOK

from resnorm.course import runs
from resnorm.course.folder import Course, CourseError
from resnorm.course.gradebook import Gradebook
from resnorm.course.runs import grade_class
from resnorm.course.sandbox import bubblewrap

ANSWERS = {
    "ann": "def double(x):\n    return 2 * x",
    "bo": "def double(x):\n    return x + x",
    "cy": "def double(x):\n    return x",
    "di": "def double(x):\n    return x * 2.0",
}
SOLUTION = "### BEGIN SOLUTION\ndef double(x):\n    return 2 * x\n### END SOLUTION"
TEST = """\
from resnorm import checking
checking.emit('of two', double(2.0))
### BEGIN HIDDEN TESTS
checking.emit('of three', double(3.0))
### END HIDDEN TESTS"""


def cell(source, name, **about):
    defaults = dict.fromkeys(("grade", "locked", "solution", "task"), False)
    about = {**defaults, "grade_id": name, "schema_version": 3, **about}
    name = name.replace("_", "-")
    return nbformat.v4.new_code_cell(source, id=name, metadata={"nbgrader": about})


def assignment(answer=SOLUTION, test=TEST):
    cells = [
        cell(answer, "double", solution=True),
        cell(test, "test_double", grade=True, locked=True, points=2),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def course(tmp_path, missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    rows = [f"{student},{student},," for student in ANSWERS]
    course = small_course.made(tmp_path, assignment(), ["id,name,email,lms_id", *rows])
    for student, answer in ANSWERS.items():
        hand_in(course, student, assignment(answer))
    Gradebook(course).release("T1")
    return course


def hand_in(course, student, notebook):
    path = course.root / "submitted" / student / "T1" / NOTEBOOK
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def outcome(reports):
    return {report.student: (report.status, report.points) for report in reports}


def marks(course):
    return {mark.student.id: mark.points for mark in Gradebook(course).marks("T1")}


def reasons(course):
    """Student -> mark, and what stands in the way of one."""
    found = Gradebook(course).marks("T1")
    return {mark.student.id: (mark.points, mark.reason) for mark in found}


def written(course):
    """Report -> when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in course.root.glob("reports/T1/*.json")}


def test_what_fails_is_named_the_rest_is_graded_and_the_next_run_repairs_it(course, monkeypatch):
    full = course.root / "reports" / "T1" / "bo.json.part"  # where a report is written first
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    blocked = course.root / "autograded" / "di"  # where nbgrader would make a folder
    blocked.parent.mkdir()
    blocked.write_text("")

    first = {report.student: report for report in grade_class(course, "T1", jobs=2)}
    found = {student: report.status for student, report in first.items()}
    assert found == {"ann": "graded", "bo": "failed", "cy": "graded", "di": "failed"}
    bo, di = first["bo"].incidents[-1], first["di"].incidents[-1]
    assert bo.kind == di.kind == "machine"
    assert "No space left on device" in bo.message and "run the command again" in bo.message
    assert "nbgrader could not enter di's T1" in di.message
    assert course.report("T1", "bo") is None and not list(course.root.rglob("*.part"))
    assert reasons(course) == {  # no silent 0
        "ann": (2.0, ""),
        "bo": (None, "not graded yet"),
        "cy": (0.0, ""),
        "di": (None, "not in the gradebook yet: run grade again"),
    }

    blocked.unlink()
    kept = written(course)
    seen = []
    second = grade_class(course, "T1", on_report=lambda report: seen.append(report.student))
    assert outcome(second) == {
        "ann": ("graded", 2.0),
        "bo": ("graded", 2.0),
        "cy": ("graded", 0.0),
        "di": ("graded", 2.0),
    }
    assert sorted(seen) == sorted(ANSWERS)
    now = written(course)  # what was done is not done again
    assert kept.items() <= now.items() and now.keys() - kept.keys() == {"bo.json"}
    assert marks(course) == {"ann": 2.0, "bo": 2.0, "cy": 0.0, "di": 2.0}

    # on a cluster: a copy of the course grades a part, and here it is only entered
    copy = Course(shutil.copytree(course.root, course.root.with_name("copy")))
    for place in (course, copy):
        hand_in(place, "di", assignment(ANSWERS["di"] + "  # again"))
    grade_class(copy, "T1", ["di"])
    for folder in ("restored", "reports"):
        shutil.copytree(copy.root / folder, course.root / folder, dirs_exist_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(
            runs, "run_tasks", lambda tasks, jobs: [pytest.fail("graded again") for _ in tasks]
        )
        grade_class(course, "T1")
    assert marks(course) == {"ann": 2.0, "bo": 2.0, "cy": 0.0, "di": 2.0}
    assert "# again" in (course.root / "autograded" / "di" / "T1" / NOTEBOOK).read_text()

    # what is handed in anew is graded anew, and a file that is no notebook takes its mark with it
    hand_in(course, "cy", assignment(ANSWERS["ann"]))
    (course.root / "submitted" / "ann" / "T1" / NOTEBOOK).write_text("")
    assert outcome(grade_class(course, "T1")) == {
        "ann": ("refused", 0.0),
        "bo": ("graded", 2.0),
        "cy": ("graded", 2.0),
        "di": ("graded", 2.0),
    }
    assert marks(course) == {"ann": None, "bo": 2.0, "cy": 2.0, "di": 2.0}
    assert "is empty" in reasons(course)["ann"][1]

    # so is everything when a test changes
    path = course.root / "source" / "T1" / NOTEBOOK
    hidden = "double(3.0))"
    more = f"{hidden}\nchecking.emit('of four', double(4.0))"
    nbformat.write(assignment(test=TEST.replace(hidden, more)), path)
    (again,) = grade_class(course, "T1", ["cy"])
    assert (again.status, again.points, again.verdicts[0].total) == ("graded", 2.0, 3)

    # a test that compares nothing would give points to nobody
    nbformat.write(assignment(test="double(2.0)"), path)
    with pytest.raises(CourseError, match="compare nothing.*: test_double; use checking"):
        Gradebook(course).release("T1")
