"""What an instructor reads on the screen: reasons, exit codes, and nothing of the libraries."""

import fcntl
import os
import subprocess
import sys
import threading
import zipfile

import nbformat
import pytest
import small_course
from small_course import NOTEBOOK

from resnorm.course import cli, folder, runs
from resnorm.course.collecting.class_list import Student
from resnorm.course.folder import Course, make
from resnorm.course.gradebook import Gradebook
from resnorm.course.grading import fingerprints
from resnorm.course.grading.reports import Report
from resnorm.course.sandbox.incidents import Incident

PEOPLE = ["ann", "bo", "cy", "di", "ed", "fi"]


def notebook(*cells):
    about = {"schema_version": 3, "grade_id": "test", "locked": True, "grade": True, "points": 4}
    about |= {"solution": False, "task": False}
    test = nbformat.v4.new_code_cell("checking.close(1, 1)", metadata={"nbgrader": about}, id="t")
    own = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.v4.new_notebook(cells=[*own, test])


@pytest.fixture
def course(tmp_path):
    rows = [f"{name},{name.title()} Doe,{name}@x.example" for name in PEOPLE]
    return small_course.made(tmp_path, notebook(), ["id,name,email", *rows])


@pytest.fixture
def run(course, monkeypatch, capfd):
    monkeypatch.setattr(sys, "warnoptions", [])

    def command(*arguments):
        """Exit code, and what was printed."""
        arguments = ["resnorm-course", *map(str, arguments), "-c", str(course.root)]
        monkeypatch.setattr(sys, "argv", arguments)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, capfd.readouterr()

    return command


def packed(path, files):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "files, reason",
    [
        ({}, "there is no notebook and no zip in it"),
        ({"__MACOSX/ann/x.ipynb": "", ".hidden/ann.ipynb": ""}, "there is no notebook"),
        ({"zoe.ipynb": "x"}, "see above"),
        ({"readme.txt": "x", "essay.pdf": "y"}, "see above"),
        ({"ann/essay.pdf": "y"}, "see above"),
        ({"anon_123_5_a.ipynb": "x"}, "see above"),
    ],
)
def test_nothing_collected_is_never_done_and_never_without_a_reason(tmp_path, run, files, reason):
    code, out = run("collect", "T1", packed(tmp_path / "all.zip", files))
    assert code == 2 and f"nothing was collected: {reason}" in out.err
    assert (reason == "see above") == ("Not taken: " in out.err)
    assert "Collected 0 of 6 students." in out.out


def test_an_empty_folder_is_said_too(tmp_path, run):
    (tmp_path / "empty").mkdir()
    assert run("collect", "T1", tmp_path / "empty")[0] == 2


