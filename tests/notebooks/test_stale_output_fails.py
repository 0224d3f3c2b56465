"""Strict nbval is worth its minutes only if a stale output fails it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import notebooks as tool

NBVAL = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-cell-timeout=120", "-p", "no:cacheprovider", "-n", "0"]


def nbval(path):
    return subprocess.run([*NBVAL, path.name], cwd=path.parent, env=os.environ, capture_output=True, text=True)


def a_notebook(path: Path, printed: str, tags=()):
    cell = nbformat.v4.new_code_cell(
        "total = sum(range(4))\nprint(f'the sum is {total}')",
        execution_count=1,
        outputs=[nbformat.v4.new_output("stream", name="stdout", text=printed)],
        metadata={"tags": list(tags)},
    )
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=tool.METADATA)
    nbformat.write(notebook, path)
    return path


def execute(path):
    return subprocess.run([sys.executable, tool.__file__, "execute", str(path)], capture_output=True, text=True)


def test_a_stale_output_fails_and_executing_mends_it(tmp_path):
    path = a_notebook(tmp_path / "stale.ipynb", "the sum is 7\n")
    failed = nbval(path)
    assert failed.returncode == 1, failed.stdout
    assert "the sum is 7" in failed.stdout and "the sum is 6" in failed.stdout

    mended = execute(path)
    assert mended.returncode == 0, mended.stderr
    assert json.loads(path.read_text())["cells"][0]["outputs"][0]["text"] == ["the sum is 6\n"]
    passed = nbval(path)
    assert passed.returncode == 0, passed.stdout


def test_the_tag_for_what_may_differ_is_the_only_way_around(tmp_path):
    assert nbval(a_notebook(tmp_path / "ignored.ipynb", "the sum is 7\n", tags=["nbval-ignore-output"])).returncode == 0
    assert nbval(a_notebook(tmp_path / "typo.ipynb", "the sum is 7\n", tags=["nbval-ignored-output"])).returncode == 1


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    path = a_notebook(tmp_path / "broken.ipynb", "the sum is 6\n")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    before = path.read_bytes()
    result = execute(path)
    assert result.returncode != 0
    assert "broken.ipynb: a cell failed; nothing was stored" in result.stderr and "ZeroDivisionError" in result.stderr
    assert path.read_bytes() == before and list(tmp_path.glob("*.part")) == []


def test_executing_twice_gives_the_same_file(tmp_path):
    path = a_notebook(tmp_path / "twice.ipynb", "")
    assert execute(path).returncode == 0
    first = path.read_bytes()
    assert execute(path).returncode == 0
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", ["nowhere.ipynb"])
def test_a_path_that_is_no_notebook_is_named(tmp_path, name):
    result = execute(tmp_path / name)
    assert result.returncode != 0 and f"{name} is no file" in result.stderr
