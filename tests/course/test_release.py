"""The committed release is that of the sources, and nothing that students can reach holds an answer."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import release  # noqa: E402

SOURCES = sorted(release.SOURCE.glob("*/*.ipynb"))


def squeezed(text):
    return re.sub(r"\s+", "", text)


def secrets(path):
    """Every solution and every hidden test of a source notebook, without white space."""
    for cell in nbformat.read(path, as_version=4).cells:
        for kind in ("SOLUTION", "HIDDEN TESTS"):
            for block in re.findall(rf"### BEGIN {kind}\n(.*?)\n\s*### END {kind}", cell.source, re.DOTALL):
                if len(squeezed(block)) > 40:  # shorter ones, such as a single return, stand in any chapter
                    yield squeezed(block)


def test_there_are_six_and_each_has_secrets():
    assert [path.parent.name for path in SOURCES] == ["A1", "A2", "A3", "A4", "A5", "A6"]
    assert all(len(list(secrets(path))) >= 3 for path in SOURCES)


def test_the_release_is_that_of_the_sources():
    release.main(["check"])


@pytest.mark.parametrize("path", sorted(release.RELEASE.glob("*/*.ipynb")), ids=lambda path: path.parent.name)
def test_a_released_notebook_holds_no_answer_and_every_test(path):
    notebook = nbformat.read(path, as_version=4)
    text = squeezed("\n".join(cell.source for cell in notebook.cells))
    source = next((release.SOURCE / path.parent.name).glob("*.ipynb"))
    assert not [secret for secret in secrets(source) if secret in text]
    assert not re.search(r"BEGIN|Rubric", text)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    graded = [c for c in nbformat.read(source, as_version=4).cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert [c.metadata.nbgrader.grade_id for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")] == [c.metadata.nbgrader.grade_id for c in graded]
    assert sum(c.metadata.nbgrader.points for c in graded) == 30


def public_texts():
    """What is built or rendered for readers: page sources and pages."""
    for folder, suffixes in (("book", {".md"}), ("_build/html", {".html", ".ipynb", ".md", ".txt", ".js"}), ("notebooks", {".ipynb"})):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and "source" not in path.relative_to(ROOT).parts[:3]:
                yield path


def test_no_page_and_no_page_source_holds_an_answer():
    wanted = {secret: path.parent.name for path in SOURCES for secret in secrets(path)}
    found = []
    for path in public_texts():
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        text = squeezed(re.sub(r"<[^>]+>", "", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&quot;", '"').replace("&#39;", "'"))
        found += [(path.name, wanted[secret]) for secret in wanted if secret in text]
    assert found == []
