"""Downloads as they come: every system's forms, several files of one person, and absurd names."""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
import test_collect
from boxes import NOBODY, ordinary
from test_collect import NOTEBOOK, packed

from resnorm.course.collecting import archives, collector, storing
from resnorm.course.collecting.class_list import Student
from resnorm.course.collecting.worksheet import read_worksheet

CLASS = [*test_collect.CLASS[:3], Student("wei", "王伟", "wei@school.example", "104")]
STUB = "# YOUR CODE HERE\nraise NotImplementedError"


def notebook(*answers, test="assert f(2) == 4"):
    cells = [nbformat.v4.new_code_cell(text) for text in (*answers, test)]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


BLANK, FIRST, SECOND = notebook(STUB), notebook("f = 1"), notebook("f = 2")
OTHER = notebook("g = 3", test="assert g(1)")


@pytest.fixture
def collect(tmp_path):
    handout = tmp_path / "handout.ipynb"
    handout.write_text(BLANK)

    def run(source, **options):
        options = {"handout": handout} | options
        submitted = tmp_path / "submitted"
        result = collector.collect(source, "A1", NOTEBOOK, CLASS, submitted, **options)
        handed_in = {
            path.parent.parent.name: path.read_text() for path in submitted.glob(f"*/A1/{NOTEBOOK}")
        }
        return handed_in, result

    return run


def written(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def reasons(result):
    return dict(result.left)


# every system's forms


@pytest.mark.parametrize(
    "files",
    [
        {  # Moodle, "Download submissions in folders" not ticked
            f"Ann-Marie Müller_5_assignsubmission_file_{NOTEBOOK}": FIRST,
            "王伟_101_assignsubmission_file_mine.ipynb": SECOND,
            "王伟_101_assignsubmission_file_data.npz": "beside it",
        },
        {  # Moodle, in folders, with one of the student's own, and text typed there
            f"Ann-Marie Müller_5_assignsubmission_file/work/{NOTEBOOK}": FIRST,
            "Ann-Marie Müller_5_assignsubmission_onlinetext/onlinetext.html": "hello",
            f"王伟_101_assignsubmission_file/{NOTEBOOK}": SECOND,
        },
        {  # Canvas, which writes the last name first and keeps every letter
            f"müllerannmarie_101_7001_{NOTEBOOK}": FIRST,
            f"王伟_LATE_104_7002_{NOTEBOOK}": SECOND,
        },
        {"ann.ipynb": FIRST, "王伟.ipynb": SECOND},
        {"Müller, Ann-Marie.ipynb": FIRST, "wei@school.example.ipynb": SECOND},
        {"A1_Mueller_Ann-Marie.ipynb": FIRST, "A1-batch-norm (王伟).ipynb": SECOND},
        {"section 1/ann.ipynb": FIRST, f"section 2/wei/{NOTEBOOK}": SECOND},
        {f"all/of/them/ann/A1/{NOTEBOOK}": FIRST, f"all/of/them/wei/A1/{NOTEBOOK}": SECOND},
    ],
)
def test_every_form_of_a_download(tmp_path, collect, files):
    for number, source in enumerate(
        (packed(tmp_path / "all.zip", files), written(tmp_path / "all", files))
    ):
        handed_in, result = collect(source, replace=True)
        assert handed_in == {"ann": FIRST, "wei": SECOND}, number
        assert result.left == []


def test_canvas_names_with_underscores_and_text_instead_of_a_file(tmp_path, collect):
    files = {
        f"li_bo_102_7001_{NOTEBOOK}": FIRST,
        "youngcy_LATE_103_text.html": "<p>here</p>",
        "wei_104_link.html": "<a>",
    }
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"bo": FIRST}
    assert "handed in: youngcy_LATE_103_text.html" in reasons(result)["cy"]
    assert "handed in: wei_104_link.html" in reasons(result)["wei"]


@pytest.mark.parametrize("name", ["anon_10299", "LATE_anon_aB3xY", "anon_102"])
def test_canvas_without_names_is_nobodys(tmp_path, collect, name):
    files = {f"{name}_9001_{NOTEBOOK}": FIRST, f"youngcy_103_9002_{NOTEBOOK}": SECOND}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"cy": SECOND}
    assert "Canvas wrote no names" in reasons(result)[f"{name}_9001_{NOTEBOOK}"]


