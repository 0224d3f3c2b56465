"""Files that are read whatever is odd about them, and files that are refused with a reason."""

import os

import nbformat
import pytest
from odd_notebooks import (
    ENCODED,
    ODD,
    REFUSED,
    code,
    format_3,
    graded,
    handed_in,
    named,
    read,
    sources,
)

from resnorm.course.grading.cells import meta
from resnorm.course.grading.fingerprints import of_folder
from resnorm.course.grading.reading import NotGradableError, read_submission


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_a_notebook_that_is_odd_runs_like_any_other(change, tmp_path):
    usual, _ = graded(handed_in(), tmp_path)
    notebook, messages = graded(change(handed_in()), tmp_path)
    assert messages == []
    heading = [("markdown", None, "## My heading")] if change is format_3 else []
    stripped = [(*about, content.rstrip()) for *about, content in sources(notebook)]
    assert stripped == [(*about, content.rstrip()) for *about, content in heading + sources(usual)]


@pytest.mark.parametrize("make", ENCODED.values(), ids=ENCODED)
def test_a_file_in_another_encoding_is_read(make, tmp_path):
    usual, _ = graded(handed_in(), tmp_path)
    notebook, messages = graded(make(), tmp_path)
    assert messages == [] and sources(notebook) == sources(usual)


@pytest.mark.parametrize("content, reason", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_with_a_reason(content, reason, tmp_path):
    with pytest.raises(NotGradableError, match=rf"A1-batch-norm\.ipynb.*({reason})"):
        read(content, tmp_path)


def test_what_is_not_a_file_is_not_opened(tmp_path):
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    (tmp_path / "nowhere.ipynb").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name, reason in (
        ("link", "is a link"),
        ("nowhere", "is a link"),
        ("folder", "is a folder"),
        ("pipe", "is a folder, a pipe or a device"),
    ):
        with pytest.raises(NotGradableError, match=f"{name}.ipynb {reason}"):
            read_submission(tmp_path / f"{name}.ipynb")


def test_a_fingerprint_of_a_folder_waits_for_nothing_and_sees_every_change(tmp_path):
    seen = set()
    outside = tmp_path / "outside"
    outside.write_text("1")
    folder = tmp_path / "handed-in"
    folder.mkdir()
    for change in (
        lambda: (folder / "A1.ipynb").write_text("{}"),
        lambda: (folder / "A1.ipynb").write_text("[]"),
        lambda: os.close(os.open(os.fsencode(folder) + b"/\xff\xfe", os.O_CREAT)),
        lambda: (folder / "link").symlink_to(outside),
        lambda: os.mkfifo(folder / "pipe"),
        lambda: (folder / "deeper").mkdir(),
    ):
        change()
        seen.add(of_folder(folder))
    assert len(seen) == 6
    outside.write_text("2")
    assert of_folder(folder) in seen


def test_half_a_character_does_not_stop_anything(tmp_path):
    content = handed_in()
    content["cells"].append(code("print('\ud83d')"))
    notebook, _ = graded(content, tmp_path)
    nbformat.write(notebook, tmp_path / "written.ipynb")
    assert notebook.cells[-1].source == "print('\ufffd')"


def test_pictures_of_a_written_answer_reach_the_marker(tmp_path):
    content = handed_in()
    named(content, "written")["attachments"] = {
        "page.png": {"image/png": "iVBORw0KGgo="},
        "script.svg": {"image/svg+xml": "<svg onload='alert(1)'/>"},
        "wrong": 3,
    }
    notebook, _ = graded(content, tmp_path)
    written = next(cell for cell in notebook.cells if meta(cell).get("grade_id") == "written")
    assert written.attachments == {"page.png": {"image/png": "iVBORw0KGgo="}}
    nbformat.validate(notebook)
