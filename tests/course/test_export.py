"""Marks as the importers of Canvas and Moodle want them.

Two readers stand for the importers. They follow the sources of Canvas (``lib/
gradebook_importer.rb``) and of Moodle (``mod/assign/feedback/offline/importgrades*.php``).
"""

import csv
import re

import pytest

from resnorm.course import export as exporting
from resnorm.course.collecting.class_list import Student
from resnorm.course.collecting.tables import Table, read_table
from resnorm.course.folder import CourseError
from resnorm.course.marks import Mark

CLASS = [
    Student("ann", "Ann Müller", "ann@x.example", "4001", "amu"),
    Student("bo", "Bo Li", "bo@x.example", "4002"),
    Student("cy", "=cmd|' /C calc'!A0", "cy@x.example", "4003"),
]
MARKS = [
    Mark(CLASS[0], 30.0, 27.5, ""),
    Mark(CLASS[1], 30.0, None, "nothing handed in"),
    Mark(CLASS[2], 30.0, 0.0, "waits for a person: written"),
]
RESERVED = ["Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Section"]
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Integration ID,Section,Notes,A1 batch norm (77),"
    "A2 (78),Final Score\n"
    "    Points Possible,,,,,,,30,20,(read only)\n"
    '"Müller, Ann",4001,900,amu,,S,late twice,12,20,80\n'
    '"Li, Bo",4002,901,bli,,S,,11,15,70\n'
    '"=cmd|, C",4003,902,cy,,S,,,,0\n'
    '"Guest, A",4009,903,guest,,S,,5,5,5\n'
)
MOODLE = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\n"
    'Participant 91,Ann Müller,ann@x.example,Submitted,,30.00,Yes,"Friday, 20 November 2026, '
    '2:14 PM",-,\n'
    "Participant 92,Bo Li,bo@x.example,No submission,4.00,30.00,Yes,-,-,well done\n"
    "Participant 93,Cy,cy@x.example,Submitted,,30.00,Yes,-,-,\n"
)


@pytest.fixture
def export(tmp_path, monkeypatch):
    class Course:
        root = tmp_path

    class Gradebook:
        def __init__(self, course):
            pass

        def marks(self, name):
            return MARKS

        def assign_penalties(self, name):
            pass

    monkeypatch.setattr(exporting, "Gradebook", Gradebook)

    def run(system, template=None, **options):
        path = None
        if template is not None:
            path = tmp_path / "template.csv"
            path.write_text(template, encoding="utf-8")
        return exporting.export(Course(), "A1", system, path, **options)

    return run


def canvas_imports(path):
    """ID -> (points of the row, marks by column), as Canvas reads them."""
    text = path.read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines(), delimiter=";" if ";" in text else ",")
    assert "Student" in header[0] and "ID" in header[1] and len(header) > 3
    about = 3
    if re.search("SIS Login ID", header[2]):
        about += 1
    elif re.search("SIS User ID", header[2]) and re.search("SIS Login ID", header[3]):
        about += 2 + ("Integration ID" in header[4])
    assert "Section" in header[about - 1], "Canvas: invalid header row"
    points, found = {}, {}
    for row in rows:
        marks = dict(zip(header[about:], row[about:], strict=True))
        if "Points Possible" in row[0]:
            points = marks
        else:
            found[row[1]] = marks
    return points, found


def moodle_imports(path, maximum=30):
    """Participant -> the mark that Moodle enters."""
    header, *rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
    identifier, grade = header.index("Identifier"), header.index("Grade")
    assert "Last modified (grade)" in header, "Moodle: invalid grade import"
    values = {row[identifier].removeprefix("Participant "): row[grade] for row in rows}
    numbers = {key: float(value.replace(",", ".")) for key, value in values.items() if value}
    return {key: value for key, value in numbers.items() if 0 <= value <= maximum}


def test_canvas_takes_it_and_empty_stays_empty(export):
    exported = export("canvas")
    points, marks = canvas_imports(exported.path)
    assert points == {"A1": "30"}
    assert marks == {"4001": {"A1": "27.5"}, "4002": {"A1": ""}, "4003": {"A1": "0"}}
    table = read_table(exported.path)
    assert table.rows[1][:5] == ["Ann Müller", "4001", "ann", "amu", ""]
    assert table.rows[3][0].startswith("'=")