def test_moodle_without_names_needs_the_worksheet(tmp_path, collect):
    files = {
        f"Participant_55_assignsubmission_file/{NOTEBOOK}": FIRST,
        f"Participant_101_assignsubmission_file/{NOTEBOOK}": SECOND,
    }
    source = packed(tmp_path / "all.zip", files)
    handed_in, result = collect(source)
    assert handed_in == {} and "give --worksheet" in reasons(result)["Participant"]
    sheet = tmp_path / "Grades.csv"
    sheet.write_text(
        "\ufeffIdentifier,Full name,Email address,Status,Last modified (submission)\n"
        'Participant 55,王伟,wei@school.example,Submitted,"Friday, 20 November 2026, 2:14 PM"\n'
        'Participant 101,Bo Li,bo@school.example,Submitted - 1 day late,"-"\n',
        encoding="utf-8",
    )
    due = datetime(2026, 11, 20, 13, tzinfo=UTC)
    handed_in, result = collect(source, worksheet=read_worksheet(sheet, UTC), due=due)
    assert handed_in == {"wei": FIRST, "bo": SECOND} and sorted(result.late) == ["bo", "wei"]
    stamp = (tmp_path / "submitted" / "wei" / "A1" / "timestamp.txt").read_text()
    assert stamp == "2026-11-20 14:14:00 UTC"


def test_all_members_of_a_group_of_gradescope(tmp_path, collect):
    described = (
        "submission_1: !ruby/hash:Group\n  :submitters:\n"
        "  - :name: Cy Young\n    :sid: '103'\n    :email: cy@school.example\n"
        "  - :name: Wei Wang\n    :sid:\n    :email: wei@school.example\n"
        "  - :name: Somebody Else\n    :email: x@y.example\n"
        "  :created_at: 2026-11-20 10:00:00\n"  # without a zone: in UTC
        "submission_2: nonsense\n"
    )
    files = {
        "submission_metadata.yml": described,
        f"submission_1/{NOTEBOOK}": FIRST,
        f"submission_2/{NOTEBOOK}": SECOND,
        f"submission_3/{NOTEBOOK}": SECOND,
    }
    due = datetime(2026, 11, 20, 9, tzinfo=UTC)
    handed_in, result = collect(packed(tmp_path / "all.zip", files), due=due)
    assert handed_in == {"cy": FIRST, "wei": FIRST} and sorted(result.late) == ["cy", "wei"]
    left = reasons(result)
    assert "nobody in the class list" in left["Somebody Else"]
    assert "nobody in the class list" in left["submission_2"]
    assert "does not say whose it is" in left["submission_3"]


def test_a_zip_alone_in_a_folder_and_a_zip_of_one_student(tmp_path, collect):
    inner = packed(tmp_path / "inner.zip", {f"work/{NOTEBOOK}": FIRST}).read_bytes()
    files = {"ann/mine.zip": inner, f"bo/{NOTEBOOK}": SECOND, "Cy Young.zip": inner}
    folder = tmp_path / "folder"
    folder.mkdir()
    packed(folder / "download.zip", files)
    handed_in, result = collect(folder)
    assert handed_in == {"ann": FIRST, "bo": SECOND, "cy": FIRST} and not result.left


def test_two_people_of_one_name_are_told_apart_or_left(tmp_path, collect):
    files = {f"libo_777_1_{NOTEBOOK}": FIRST, f"libo_888_2_{NOTEBOOK}": SECOND}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {} and "2 people in the download fit bo" in reasons(result)["libo"]
    files = {f"libo_102_1_{NOTEBOOK}": FIRST, f"libo_888_2_{NOTEBOOK}": SECOND}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"bo": FIRST} and "somebody else fits" in reasons(result)["libo"]
    files = {"Ann-Marie Müller.ipynb": FIRST, "Ann-Marie Muller.ipynb": SECOND}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in["ann"] == FIRST and "somebody else fits" in reasons(result)["Ann-Marie Muller"]


def test_an_id_and_a_name_are_of_one_person(tmp_path, collect):
    files = {"ann.ipynb": BLANK, "Ann-Marie Müller.ipynb": FIRST, "Mueller Ann-Marie.zip": "x"}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"ann": FIRST} and list(reasons(result)) == ["Mueller Ann-Marie"]


# several files of one person


