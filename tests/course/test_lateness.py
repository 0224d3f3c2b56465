"""When something was handed in, by whom that is known, and what the gradebook makes of it."""

import re
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import nbformat
import pytest

from resnorm.course.collecting import collector, times
from resnorm.course.collecting.class_list import Student
from resnorm.course.collecting.collected import lateness, time_remarks
from resnorm.course.collecting.worksheet import read_worksheet
from resnorm.course.folder import Course, make
from resnorm.course.gradebook import Gradebook
from resnorm.course.grading import fingerprints
from resnorm.course.grading.reports import Report

NOTEBOOK = "T1-double.ipynb"
CLASS = [Student("ann", "Ann Doe", "", "1"), Student("bo", "Bo Li"), Student("cy", "Cy Young")]
DUE = datetime(2026, 11, 30, 22, 59, tzinfo=UTC)


def stamped(path, files):
    """A zip of files with their times."""
    with zipfile.ZipFile(path, "w") as zipped:
        for name, when in files.items():
            zipped.writestr(zipfile.ZipInfo(name, when), "x")
    return path


def collect(source, tmp_path, **options):
    result = collector.collect(source, "T1", NOTEBOOK, CLASS, tmp_path / "submitted", **options)
    stamps = {
        path.parent.parent.name: path.read_text()
        for path in (tmp_path / "submitted").glob("*/T1/timestamp.txt")
    }
    return result, stamps


@pytest.mark.parametrize(
    "text, zone, wanted",
    [
        ("2026-11-30T23:59", "Europe/Berlin", "2026-11-30 22:59"),
        ("2026-07-30T23:59", "Europe/Berlin", "2026-07-30 21:59"),  # daylight saving time
        ("2026-11-30 23:59", "America/New_York", "2026-12-01 04:59"),
        ("2026-11-30T23:59Z", "Asia/Tokyo", "2026-11-30 23:59"),
        ("2026-11-30T23:59:30+05:30", "", "2026-11-30 18:29"),
    ],
)
def test_a_deadline_in_every_time_zone(text, zone, wanted):
    assert f"{times.deadline(text, times.time_zone(zone)):%Y-%m-%d %H:%M}" == wanted


