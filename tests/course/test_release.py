"""The committed release is that of the sources, and nothing that students reach holds an answer."""

import re
from pathlib import Path

import nbformat
import pytest

import release

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(release.SOURCE.glob("*/*.ipynb"))


def test_there_are_six_and_each_has_secrets():
    assert [path.parent.name for path in SOURCES] == ["A1", "A2", "A3", "A4", "A5", "A6"]
    assert all(len(release.secrets(path)) >= 3 for path in SOURCES)


def test_the_release_is_that_of_the_sources():
    release.main(["check"])


@pytest.mark.parametrize(
    "path", sorted(release.RELEASE.glob("*/*.ipynb")), ids=lambda path: path.parent.name
)
def test_a_released_notebook_holds_no_answer_and_every_test(path):
    notebook = nbformat.read(path, as_version=4)
    source = next((release.SOURCE / path.parent.name).glob("*.ipynb"))
    assert release.leaks([path]) == []
    assert not re.search(r"BEGIN|Rubric", "\n".join(cell.source for cell in notebook.cells))
    assert all(not cell.get("outputs") for cell in notebook.cells)
    graded = [
        c
        for c in nbformat.read(source, as_version=4).cells
        if c.metadata.get("nbgrader", {}).get("grade")
    ]
    assert [
        c.metadata.nbgrader.grade_id
        for c in notebook.cells
        if c.metadata.get("nbgrader", {}).get("grade")
    ] == [c.metadata.nbgrader.grade_id for c in graded]
    assert sum(c.metadata.nbgrader.points for c in graded) == 30


@pytest.mark.parametrize(
    "path",
    [*SOURCES, *sorted(release.RELEASE.glob("*/*.ipynb"))],
    ids=lambda path: f"{path.parent.name}, {path.parents[1].name}",
)
def test_a_code_cell_can_be_read_at_one_look(path):
    cells = nbformat.read(path, as_version=4).cells
    lines = {c.id: len(c.source.splitlines()) for c in cells if c.cell_type == "code"}
    assert {cell: n for cell, n in lines.items() if n > 45} == {}


def test_no_page_source_holds_an_answer():
    chapters = [
        path for path in (ROOT / "notebooks").rglob("*.ipynb") if release.SOURCE not in path.parents
    ]
    assert release.leaks([*(ROOT / "book").rglob("*.md"), *ROOT.glob("*.md"), *chapters]) == []


def test_an_answer_would_be_found(tmp_path):
    """In a notebook, and in a page whose code is marked up."""
    cell = next(
        cell
        for cell in nbformat.read(SOURCES[0], as_version=4).cells
        if "BEGIN HIDDEN" in cell.source
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    marked = (
        cell.source.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace('"', "&quot;")
        .replace("torch", '<span class="n">torch</span>')
    )
    (tmp_path / "a.html").write_text(f"<p>Look:</p><pre>{marked}</pre>")
    (tmp_path / "b.html").write_text("<p>nothing</p>")
    assert release.leaks(sorted(tmp_path.iterdir())) == [("a.html", "A1"), ("a.ipynb", "A1")]