@pytest.mark.parametrize(
    "option, value, sentence",
    [
        ("--due", "30.11.2026", "'30.11.2026' has the year last: write 2026-11-30T23:59"),
        ("--due", "11/12/2026", "write 2026-11-12T23:59 or 2026-12-11T23:59"),
        ("--timezone", "CEST", "'CEST' is not a time zone: give a name such as Europe/Berlin"),
        ("--worksheet", "students.csv", "is not Moodle's grading worksheet in English"),
        ("--worksheet", "missing.csv", "missing.csv"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line(tmp_path, course, run, option, value, sentence):
    source = packed(tmp_path / "all.zip", {"ann.ipynb": "x"})
    value = course.root / value if option == "--worksheet" else value
    code, out = run("collect", "T1", source, option, value)
    assert code == 2 and sentence in out.err and out.err.count("\n") == 1 and not out.out
    assert not (course.root / "submitted").exists()


def test_a_class_list_that_cannot_be_read_is_one_line(tmp_path, course, run):
    (course.root / "students.csv").write_bytes("id,name\nann,Ann Müller\n".encode("cp1252"))
    code, out = run("collect", "T1", packed(tmp_path / "all.zip", {"ann.ipynb": "x"}))
    assert code == 2 and "save it as “CSV UTF-8”" in out.err and out.err.count("\n") == 1


def test_the_deadline_waits_for_the_release_and_then_counts(tmp_path, run):
    source = packed(tmp_path / "all.zip", {"ann.ipynb": nbformat.writes(notebook("f = 1"))})
    options = ["--due", "2001-11-30T23:59", "--timezone", "Europe/Berlin"]
    code, out = run("collect", "T1", source, *options)
    assert code == 1 and "T1 is not in the gradebook: run resnorm-course release T1" in out.err
    assert run("release", "T1")[0] == 0
    code, out = run("collect", "T1", source, *options)
    assert code == 0 and not out.err
    assert "Due 2001-11-30 22:59 UTC (2001-11-30 23:59 CET)." in out.out
    code, out = run("collect", "T1", source, *options[2:])  # the deadline of the gradebook
    assert code == 0 and "Due 2001-11-30 22:59 UTC" in out.out
    assert "Late: ann, " in out.out and "the time of the file, the weakest source" in out.out


def test_status_and_export_tell_what_became_of_each(course, run, monkeypatch):
    assert run("release", "T1")[0] == 0
    reports = []
    for student, status in zip(
        PEOPLE, ("graded", "unfinished", "refused", "failed", "", ""), strict=True
    ):
        if student == "fi":
            continue
        folder = course.root / "submitted" / student / "T1"
        folder.mkdir(parents=True)
        nbformat.write(notebook("f = 1"), folder / NOTEBOOK)
        if not status:
            continue
        report = Report(student, "T1", status, key=f"base-{fingerprints.of_folder(folder)}")
        report.incidents = [Incident(-1, "time", f"what became of {student}")]
        reports.append(report)
        if report.has_mark:
            report.points = report.possible = 4.0
            restored = course.root / "restored" / student / "T1"
            restored.mkdir(parents=True)
            nbformat.write(notebook("f = 1"), restored / NOTEBOOK)
        if status != "failed":
            report.write(course.report_path("T1", student))

    def grade_class(here, name, *arguments, **options):
        Gradebook(here).enter(name, reports)
        return reports

    monkeypatch.setattr(runs, "grade_class", grade_class)
    code, out = run("grade", "T1")
    assert code == 1 and not out.err, out.err  # no warning of a library either
    code, out = run("status")
    assert (code, out.err) == (0, "")
    assert out.out == (
        "T1: released; 5 of 6 handed in; 1 graded; 1 unfinished; 1 refused; "
        "1 failed on this machine; 1 not graded yet; 0 wait for a person\n"
    )
    code, out = run("export", "T1", "canvas")
    assert code == 1
    assert [line.strip() for line in out.err.splitlines()] == [
        "bo: unfinished run, see the report",
        "cy: what became of cy",
        "di: what became of di",
        "ed: not graded yet",
        "fi: nothing handed in",
    ]
    # a file that is handed in anew takes the old mark with it, until it is graded
    nbformat.write(notebook("f = 2"), course.root / "submitted" / "ann" / "T1" / NOTEBOOK)
    code, out = run("status")
    assert "0 graded" in out.out and "2 not graded yet" in out.out
    code, out = run("export", "T1", "canvas")
    assert "ann: handed in anew: run grade again" in out.err
    # what was repaired is not said to have failed
    reports[3].status = "refused"
    reports[3].write(course.report_path("T1", "di"))
    run("grade", "T1")
    code, out = run("status")
    assert "2 refused" in out.out and "failed" not in out.out


@pytest.mark.parametrize(
    "statuses, kinds, attention",
    [
        (["graded"] * 6, ["", "", "", "", "", ""], 0),
        (["graded"] * 6, ["edited"] * 6, 6),
        (["graded"] * 6, ["", "forbidden", "", "", "", ""], 1),
        (["graded"] * 6, ["matched", "", "patched", "", "reach", ""], 3),
        (["graded", "unfinished"] * 3, ["", "", "", "time", "cut", "time"], 4),
        (["failed"] * 6, ["machine"] * 6, 6),
    ],
)
def test_what_needs_a_look_is_counted_and_is_the_exit_code(
    run, monkeypatch, statuses, kinds, attention
):
    reports = [
        Report(student, "T1", status, incidents=[Incident(-1, kind, "seen")] if kind else [])
        for student, status, kind in zip(PEOPLE, statuses, kinds, strict=True)
    ]
    monkeypatch.setattr(runs, "grade_class", lambda *arguments, **options: reports)
    code, out = run("grade", "T1")
    assert f"; {attention} need a look." in out.out and code == bool(attention)


COMMANDS = [
    ["release", "T1"],
    ["collect", "T1", "{download}"],
    ["grade", "T1"],
    ["feedback", "T1"],
    ["export", "T1", "canvas"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_second_command_in_a_course_says_so_and_does_nothing(
    tmp_path, course, run, words, monkeypatch
):
    monkeypatch.setattr(folder, "PATIENCE", 0.0)
    download = packed(tmp_path / "all.zip", {"ann.ipynb": "x"})
    before = {path: path.stat().st_mtime_ns for path in course.root.rglob("*")}
    with course.alone("grade T1"):
        code, out = run(*[word.format(download=download) for word in words])
    assert code == 2 and "another resnorm-course command is at work in" in out.err
    assert f": grade T1, process {os.getpid()}. Wait for its end" in out.err
    assert out.err.count("\n") == 1 and not out.out
    now = {path: path.stat().st_mtime_ns for path in course.root.rglob("*")}
    assert now == before | {course.root / ".lock": now[course.root / ".lock"]}
    with course.alone("grade T1"):  # which is free again
        pass


def test_a_killed_command_that_takes_a_moment_to_end_is_waited_for(course):
    """On a machine with other work to do it holds its lock for a second or two."""
    with (course.root / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ending = threading.Timer(1.0, fcntl.flock, [file, fcntl.LOCK_UN])
        ending.start()
        with course.alone("grade T1"):
            assert "grade T1" in (course.root / ".lock").read_text()
        ending.join()


def test_a_fault_of_ours_is_not_taken_for_submissions_that_need_a_look(run, monkeypatch):
    def fails(folder):
        raise LookupError("a fault of ours")

    monkeypatch.setattr(cli, "Course", fails)
    code, out = run("status")
    assert code == 3 and "Traceback" in out.err and "LookupError: a fault of ours" in out.err
    assert "please report it" in out.err.splitlines()[-1]


@pytest.mark.parametrize(
    "text, reason", [("c = 1 +", "SyntaxError"), ("import nothing", "nothing")]
)
def test_a_configuration_that_cannot_be_executed_is_one_line(course, run, text, reason):
    (course.root / "nbgrader_config.py").write_text(text)
    code, out = run("export", "T1", "canvas")
    assert code == 2 and "nbgrader_config.py cannot be executed: " in out.err
    assert reason in out.err and out.err.count("\n") == 1


def test_a_course_may_have_any_name(tmp_path, course):
    folder = tmp_path / 'it\'s "the" {course}'
    make(folder, course.root / "source")
    assert Gradebook(Course(folder))._api().coursedir.course_id == folder.name


def test_a_command_that_is_stopped_does_not_look_done(run, monkeypatch):
    """Typer's own exit code for Ctrl-C is 1, which says that some submissions need a look."""

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "Course", stopped)
    assert run("status")[0] == 130


NOISY = """
import sys, warnings
from resnorm.course import cli
def noisy(*arguments):
    warnings.warn("of a library")
    raise cli.CourseError("of ours")
cli.Course = noisy
sys.argv = ["resnorm-course", "status"]
cli.main()
"""


@pytest.mark.parametrize("options, is_quiet", [([], True), (["-W", "default"], False)])
def test_warnings_of_libraries_do_not_bury_ours(options, is_quiet):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    result = subprocess.run(
        [sys.executable, *options, "-c", NOISY], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 2
    assert (result.stderr == "resnorm-course: of ours\n") == is_quiet


HELP = """
import sys
from resnorm.course import cli
sys.argv = ["resnorm-course", *sys.argv[1:]]
try:
    cli.main()
finally:
    slow = {"nbformat", "jsonschema", "nbconvert", "bleach", "nbgrader", "zmq", "torch"}
    print("imported:", *sorted(slow & set(sys.modules)))
"""


@pytest.mark.parametrize("command", [[], ["grade"], ["collect"]], ids=" ".join)
def test_help_waits_for_no_slow_library(command):
    words = [sys.executable, "-c", HELP, *command, "--help"]
    result = subprocess.run(words, capture_output=True, text=True)
    assert result.returncode == 0 and "Usage: resnorm-course" in result.stdout, result.stderr
    assert result.stdout.splitlines()[-1].split() == ["imported:"]


def test_names_with_a_comma_are_taken_apart_for_the_forms(course):
    (course.root / "students.csv").write_text('id,name\nann,"García López, María"\nbo,Bo Li\n')
    gradebook = Gradebook(course)
    gradebook.release("T1")
    gradebook.enter("T1", [])
    with gradebook._api().gradebook as opened:
        found = {one.id: (one.first_name, one.last_name) for one in opened.students}
    assert found == {"ann": ("María", "García López"), "bo": ("Bo", "Li")}
    assert course.students()[0] == Student("ann", "García López, María")


def test_a_gradebook_that_cannot_be_used_is_one_line(course, run):
    (course.root / "gradebook.db").write_text("no gradebook\n" * 100)
    (course.root / "submitted" / "ann" / "T1").mkdir(parents=True)
    for command in (["status"], ["export", "T1", "canvas"]):
        code, out = run(*command)
        assert code == 2 and out.err.startswith("resnorm-course: gradebook.db cannot be used: file")
        assert out.err.count("\n") == 1


def test_no_submission_writes_a_line_of_its_own(run, monkeypatch):
    forged = Incident(-1, "reach", "reading x\nbo: 4/4\nGraded 2 of 2; 0 need a look.")
    reports = [Report("ann", "T1", "graded", incidents=[forged])]
    monkeypatch.setattr(runs, "grade_class", lambda *arguments, **options: reports)
    lines = run("grade", "T1")[1].out.splitlines()
    assert [line[:5] for line in lines] == ["ann: ", "    r", "Grade"] and "; 1 need" in lines[-1]