def test_a_deadline_without_a_zone_is_of_this_machine(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert times.deadline("2026-11-30T23:59") == datetime(2026, 11, 30, 18, 29, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text, message",
    [
        ("30.11.2026", "has the year last: write 2026-11-30T23:59"),
        ("30.11.2026 12:00", "write 2026-11-30T12:00"),
        ("11/30/2026", "has the year last: write 2026-11-30T23:59"),
        ("11/12/2026", "can be read in two ways: write 2026-11-12T23:59 or 2026-12-11T23:59"),
        ("05-06-2026 9:30", "two ways: write 2026-05-06T09:30 or 2026-06-05T09:30"),
        ("01.02.2026", "write 2026-02-01T23:59"),
        ("40.11.2026", "is not a date: write the year first"),
        ("next Monday", "is not a date that can be read: write the year first"),
        ("2026-13-01T00:00", "is not a date that can be read"),
        ("2026-11-30", "a date without a time: write 2026-11-30T23:59"),
    ],
)
def test_a_deadline_in_another_order_gets_a_sentence_that_helps(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        times.deadline(text)


def test_a_time_zone_that_is_none_gets_a_sentence():
    for name in ("CEST", "Berlin", "../etc/passwd"):
        with pytest.raises(ValueError, match="is not a time zone: give a name such as"):
            times.time_zone(name)


def test_the_time_of_a_file_counts_where_there_is_no_other(tmp_path):
    files = {
        f"ann/{NOTEBOOK}": (2026, 11, 30, 23, 58, 0),
        f"bo/{NOTEBOOK}": (2026, 12, 1, 3, 0, 0),
        f"cy/T1/{NOTEBOOK}": (2026, 12, 9, 0, 0, 0),
    }
    path = stamped(tmp_path / "all.zip", files)
    with zipfile.ZipFile(path, "a") as zipped:  # as nbgrader notes it
        zipped.writestr("cy/T1/timestamp.txt", "2026-11-30 20:00:00 UTC")
    result, stamps = collect(path, tmp_path, due=DUE, zone=ZoneInfo("Europe/Berlin"))
    assert result.late == ["bo"]
    assert stamps == {
        "ann": "2026-11-30 22:58:00 UTC",
        "bo": "2026-12-01 02:00:00 UTC",
        "cy": "2026-11-30 20:00:00 UTC",
    }
    assert lateness(result.times["bo"], DUE) == (
        "3 h 1 min late by the time of the file, the weakest source"
    )
    assert "Time of handing in: timestamp.txt, for 1." in time_remarks(result, DUE, None)


def test_the_time_of_a_download_is_nobodys_time_of_handing_in(tmp_path):
    download = (2027, 1, 1, 0, 0, 0)
    moodle = stamped(
        tmp_path / "m.zip",
        {
            f"Ann Doe_5_assignsubmission_file/{NOTEBOOK}": download,
            "Ann Doe_5_assignsubmission_file/timestamp.txt": download,  # the student's own
            f"Bo Li_6_assignsubmission_file_{NOTEBOOK}": download,
        },
    )
    result, stamps = collect(moodle, tmp_path, due=DUE)
    assert result.late == [] and stamps == {}
    (remark,) = time_remarks(result, DUE, None)
    assert remark.startswith("Time of handing in not known: ann, bo") and "--worksheet" in remark
    canvas = stamped(tmp_path / "c.zip", {f"doeann_1_2_{NOTEBOOK}": download})
    result, stamps = collect(canvas, tmp_path, due=DUE, replace=True)
    assert result.late == [] and stamps == {}
    assert "Canvas marks nobody late" in time_remarks(result, DUE, None)[0]


def test_a_worksheet_that_comes_later_brings_the_times(tmp_path):
    source = stamped(
        tmp_path / "m.zip", {f"Ann Doe_5_assignsubmission_file/{NOTEBOOK}": (2027, 1, 1, 0, 0, 0)}
    )
    assert collect(source, tmp_path, due=DUE)[1] == {}
    folder = tmp_path / "submitted" / "ann" / "T1"
    before = fingerprints.of_folder(folder)
    path = tmp_path / "Grades.csv"
    path.write_text(
        "Identifier,Full name,Last modified (submission)\n"
        'Participant 5,Ann Doe,"Tuesday, 1 December 2026, 8:00 AM"\n'
    )
    options = {"due": DUE, "worksheet": read_worksheet(path, UTC)}
    result, stamps = collect(source, tmp_path, **options)
    assert result.late == ["ann"] and stamps == {"ann": "2026-12-01 08:00:00 UTC"}
    assert result.students == ["ann"] and result.again == result.taken == []
    assert fingerprints.of_folder(folder) == before  # so nothing is graded again
    result, stamps = collect(source, tmp_path, due=DUE)  # without it: what is known stays
    assert result.late == ["ann"] and stamps == {"ann": "2026-12-01 08:00:00 UTC"}


def test_what_canvas_marks_late_is_late_by_a_second(tmp_path):
    names = [f"doeann_LATE_1_2_{NOTEBOOK}", f"libo_2_3_{NOTEBOOK}"]
    source = stamped(tmp_path / "c.zip", dict.fromkeys(names, (2027, 1, 1, 0, 0, 0)))
    result, stamps = collect(source, tmp_path, due=DUE)
    assert result.late == ["ann"] and stamps == {"ann": "2026-11-30 22:59:01 UTC"}
    assert "does not say how much (entered as one second)" in lateness(result.times["ann"], DUE)
    assert time_remarks(result, DUE, None) == []
    result, stamps = collect(source, tmp_path, replace=True)
    assert result.late == ["ann"] and stamps == {}
    assert "give --due" in lateness(result.times["ann"], None)


@pytest.mark.parametrize(
    "text",
    [
        "Monday, 30 November 2026, 11:59 PM",
        "Monday, November 30, 2026, 11:59 PM",
        "Monday, 30 November 2026, 23:59",
        "30 November 2026, 11:59 PM",
    ],
)
def test_times_of_moodles_worksheet(text):
    found = times.moodle_time(text, ZoneInfo("Europe/Berlin"))
    assert found == DUE


def test_a_worksheet_in_another_language_or_none_is_said(tmp_path):
    path = tmp_path / "Grades.csv"
    path.write_text("ID,Vollständiger Name\nTeilnehmer/in 1,Ann\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not Moodle's grading worksheet in English"):
        read_worksheet(path)
    path.write_text(
        "Identifier,Full name,Last modified (submission)\n"
        'Participant 5,Ann Doe,"lundi 30 novembre 2026, 23:59"\n',
        encoding="utf-8",
    )
    worksheet = read_worksheet(path)
    source = stamped(
        tmp_path / "m.zip", {f"Ann Doe_5_assignsubmission_file/{NOTEBOOK}": (2027, 1, 1, 0, 0, 0)}
    )
    result, _ = collect(source, tmp_path, worksheet=worksheet)
    assert result.students == ["ann"]
    assert "Moodle in English" in " ".join(time_remarks(result, DUE, worksheet))


# the gradebook


@pytest.fixture
def gradebook(tmp_path):
    """A course whose answers nobody has to run: nbgrader reads what is in ``restored``."""
    about = {"schema_version": 3, "grade_id": "test", "locked": True, "grade": True, "points": 4}
    about |= {"solution": False, "task": False}
    test = nbformat.v4.new_code_cell("checking.close(1, 1)", metadata={"nbgrader": about}, id="t")
    source = tmp_path / "sources" / "T1"
    source.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[test]), source / NOTEBOOK)
    make(tmp_path / "course", source.parent)
    course = Course(tmp_path / "course")
    config = course.root / "nbgrader_config.py"
    plugin = (
        "from nbgrader.plugins import LateSubmissionPlugin\n"
        "class Daily(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n"
        "        return 1.0 + (score - 4.0)\n"
        "c.AssignLatePenalties.plugin_class = Daily\n"
    )
    config.write_text(config.read_text() + plugin)
    (course.root / "students.csv").write_text("id,name\nann,Ann Doe\nbo,Bo Li\n")
    found = Gradebook(course)
    found.release("T1")
    test.outputs = []
    for student, when in (("ann", "2026-12-01 00:00:00 UTC"), ("bo", "2026-11-30 00:00:00 UTC")):
        folder = course.root / "restored" / student / "T1"
        folder.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[test]), folder / NOTEBOOK)
        handed_in = course.root / "submitted" / student / "T1"
        handed_in.mkdir(parents=True)
        (handed_in / "timestamp.txt").write_text(when)
    return found


