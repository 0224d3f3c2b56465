"""`make repository` moves the course to another address."""

import json
import stat
from pathlib import Path

import pytest

import repository

ROOT = Path(__file__).resolve().parents[2]
OLD = repository.read_address(ROOT)
NEW = "https://github.com/a-university/deep-nets"


@pytest.fixture
def course(tmp_path):
    """A small course: the real configuration, a notebook, a README, a script, and other files."""
    _, colab, pages = repository.forms(OLD)
    for name in ("_config.yml", "pyproject.toml", "tools/bootstrap_cell.py.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    source = (ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8")
    output = {"output_type": "stream", "name": "stdout", "text": ["ok\n"]}
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": [source],
        "outputs": [output],
    }
    (tmp_path / "a.ipynb").write_text(
        json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}})
    )
    (tmp_path / "README.md").write_text(
        f"[Colab](https://{colab}/blob/main/a.ipynb) [pages]({pages}/index.html) "
        f"{OLD}.git {OLD}-extra {OLD}/issues"
    )
    (tmp_path / "run").write_text(f"#!/bin/sh\necho {OLD}\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff" + OLD.encode())
    for name in ("colab/a.ipynb", "tests/colab/a.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(OLD)
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "page.html").write_text(OLD)
    return tmp_path


def contents(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_every_address_is_rewritten_and_nothing_else(course):
    before = contents(course)
    changed = repository.rewrite(course, NEW)
    assert {"_config.yml", "a.ipynb", "README.md", "run", "bootstrap_cell.py.txt"} <= {
        path.name for path in changed
    }
    assert repository.read_address(course) == NEW
    assert (course / "README.md").read_text() == (
        "[Colab](https://colab.research.google.com/github/"
        "a-university/deep-nets/blob/main/a.ipynb) "
        "[pages](https://a-university.github.io/deep-nets/index.html) "
        f"{NEW}.git {OLD}-extra {NEW}/issues"
    )
    (cell,) = json.loads((course / "a.ipynb").read_text())["cells"]
    assert f"git+{NEW}@main" in "".join(cell["source"]) and cell["outputs"][0]["text"] == ["ok\n"]
    after = contents(course)
    assert {path for path in before if after[path] != before[path]} == set(changed)
    assert after.keys() == before.keys()  # no temporary file is left
    assert stat.S_IMODE((course / "run").stat().st_mode) == 0o755
    assert (course / "tests/colab/a.py").read_text() == NEW
    assert (course / "colab/a.ipynb").read_text() == OLD  # make repository writes it anew


def test_there_and_back_is_where_it_was(course):
    before = contents(course)
    repository.rewrite(course, NEW)
    repository.rewrite(course, OLD)
    assert contents(course) == before
    assert repository.rewrite(course, OLD) == []


@pytest.mark.parametrize(
    "url, words",
    [
        ("", "no address was given"),
        ("http://github.com/a/b", "does not start with https://"),
        ("git@github.com:a/b", "does not start with https://"),
        ("https://github.com/a/b/", "ends in '/'"),
        ("https://github.com/a/b.git", "ends in '.git'"),
        ("https://github.com/a", "no address of a repository"),
        ("https://github.com/a/b c", "no address of a repository"),
        ("https://github.com/a/b'); import os", "no address of a repository"),
    ],
)
def test_what_is_no_address_is_refused_and_changes_nothing(course, url, words):
    before = contents(course)
    with pytest.raises(ValueError, match=words):
        repository.rewrite(course, url)
    assert contents(course) == before


def test_another_host_is_refused_while_a_file_opens_colab_from_github(course):
    before = contents(course)
    with pytest.raises(
        ValueError, match="README.md names colab.research.google.com.*Nothing was changed"
    ):
        repository.rewrite(course, "https://git.example.edu/a/b")
    assert contents(course) == before
    (course / "README.md").write_text(OLD)
    repository.rewrite(course, "https://git.example.edu/a/b")
    assert (course / "README.md").read_text() == "https://git.example.edu/a/b"


def test_the_edition_for_colab_is_written_when_the_address_is_another(monkeypatch, capsys):
    import colab

    done = []
    monkeypatch.setattr(repository, "rewrite", lambda root, url: done.append(url) or [ROOT / "a"])
    monkeypatch.setattr(colab, "main", lambda arguments: done.append(arguments))
    repository.main([NEW])
    assert done == [NEW, []] and "Commit them" in capsys.readouterr().out


def test_a_failure_half_way_leaves_every_file_as_it_was(course, monkeypatch):
    before = contents(course)
    write, written = Path.write_bytes, []

    def fail_on_the_third(self, *arguments, **options):
        written.append(self)
        if len(written) == 3:
            raise OSError("no space left on device")
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_bytes", fail_on_the_third)
    with pytest.raises(OSError):
        repository.rewrite(course, NEW)
    assert contents(course) == before


def test_a_configuration_without_an_address_is_named(tmp_path):
    (tmp_path / "_config.yml").write_text("title: x\n")
    with pytest.raises(ValueError, match="_config.yml names no repository"):
        repository.rewrite(tmp_path, NEW)