@pytest.mark.parametrize("delimiter, number", [(",", "27.5"), (";", "27,5")])
def test_canvass_own_gradebook_is_filled_in(export, delimiter, number):
    template = CANVAS
    if delimiter == ";":
        template = re.sub(r'"[^"]*"|,', lambda m: ";" if m[0] == "," else m[0], template)
        template = template.replace(";30;", ";30,0;")
    exported = export("canvas", template)
    points, marks = canvas_imports(exported.path)
    title = "A1 batch norm (77)"
    assert list(points) == [title]  # no other column could bring back old marks
    # who has no mark here keeps the one there, and so does somebody else
    assert marks["4001"] == {title: number} and marks["4003"] == {title: "0"}
    assert marks["4002"] == {title: "11"} and marks["4009"] == {title: "5"}
    (remark,) = exported.remarks
    assert remark.startswith("Guest, A: left as it is, because nobody in the class list has this")


def test_canvass_columns_of_an_unclear_name(export):
    with pytest.raises(CourseError, match="0 columns of the gradebook begin with A1.*--column"):
        export("canvas", CANVAS.replace("A1 batch", "Batch"))
    with pytest.raises(CourseError, match="2 columns"):
        export("canvas", CANVAS.replace("A2 (78)", "A1 again (78)"))
    exported = export("canvas", CANVAS.replace("A1 batch", "Batch"), column="Batch norm (77)")
    assert canvas_imports(exported.path)[1]["4001"] == {"Batch norm (77)": "27.5"}
    assert canvas_imports(export("canvas", CANVAS.replace("A2 (78)", "A12 (78)")).path)
    for wrong in ("nothing", MOODLE):
        with pytest.raises(CourseError, match="is not the gradebook that Canvas exports"):
            export("canvas", wrong)


def test_moodles_gradebook_takes_it_by_email_username_or_id_number(export):
    table = read_table(export("moodle").path)
    assert table.columns == ["Full name", "Email address", "Username", "ID number", "A1"]
    assert table.rows[0] == ["Ann Müller", "ann@x.example", "amu", "ann", "27.5"]
    assert [row[-1] for row in table.rows] == ["27.5", "", "0"]
    assert not any("waits" in value for row in table.rows for value in row)  # students read it


@pytest.mark.parametrize("template", [MOODLE, MOODLE.replace(",30.00,", ',"30,00",')])
def test_moodles_own_worksheet_is_filled_in(export, template):
    exported = export("moodle", template)
    assert moodle_imports(exported.path) == {"91": 27.5, "92": 4.0, "93": 0.0}
    before, after = (
        list(csv.reader(text.splitlines()))
        for text in (template, exported.path.read_text(encoding="utf-8"))
    )
    changed = [
        (old, new)
        for one, two in zip(before, after, strict=True)
        for old, new in zip(one, two, strict=True)
        if old != new
    ]
    assert changed == [("", "27,5" if '"30,00"' in template else "27.5"), ("", "0")]
    assert exported.remarks == []


def test_a_row_that_is_left_as_it_is_has_the_reason(export):
    twice = CANVAS + '"Müller, Ann",4001,900,amu,,T,,12,20,80\n'
    assert "Müller, Ann: left as it is, because an earlier row is of ann too" in (
        export("canvas", twice).remarks
    )
    other = CANVAS.replace('"Li, Bo",4002', '"Müller, Ann",4002')
    remarks = export("canvas", other).remarks
    assert any(
        "the number or address is that of bo (Bo Li), the name that of" in r for r in remarks
    )


def test_points_that_the_system_would_not_take_are_said(export):
    exported = export("moodle", MOODLE.replace("30.00", "20.00"))
    assert "91" not in moodle_imports(exported.path, 20)
    assert exported.remarks[0].startswith("ann: 27.5 is more than the 20 points")
    assert "Moodle leaves it out without a word" in exported.remarks[0]
    assert exported.remarks[1] == "the assignment has 20 points there, and 30 here"
    missing = "\n".join(line for line in MOODLE.splitlines() if "Bo Li" not in line)
    assert export("moodle", missing).remarks == ["bo: not in the template"]


def test_a_worksheet_in_another_language_gets_a_sentence(export):
    for wrong in (
        MOODLE.replace("Grade,", "Bewertung,"),
        MOODLE.replace("Identifier", "ID"),
        CANVAS,
    ):
        with pytest.raises(CourseError, match="not Moodle's grading worksheet in English"):
            export("moodle", wrong)
    with pytest.raises(CourseError, match="'blackboard' is not a known system"):
        export("blackboard")


def test_a_table_is_written_as_it_was_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\ufeffa;b\r\n"x;y";2\r\n', encoding="utf-8", newline="")
    assert read_table(path).text() == path.read_bytes().decode()
    assert Table(["a"], [["ü"]]).text() == "a\r\nü\r\n"