def penalties(gradebook):
    with gradebook._api().gradebook as opened:
        return {
            one.student.id: (one.total_seconds_late, one.score - one.late_submission_penalty)
            for one in opened.assignment_submissions("T1")
        }


def test_the_deadline_enters_the_gradebook_and_moves(gradebook):
    assert gradebook.due("T1") is None
    assert gradebook.set_due("T1", DUE) and gradebook.due("T1") == DUE
    assert not gradebook.set_due("T9", DUE)
    api = gradebook._api()
    for student in ("ann", "bo"):
        assert api.autograde("T1", student, force=True, create=True)["success"]
    gradebook.assign_penalties("T1")
    assert penalties(gradebook) == {"ann": (3660.0, 3.0), "bo": (0, 4.0)}
    # marked by a person after that: the penalty follows the marks
    with api.gradebook as opened:
        (grade,) = opened.find_submission("T1", "ann").notebooks[0].grades
        grade.extra_credit = 2.0
        opened.db.commit()
    gradebook.assign_penalties("T1")
    assert penalties(gradebook)["ann"] == (3660.0, 3.0)
    # which is what an export subtracts
    handed_in = gradebook.course.root / "submitted" / "ann" / "T1"
    report = Report("ann", "T1", "graded", key=f"base-{fingerprints.of_folder(handed_in)}")
    report.write(gradebook.course.report_path("T1", "ann"))
    (gradebook.course.root / "autograded" / "ann" / "T1" / ".report").write_text(report.fingerprint)
    assert [mark.points for mark in gradebook.marks("T1")] == [3.0, None]
    # releasing again keeps the deadline, and a later one lifts the penalty
    gradebook.release("T1")
    assert gradebook.due("T1") == DUE
    gradebook.set_due("T1", datetime(2026, 12, 24, tzinfo=UTC))
    gradebook.assign_penalties("T1")
    assert penalties(gradebook) == {"ann": (0, 6.0), "bo": (0, 4.0)}