@pytest.mark.parametrize(
    "files",
    [
        {NOTEBOOK: (BLANK, 9), "my work.ipynb": (FIRST, 1)},
        {NOTEBOOK: (SECOND, 1), "A1-batch-norm (1).ipynb": (FIRST, 5)},
        {f"old/{NOTEBOOK}": (SECOND, 1), f"new/{NOTEBOOK}": (FIRST, 5)},
        {NOTEBOOK: (FIRST, 1), "A2.ipynb": (OTHER, 9), "broken.ipynb": ("{", 10)},
        {NOTEBOOK: (FIRST, 5), f".ipynb_checkpoints/{NOTEBOOK}": (SECOND, 9)},
        {
            NOTEBOOK: (FIRST, 5),
            f"x/__MACOSX/._{NOTEBOOK}": (SECOND, 9),
            f"y/.git/{NOTEBOOK}": ("", 9),
        },
    ],
)
def test_of_two_files_the_filled_in_newer_one_is_taken(tmp_path, collect, files):
    folder = written(tmp_path / "all", {f"ann/{name}": text for name, (text, _) in files.items()})
    for name, (_, day) in files.items():
        os.utime(folder / "ann" / name, (day * 86400, day * 86400))
    handed_in, result = collect(folder)
    assert handed_in == {"ann": FIRST} and not result.left
    seen = [name for name in files if "/." not in f"/{name}" and "__MACOSX" not in name]
    assert len(result.remarks) == (len(seen) > 1)
    if len(seen) > 1:
        assert "took" in result.remarks[0] and ", not " in result.remarks[0]
    lost = {text for name, (text, _) in files.items() if name in seen} & {SECOND}
    kept = {path.read_text() for path in (tmp_path / "duplicates").rglob("*.ipynb")}
    assert kept == lost


def test_of_canvas_the_file_that_was_handed_in_last(tmp_path, collect):
    files = {
        f"libo_102_30_{NOTEBOOK}": SECOND,
        "libo_102_31_A1-batch-norm-2.ipynb": FIRST,
        "libo_102_29_A1-batch-norm-1.ipynb": SECOND,
        "libo_102_40_A1-batch-norm-3.ipynb": BLANK,
        "libo_102_32_data-1.npz": "new",
        "libo_102_28_data.npz": "old",
        "libo_102_33_fig-1.png": "one",
        "libo_102_34_fig-2.png": "two",
    }
    handed_in, _ = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"bo": FIRST}
    beside = {path.name: path.read_text() for path in (tmp_path / "submitted/bo/A1").iterdir()}
    assert beside["data.npz"] == "new" and {"one", "two"} <= set(beside.values())


def test_the_same_time_and_no_name_is_not_a_choice(tmp_path, collect):
    folder = written(tmp_path / "all", {"ann/x.ipynb": FIRST, "ann/y.ipynb": SECOND})
    for path in folder.rglob("*.ipynb"):
        os.utime(path, (0, 0))
    handed_in, result = collect(folder)
    assert handed_in == {} and "handed in: x.ipynb, y.ipynb" in reasons(result)["ann"]


def test_a_filled_in_file_takes_the_place_of_a_blank_one(tmp_path, collect):
    for text, wanted in ((BLANK, BLANK), (FIRST, FIRST), (SECOND, FIRST), (BLANK, FIRST)):
        handed_in, result = collect(packed(tmp_path / "all.zip", {"ann.ipynb": text}))
        assert handed_in == {"ann": wanted}
        assert (result.remarks == ["ann: a filled-in notebook replaced a blank one"]) == (
            text == FIRST
        )
        assert (result.again == ["ann"]) == (text != wanted)


# what an archive or a folder can do to us


def test_no_link_is_followed_out_of_the_folder(tmp_path, collect):
    secret = written(tmp_path / "secret", {NOTEBOOK: SECOND, "cy.ipynb": SECOND})
    folder = written(tmp_path / "all", {f"bo/{NOTEBOOK}": FIRST, "cy/readme.txt": ""})
    (folder / "ann").symlink_to(secret)
    (folder / "wei.ipynb").symlink_to(secret / "cy.ipynb")
    (folder / "cy" / NOTEBOOK).symlink_to(secret / NOTEBOOK)
    (folder / "cy" / "deep").symlink_to(secret)
    os.mkfifo(folder / "fifo.ipynb")
    handed_in, result = collect(folder)
    assert handed_in == {"bo": FIRST}
    left = reasons(result)
    assert left["ann"] == left["wei.ipynb"] == "is a link"
    assert left["fifo.ipynb"] == "is not a regular file" and "handed in: readme.txt" in left["cy"]


