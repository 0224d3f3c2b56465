"""Collecting tells a blank notebook from a filled-in one by what grading would read of it."""

import json
import os

import nbformat
import pytest
from odd_notebooks import ENCODED, ODD, REFUSED, format_3, handed_in, released

from resnorm.course.collecting import choosing, collector
from resnorm.course.collecting.class_list import Student
from resnorm.course.collecting.people import File

NOTEBOOK = "A1-batch-norm.ipynb"


def blank():
    """The released notebook as it is, as the object that its file holds."""
    return json.loads(nbformat.writes(released()))


def each_text(change):
    def changed(content):
        for cell in content["cells"]:
            cell["source"] = change("".join(cell["source"]))
        return content

    return changed


#: What editors and websites make of a notebook without a change by its owner.
UNTOUCHED = {name: change for name, change in ODD.items() if change is not format_3} | {
    "tabs": each_text(lambda text: text.replace("    ", "\t")),
    "non-breaking spaces": each_text(lambda text: text.replace(" ", "\u00a0")),
    "carriage returns alone": each_text(lambda text: text.replace("\n", "\r")),
}


def as_bytes(content):
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    path = tmp_path_factory.mktemp("handout") / NOTEBOOK
    nbformat.write(released(), path)
    return path


@pytest.fixture
def look(tmp_path, handout):
    """What collecting says of a notebook with this content."""

    def describe(content):
        path = tmp_path / "theirs.ipynb"
        path.write_bytes(as_bytes(content))
        file = File(path, path.name)
        return choosing.candidate(file, (), choosing.handed_out(handout)).describes

    return describe


@pytest.fixture
def collect(tmp_path, handout):
    """Collect Ann's files, name -> content, the later ones newer; what is taken, and the result."""

    def run(files):
        folder = tmp_path / "download"
        (folder / "ann").mkdir(parents=True, exist_ok=True)
        for old in (folder / "ann").iterdir():
            old.unlink()
        for day, (name, content) in enumerate(files.items(), start=1):
            (folder / "ann" / name).write_bytes(as_bytes(content))
            os.utime(folder / "ann" / name, (day * 86400, day * 86400))
        submitted = tmp_path / "submitted"
        people = [Student("ann", "Ann Doe")]
        result = collector.collect(folder, "A1", NOTEBOOK, people, submitted, handout=handout)
        taken = submitted / "ann" / "A1" / NOTEBOOK
        return taken.read_bytes() if taken.exists() else None, result

    return run


@pytest.mark.parametrize("change", UNTOUCHED.values(), ids=UNTOUCHED)
def test_a_blank_notebook_stays_blank_whoever_saved_it(change, look):
    assert look(change(blank())) == "blank"


@pytest.mark.parametrize("make", ENCODED.values(), ids=ENCODED)
def test_a_filled_in_notebook_is_so_in_every_encoding(make, look):
    assert look(make()) == "filled in"


@pytest.mark.parametrize("content, _", REFUSED.values(), ids=REFUSED)
def test_what_grading_refuses_is_unreadable_here_too(content, _, look):
    assert look(content) == "of another assignment, or unreadable"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_newer_blank_file_does_not_beat_work_in_another_encoding(encoding, collect):
    work = json.dumps(handed_in(), ensure_ascii=False).encode(encoding)
    taken, _ = collect({"work.ipynb": work, NOTEBOOK: blank()})
    assert taken == work


@pytest.mark.parametrize("how", ["lines without their ends", "tabs", "non-breaking spaces"])
def test_a_blank_file_that_an_editor_saved_neither_beats_nor_blocks_the_work(how, collect):
    untouched, work = as_bytes(UNTOUCHED[how](blank())), as_bytes(handed_in())
    assert collect({NOTEBOOK: untouched})[0] == untouched
    taken, result = collect({NOTEBOOK: work})
    assert taken == work
    assert result.remarks == ["ann: a filled-in notebook replaced a blank one"]
    taken, _ = collect({"work.ipynb": work, NOTEBOOK: untouched})
    assert taken == work


def test_collecting_takes_files_of_the_size_that_grading_reads(collect):
    large = as_bytes(handed_in()) + b" " * 70 * 2**20
    taken, result = collect({NOTEBOOK: large})
    assert (len(taken or b""), result.left) == (len(large), [])
    _, result = collect({NOTEBOOK: large + b" " * 40 * 2**20})
    assert ("ann", f"{NOTEBOOK} has 110 MB; at most 100 are taken") in result.left


@pytest.mark.parametrize(
    "name",
    [
        "predictions (1).npy",
        "predictions(2).npy",
        "predictions - Copy.npy",
        "predictions copy 2.npy",
    ],
)
def test_the_only_copy_of_a_file_has_its_plain_name(name, tmp_path):
    notebook = File(tmp_path / NOTEBOOK, NOTEBOOK)
    copy = File(tmp_path / name, name)
    assert choosing.beside([notebook, copy], notebook) == {"predictions.npy": copy.path}


@pytest.mark.parametrize("other", ["predictions.npy", "predictions (2).npy"])
def test_copies_of_which_several_were_handed_in_keep_their_names(other, tmp_path):
    files = [File(tmp_path / name, name) for name in (NOTEBOOK, "predictions (1).npy", other)]
    assert set(choosing.beside(files, files[0])) == {"predictions (1).npy", other}
