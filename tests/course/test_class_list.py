"""Class lists as spreadsheets and learning management systems write them."""

import pytest

from resnorm.course.collecting.class_list import Student, read_class

OURS = "id,name,email,lms_id\nann,Ann Müller,ann@x.example,1\nbo,Bo Li,bo@x.example,2\n"
WANTED = [
    Student("ann", "Ann Müller", "ann@x.example", "1"),
    Student("bo", "Bo Li", "bo@x.example", "2"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_that_can_be_told_and_every_delimiter(tmp_path, encoding, delimiter):
    path = tmp_path / "students.csv"
    text = OURS.replace(",", delimiter).replace("\n", "\r\n")
    if encoding == "utf-16-le-bom":
        path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    else:
        path.write_bytes(text.encode(encoding))
    assert read_class(path) == WANTED


CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,A1 (77)\n"
    ",,,,,Manual Posting\n    Points Possible,,,,,30\n"
    '"Müller, Ann",4001,900,amueller,Norm,\n"Li, Bo",4002,901,bli,Norm,\n'
    '"Student, Test",4003,,84f1c0,Norm,\n'
)
MOODLE = (
    '"First name","Last name","Email address","Groups"\n'
    "Ann,Müller,ann@x.example,\nBo,Li,bo@x.example,\n"
)
MOODLE_OLD = "First name,Surname,ID number,Email address\nAnn,Müller,900,ann@x.example\n"
WORKSHEET = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade\n"
    "Participant 5,Ann Müller,ann@x.example,,\n"
)
GRADESCOPE = (
    "First Name,Last Name,SID,Email,Role,Section\n"
    "Ann,Müller,900,ann@x.example,Student,A\nT,Eacher,,t@x.example,Instructor,\n"
    "Bo,Li,901,bo@x.example,Student,A\n"
)
BRIGHTSPACE = (
    "OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator\n"
    "#900,#ann,Müller,Ann,ann@x.example,#\n#901,#bo,Li,Bo,bo@x.example,#\n"
)


@pytest.mark.parametrize(
    "text, wanted",
    [
        (CANVAS, Student("amueller", "Müller, Ann", "", "4001", "amueller")),
        (CANVAS.replace(",bli,", ",,"), Student("900", "Müller, Ann", "", "4001", "amueller")),
        (MOODLE, Student("ann@x.example", "Ann Müller", "ann@x.example")),
        (MOODLE_OLD, Student("900", "Ann Müller", "ann@x.example")),
        (WORKSHEET, Student("ann@x.example", "Ann Müller", "ann@x.example")),
        (GRADESCOPE, Student("900", "Ann Müller", "ann@x.example", "900")),
        (BRIGHTSPACE, Student("ann", "Ann Müller", "ann@x.example", "900", "ann")),
    ],
)
def test_the_exports_of_four_systems_are_read_as_they_are(tmp_path, text, wanted):
    path = tmp_path / "students.csv"
    path.write_text(text, encoding="utf-8")
    students = read_class(path)
    assert students[0] == wanted
    assert len(students) == (2 if "Bo" in text else 1)


@pytest.mark.parametrize(
    "content, message",
    [
        ("id,name\nann,Ann Müller\n".encode("cp1252"), "not in UTF-8.*line 2.*save it as “CSV UTF"),
        ("id,name\nann,Ann Müller\n".encode("mac-roman"), "not in UTF-8"),
        ("id,name\nann,Ann\n".encode("utf-16-le"), "not a text in UTF-8"),
        (b"PK\x03\x04rest of an xlsx", "is a spreadsheet, not a CSV"),
        (b"\xd0\xcf\x11\xe0rest of an xls", "is a spreadsheet, not a CSV"),
        (b"Name,Mail\nAnn,a@x\n", "needs a column id.*it has Name, Mail. Rename"),
        (b"", "needs a column id.*it has none"),
        (b"OrgDefinedId,Username\n#,\n", "class list of Brightspace, but none of its columns"),
        (b'id,name\nann,"' + b"x" * 200_000 + b'"\n', "cannot be read as a CSV"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence_that_helps(tmp_path, content, message):
    path = tmp_path / "students.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_class(path)