@pytest.mark.parametrize(
    "name",
    [
        "ann/" + "x" * 400 + ".txt",
        "ann/" + "y" * 5000 + "/a.txt",
        "ann/bell\x07\x1b[2Jtab\t.txt",
        "ann/CON",
        "ann/trailing. . .",
        "ann/line\nbreak.txt",
        "ann/\u202egnp.txt",
        "ann//./a.txt",
        "zoë/" * 600 + "a.txt",
        "ann/" + "d/" * 1500 + "a.ipynb",
    ],
)
def test_an_absurd_name_does_not_stop_the_rest(tmp_path, collect, name):
    files = {f"ann/{NOTEBOOK}": FIRST, name: "absurd", f"bo/{NOTEBOOK}": SECOND}
    handed_in, result = collect(packed(tmp_path / "all.zip", files))
    assert handed_in == {"ann": FIRST, "bo": SECOND}
    shown = "".join(f"{label}{reason}" for label, reason in result.left)
    assert shown.isprintable()
    for path in (tmp_path / "submitted").rglob("*"):
        assert path.name.isprintable() and len(path.name.encode()) <= 255


def test_folders_in_folders_without_an_end_do_not_stop_the_rest(tmp_path, collect):
    folder = written(tmp_path / "all", {f"ann/{NOTEBOOK}": FIRST})
    for start in ("zoe", "ann/deep"):
        place = os.open(folder, os.O_RDONLY)
        for name in [*start.split("/"), *["d"] * 1500]:
            if name not in os.listdir(place):
                os.mkdir(name, dir_fd=place)
            inner = os.open(name, os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = inner
        os.close(place)
    handed_in, _ = collect(folder)
    assert handed_in == {"ann": FIRST}
    subprocess.run(["rm", "-r", folder], check=True)  # pytest could not


def test_half_characters_in_the_names_of_a_folder(tmp_path, collect):
    folder = written(tmp_path / "all", {f"ann/{NOTEBOOK}": FIRST})
    for name in (b"bad\xff.ipynb", b"ann/data\xff.txt"):
        with open(os.path.join(os.fsencode(folder), name), "w") as file:
            file.write("x")
    handed_in, result = collect(folder)
    assert handed_in == {"ann": FIRST}
    assert all(label.isprintable() and reason.isprintable() for label, reason in result.left)


def raw_zip(path, names, flag):
    """A zip whose names are these bytes; the flag says whether they claim to be UTF-8."""
    body, directory = b"", b""
    for name, content in names:
        data = content.encode()
        common = struct.pack("<HHHHHI", 20, flag, 0, 0, 0x5A21, archives.zlib.crc32(data))
        common += struct.pack("<IIHH", len(data), len(data), len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + common + name + data
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\x05\x06" + end)
    return path


@pytest.mark.parametrize(
    "encoding, flag",
    [("utf-8", 0x800), ("utf-8", 0), ("cp437", 0)],
)
def test_names_in_the_encodings_that_programs_write(tmp_path, collect, encoding, flag):
    name = f"Ann-Marie Müller/{NOTEBOOK}".encode(encoding)
    handed_in, result = collect(raw_zip(tmp_path / "all.zip", [(name, FIRST)], flag))
    assert handed_in == {"ann": FIRST} and not result.left


def test_names_that_claim_to_be_utf8_and_are_not(tmp_path, collect):
    names = [(f"bo/{NOTEBOOK}".encode(), FIRST), (b"zo\xeb/a.ipynb", SECOND), (b"\xff\xfe", "")]
    handed_in, result = collect(raw_zip(tmp_path / "all.zip", names, 0x800))
    assert handed_in == {"bo": FIRST} and len(result.left) == 2


def test_encrypted_entries_and_large_archives(tmp_path, collect):
    path = raw_zip(tmp_path / "all.zip", [(f"ann/{NOTEBOOK}".encode(), FIRST)], 1)
    handed_in, result = collect(path)
    assert handed_in == {}
    assert reasons(result)[f"ann/{NOTEBOOK}"] == "is encrypted: ask for it without a password"
    with zipfile.ZipFile(tmp_path / "64.zip", "w") as zipped:
        for student in ("ann", "bo"):
            with zipped.open(f"{student}/{NOTEBOOK}", "w", force_zip64=True) as file:
                file.write(FIRST.encode())
    assert collect(tmp_path / "64.zip")[0] == {"ann": FIRST, "bo": FIRST}


def test_a_disk_that_is_full_while_unpacking_is_no_absurd_name(tmp_path, collect, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    path = packed(tmp_path / "all.zip", {f"ann/{NOTEBOOK}": FIRST})
    monkeypatch.setattr(archives.Path, "open", full)
    with pytest.raises(OSError, match="No space left"):
        collect(path)


# what was collected earlier


def kept(tmp_path):
    """Name -> content of what Ann has in duplicates."""
    folder = tmp_path / "duplicates" / "ann" / "A1"
    return {
        path.name: path.read_text() for path in folder.iterdir() if "timestamp" not in path.name
    }


def taken(tmp_path):
    folder = tmp_path / "submitted" / "ann" / "A1"
    return {
        path.name: path.read_text() for path in folder.iterdir() if "timestamp" not in path.name
    }


def test_other_data_beside_the_same_notebook_is_other_work(tmp_path, collect):
    for day, data in (("one", "old"), ("two", "new")):
        files = {f"ann/{NOTEBOOK}": FIRST, "ann/predictions.npy": data}
        written(tmp_path / day, files)
    collect(tmp_path / "one")
    _, result = collect(tmp_path / "one")
    assert (result.students, result.again) == (["ann"], [])
    for _ in range(2):
        _, result = collect(tmp_path / "two")
        assert (result.students, result.again) == ([], ["ann"])
        assert kept(tmp_path) == {f"1-{NOTEBOOK}": FIRST, "1-predictions.npy": "new"}
        assert taken(tmp_path)["predictions.npy"] == "old"
    collect(tmp_path / "two", replace=True)
    assert taken(tmp_path)["predictions.npy"] == "new"
    assert kept(tmp_path)["2-predictions.npy"] == "old"


def test_what_is_replaced_is_kept_even_by_a_blank_one(tmp_path, collect):
    collect(written(tmp_path / "one", {f"ann/{NOTEBOOK}": FIRST}))
    _, result = collect(written(tmp_path / "two", {f"ann/{NOTEBOOK}": BLANK}), replace=True)
    assert taken(tmp_path) == {NOTEBOOK: BLANK} and kept(tmp_path) == {f"1-{NOTEBOOK}": FIRST}
    assert result.remarks == [
        f"ann: took {NOTEBOOK} (blank), and kept the earlier one (filled in) in duplicates"
    ]


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_at_any_moment_leaves_whole_work_or_none(tmp_path, collect, monkeypatch, moment):
    """Of ``rmtree`` as well, which is killed when the notebook is gone and the data are not."""
    wholes = []
    for content in (FIRST, SECOND):
        files = {NOTEBOOK: content, "data.csv": content}
        wholes.append(files)
        written(tmp_path / content[-20:-10], {f"ann/{name}": text for name, text in files.items()})
    one, two = (tmp_path / content[-20:-10] for content in (FIRST, SECOND))
    collect(one)
    steps = iter(range(100))

    def killed(function):
        def step(path, *rest, **options):
            if next(steps) == moment:
                if function.__name__ == "rmtree":
                    (Path(path) / NOTEBOOK).unlink(missing_ok=True)
                raise KeyboardInterrupt
            return function(path, *rest, **options)

        return step

    with monkeypatch.context() as patch:
        for module, name in ((shutil, "rmtree"), (shutil, "copy"), (os, "replace")):
            patch.setattr(module, name, killed(getattr(module, name)))
        with contextlib.suppress(KeyboardInterrupt):
            collect(two, replace=True)
    if (tmp_path / "submitted" / "ann" / "A1").exists():
        assert taken(tmp_path) in wholes
    collect(two, replace=True)
    assert taken(tmp_path) == wholes[1]


def test_a_folder_without_its_notebook_is_no_work(tmp_path, collect):
    source = written(tmp_path / "one", {f"ann/{NOTEBOOK}": FIRST})
    collect(source)
    (tmp_path / "submitted" / "ann" / "A1" / NOTEBOOK).unlink()
    _, result = collect(source)
    assert taken(tmp_path) == {NOTEBOOK: FIRST} and result.taken == ["ann"]


def test_a_duplicate_never_takes_the_place_of_another(tmp_path):
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_text(file.name)
    folder = tmp_path / "duplicates" / "ann" / "A1"
    for file in (files[0], files[0], files[1]):
        storing.keep({"x": file}, folder)
    assert kept(tmp_path) == {"1-x": "a", "2-x": "b"}
    (folder / "1-x").unlink()
    storing.keep({"x": files[2]}, folder)
    assert kept(tmp_path) == {"2-x": "b", "3-x": "c"}


def test_what_a_student_packed_does_not_say_when_it_was_handed_in(tmp_path, collect):
    """Names and times in a zip are the student's own choice."""
    folder = tmp_path / "all" / "ann"
    folder.mkdir(parents=True)
    files = {NOTEBOOK: FIRST, "timestamp.txt": "2020-01-01 00:00:00 UTC"}
    os.utime(packed(folder / "work.zip", files), (10**9, 10**9))
    _, result = collect(tmp_path / "all")
    assert result.times["ann"].when == datetime.fromtimestamp(10**9, UTC)
    (folder / "timestamp.txt").write_text("2026-12-01 08:00:00 UTC")
    _, result = collect(tmp_path / "all", replace=True)
    assert result.times["ann"].when == datetime(2026, 12, 1, 8, tzinfo=UTC)


READ = """
import sys
from pathlib import Path
from resnorm.course.collecting import collector
from resnorm.course.collecting.class_list import Student
people = [Student(name) for name in ("ann", "bo", "cy")]
folder = Path(sys.argv[1])
result = collector.collect(folder / "all", "A1", "a.ipynb", people, folder / "submitted")
print(result.taken, *result.left, sep="\\n")
"""


def test_what_an_account_may_not_read_costs_only_its_own_student():
    """Of an ordinary user, as root may read everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        all_of_them = written(
            Path(folder), {f"all/{who}/a.ipynb": "x" for who in ("ann", "bo", "cy")}
        )
        if os.geteuid() == 0:
            for path in [all_of_them, *all_of_them.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        (all_of_them / "all" / "ann").chmod(0)
        (all_of_them / "all" / "bo" / "a.ipynb").chmod(0)
        result = ordinary([sys.executable, "-P", "-c", READ, folder])
        (all_of_them / "all" / "ann").chmod(0o700)
    taken, *left = result.stdout.splitlines()
    assert taken == "['cy']", result.stderr
    assert left[0] == "('ann', 'cannot be read with the rights of your account')"
    assert left[1].startswith("('bo', ") and "Permission denied" in left[1]


# what a student puts into their own folder


DESCRIPTION = """\
submission_1:
  :submitters:
  - :name: Bo Li
    :email: bo@school.example
    :sid: "102"
  :created_at: 2020-01-01 00:00:00 UTC
"""


@pytest.mark.parametrize(
    "made_up",
    [
        {"submission_metadata.yml": DESCRIPTION, f"submission_1/{NOTEBOOK}": SECOND},
        {f"libo_102_9001_{NOTEBOOK}": SECOND},
        {f"Bo Li_12_assignsubmission_file_/{NOTEBOOK}": SECOND},
        {"Bo Li.ipynb": SECOND},
        {f"deeper/bo/{NOTEBOOK}": SECOND},
    ],
    ids=["Gradescope", "Canvas", "Moodle", "a name", "an id"],
)
@pytest.mark.parametrize("others", ["a1-cat", "cy"])
def test_no_folder_of_a_student_speaks_for_somebody_else(tmp_path, collect, made_up, others):
    files = {f"a1-mallory/{name}": content for name, content in made_up.items()}
    source = written(tmp_path / "download", files | {f"{others}/{NOTEBOOK}": FIRST})
    handed_in, result = collect(source)
    assert "bo" not in handed_in and "a student" in reasons(result)["a1-mallory"]


def test_folders_of_groups_beside_each_other_hold_those_of_students(tmp_path, collect):
    files = {f"group 1/ann/{NOTEBOOK}": FIRST, f"group 2/bo/{NOTEBOOK}": SECOND, "notes/a.txt": ""}
    handed_in, _ = collect(written(tmp_path / "download", files))
    assert handed_in == {"ann": FIRST, "bo": SECOND}


def test_a_file_named_like_a_folder_above_stays_in_its_folder(tmp_path, collect):
    files = {f"libo_102_9002_{NOTEBOOK}": FIRST, "libo_102_9002_..": "above"}
    collect(written(tmp_path / "download", files))
    assert [path.name for path in (tmp_path / "submitted" / "bo").iterdir()] == ["A1"]
    assert (tmp_path / "submitted" / "bo" / "A1" / "_").read_text() == "above"
