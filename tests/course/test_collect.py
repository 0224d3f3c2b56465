"""What learning management systems hand out, whole and hostile."""

import stat
import zipfile
from datetime import UTC, datetime

import pytest

from resnorm.course.collecting import archives, collector
from resnorm.course.collecting.class_list import Student, read_class

NOTEBOOK = "A1-batch-norm.ipynb"
CLASS = [
    Student("ann", "Ann-Marie Müller", "ann@school.example", "101"),
    Student("bo", "Bo Li", "bo@school.example", "102"),
    Student("cy", "Cy Young", "cy@school.example", "103"),
    Student("li", "Li Bo Chen", "li@school.example", "104"),
]


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return path


def collect(source, submitted, **options):
    return collector.collect(source, "A1", NOTEBOOK, CLASS, submitted, **options)


def handed_in(submitted):
    return {
        path.parent.parent.name: path.read_text() for path in submitted.glob(f"*/A1/{NOTEBOOK}")
    }


def test_canvas_names_late_and_the_last_of_several(tmp_path):
    files = {
        f"mullerannmarie_LATE_101_9001_{NOTEBOOK}": "ann",
        f"libo_102_9002_{NOTEBOOK}": "bo, first",
        "libo_102_9003_A1-batch-norm-1.ipynb": "bo, second",
        "libo_102_9004_notes.txt": "beside it",
        f"youngcy_777_9005_{NOTEBOOK}": "cy, whose number is another",
    }
    result = collect(packed(tmp_path / "canvas.zip", files), tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {
        "ann": "ann",
        "bo": "bo, second",
        "cy": "cy, whose number is another",
    }
    assert (
        result.late == ["ann"]
        and sorted(result.students) == ["ann", "bo", "cy"]
        and result.left == []
    )
    assert (tmp_path / "submitted" / "bo" / "A1" / "notes.txt").read_text() == "beside it"


@pytest.mark.parametrize(
    "name", ["nbgrader_config.py", "jupyter_server_config.json", "Jupyter_Lab_Config.PY"]
)
def test_a_file_that_would_configure_jupyter_is_left_out_and_named(tmp_path, name):
    """Formgrader executes such a file when a link in an answer leads it into the folder."""
    folder = tmp_path / "download" / "bo"
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_text("bo")
    (folder / name).write_text("c.Application.log_level = 'DEBUG'")
    (folder / "predictions.npy").write_bytes(b"kept")
    result = collect(tmp_path / "download", tmp_path / "submitted")
    kept = {path.name for path in (tmp_path / "submitted" / "bo" / "A1").iterdir()}
    assert kept - {"timestamp.txt"} == {NOTEBOOK, "predictions.npy"}
    assert any("would configure Jupyter" in str(line) for line in result.left)


def test_moodle_and_gradescope(tmp_path):
    moodle = {
        f"A1 export/Ann-Marie Müller_101_assignsubmission_file/{NOTEBOOK}": "ann",
        "A1 export/Bo Li_55_assignsubmission_file/my own name.ipynb": "bo",
        "A1 export/__MACOSX/._x": "",
    }
    collect(packed(tmp_path / "moodle.zip", moodle), tmp_path / "m")
    assert handed_in(tmp_path / "m") == {"ann": "ann", "bo": "bo"}
    gradescope = {
        "assignment_1_export/submission_metadata.yml": (
            "submission_77:\n  :submitters:\n"
            "  - :name: Cy Young\n    :sid: '103'\n    :email: cy@school.example\n"
            "  :created_at: 2026-11-20 10:00:00 Z\n"
        ),
        f"assignment_1_export/submission_77/{NOTEBOOK}": "cy",
    }
    result = collect(
        packed(tmp_path / "g.zip", gradescope),
        tmp_path / "g",
        due=datetime(2026, 11, 19, tzinfo=UTC),
    )
    assert handed_in(tmp_path / "g") == {"cy": "cy"} and result.late == ["cy"]
    assert (tmp_path / "g" / "cy" / "A1" / "timestamp.txt").read_text() == "2026-11-20 10:00:00 UTC"


def test_a_folder_a_student_and_what_is_not_taken_is_said(tmp_path):
    for name, files in {
        "ann": {NOTEBOOK: "ann"},
        "bo": {"a.ipynb": "1", "b.ipynb": "2"},
        "cy": {"essay.pdf": "x"},
        "zoe": {NOTEBOOK: "who"},
    }.items():
        folder = tmp_path / "all" / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_text(content)
    result = collect(tmp_path / "all", tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {"ann": "ann"}
    left = dict(result.left)
    assert (
        "not exactly one notebook; handed in: a.ipynb, b.ipynb" in left["bo"]
        and "essay.pdf" in left["cy"]
        and "nobody in the class list" in left["zoe"]
    )


def test_a_second_submission_is_kept_beside_unless_it_is_to_replace(tmp_path):
    submitted = tmp_path / "submitted"
    collect(
        packed(tmp_path / "1.zip", {f"ann/{NOTEBOOK}": "one", f"bo/{NOTEBOOK}": "b"}), submitted
    )
    again = collect(
        packed(tmp_path / "2.zip", {f"ann/{NOTEBOOK}": "two", f"bo/{NOTEBOOK}": "b"}), submitted
    )
    assert (
        handed_in(submitted)["ann"] == "one" and again.again == ["ann"] and again.students == ["bo"]
    )
    collect(tmp_path / "2.zip", submitted)  # as often as you like
    assert [
        path.read_text() for path in (tmp_path / "duplicates" / "ann" / "A1").glob("*.ipynb")
    ] == ["two"]
    collect(tmp_path / "2.zip", submitted, replace=True)
    assert handed_in(submitted)["ann"] == "two"


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:\\evil.txt", "..\\evil.txt"]
)
def test_what_would_leave_its_folder_is_named_and_the_rest_is_collected(tmp_path, name):
    result = collect(
        packed(tmp_path / "slip.zip", {f"ann/{NOTEBOOK}": "x", name: "evil"}),
        tmp_path / "submitted",
    )
    assert handed_in(tmp_path / "submitted") == {"ann": "x"}
    assert result.left == [(repr(name), "would be unpacked outside of its folder")]
    assert not list(tmp_path.rglob("evil*"))


def test_links_bombs_and_damage_are_named_and_the_rest_is_collected(tmp_path, monkeypatch):
    link = zipfile.ZipInfo(f"cy/{NOTEBOOK}")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 3 * 2**20)
    path = packed(
        tmp_path / "all.zip",
        {
            f"ann/{NOTEBOOK}": b"\0" * 20 * 2**20,
            f"bo/{NOTEBOOK}": "fine",
            f"li/{NOTEBOOK}": "0123456789" * 50,
        },
    )
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(link, "/etc/passwd")
        offset = zipped.getinfo(f"li/{NOTEBOOK}").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 30 + len(f"li/{NOTEBOOK}") + 3] ^= 0xFF  # in the packed bytes
    path.write_bytes(content)
    result = collect(path, tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {"bo": "fine"}
    left = dict(result.left)
    assert (
        left[f"ann/{NOTEBOOK}"] == "unpacks to more than 3 MB"
        and left[f"cy/{NOTEBOOK}"] == "is a link"
    )
    assert left[f"li/{NOTEBOOK}"].startswith("is damaged or encrypted")


def test_an_archive_that_is_too_much_or_none_is_refused_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 3 * 2**20)
    with pytest.raises(ValueError, match="unpacks to more than 3 MB. Nothing"):
        collect(
            packed(tmp_path / "bomb.zip", {f"ann/{i}": b"\0" * 2**20 for i in range(9)}),
            tmp_path / "submitted",
        )
    monkeypatch.setattr(archives, "MAX_FILES", 5)
    with pytest.raises(ValueError, match="holds 6 files; at most 5"):
        collect(
            packed(tmp_path / "many.zip", {f"ann/{i}": "" for i in range(6)}),
            tmp_path / "submitted",
        )

    whole = packed(tmp_path / "whole.zip", {f"ann/{NOTEBOOK}": "x" * 1000}).read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read as a zip"):
        collect(tmp_path / "half.zip", tmp_path / "submitted")
    assert not (tmp_path / "submitted").exists()


def test_a_zip_in_a_zip_a_hundred_deep_stays_packed(tmp_path):
    inner = b"x"
    for _ in range(100):
        path = packed(tmp_path / "level.zip", {"next.zip": inner})
        inner = path.read_bytes()
    result = collect(
        packed(tmp_path / "deep.zip", {"ann/next.zip": inner, f"bo/{NOTEBOOK}": "b"}),
        tmp_path / "submitted",
    )
    assert handed_in(tmp_path / "submitted") == {"bo": "b"} and dict(result.left)["ann"].endswith(
        "handed in: next.zip"
    )


def test_a_full_disk_leaves_nothing_half_done(tmp_path, monkeypatch):
    import shutil

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(OSError, match="No space left"):
        collect(packed(tmp_path / "a.zip", {f"ann/{NOTEBOOK}": "x"}), tmp_path / "submitted")
    assert (
        handed_in(tmp_path / "submitted") == {}
        and not (tmp_path / "submitted" / "ann" / "A1").exists()
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("name\nAnn\n", "needs a column id"),
        ("id,name\n../x,Ann\n", "must be of letters"),
        ("id\nann\nANN\n", "more than one row has the id ann"),
        ("id,email\na,x@y\nb,X@Y\n", "more than one row has the email"),
    ],
)
def test_a_class_list_with_a_fault_is_refused(tmp_path, text, message):
    path = tmp_path / "students.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_class(path)


def test_a_hundred_encrypted_entries_do_not_stop_the_rest(tmp_path):
    path = packed(tmp_path / "canvas.zip", {f"libo_102_{n}_note{n}.txt": "x" for n in range(100)})
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(f"mullerannmarie_101_9001_{NOTEBOOK}", "ann")
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # both headers of an entry
        start = -1
        while (start := data.find(mark, start + 1)) >= 0:
            if b"note" in data[start : start + 80]:
                data[start + place] |= 1
    path.write_bytes(data)
    result = collect(path, tmp_path / "submitted")
    assert handed_in(tmp_path / "submitted") == {"ann": "ann"}
    assert sum("is encrypted" in str(line) for line in result.left) == 100
