"""The first cell of every notebook: what it says when it cannot install the package."""

import importlib.util
import subprocess
from types import SimpleNamespace

import nbformat
import pytest

import notebooks

CELL = (notebooks.ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8")
NETWORK = "check the network, then run this cell again."
ADDRESS = "check the address; it has no such repository or branch."
#: What pip and Git wrote in each case.
UNRESOLVED = "fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com"
REFUSED = "fatal: unable to access 'https://h:9/b/': Failed to connect to h port 9 after 0 ms"
BUILD = "WARNING: Retrying after connection broken by 'NewConnectionError(…)': /simple/setuptools/"
MISSING = "fatal: repository 'https://example.org/a/b/' not found"
PRIVATE = "fatal: could not read Username for 'https://github.com': No such device or address"
NO_FOLDER = "fatal: '/a/b' does not appear to be a git repository"
BRANCH = "error: pathspec 'other' did not match any file(s) known to git"
BROKEN = "ERROR: Failed to build 'resnorm'"


@pytest.mark.parametrize(
    "written, advice",
    [
        (UNRESOLVED, NETWORK),
        (REFUSED, NETWORK),
        (BUILD, NETWORK),
        (MISSING, ADDRESS),
        (PRIVATE, ADDRESS),
        (NO_FOLDER, ADDRESS),
        (BRANCH, ADDRESS),
        (BROKEN, "the lines above say why."),
    ],
)
def test_the_cell_tells_a_wrong_address_from_no_network(monkeypatch, capsys, written, advice):
    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: asked.append(command) or SimpleNamespace(returncode=1, stderr=written),
    )
    monkeypatch.setenv("RESNORM_SOURCE", "git+https://example.org/a/b@main")
    with pytest.raises(SystemExit) as stopped:
        exec(CELL, {})
    assert str(stopped.value).endswith(f"from git+https://example.org/a/b@main: {advice}")
    assert written in capsys.readouterr().err, "what Git wrote stays in sight"
    assert asked[0][-1] == "resnorm @ git+https://example.org/a/b@main"


def test_the_cell_does_nothing_where_the_package_is(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it installed"))
    exec(CELL, {})


def test_copying_the_cell_changes_nothing_else(tmp_path):
    path = tmp_path / "a.ipynb"
    output = nbformat.v4.new_output("stream", text="kept\n")
    first = nbformat.v4.new_code_cell("# Setup. An older one.", id="first", outputs=[output])
    rest = nbformat.v4.new_code_cell("print(1)", id="rest", outputs=[output], execution_count=2)
    words = nbformat.v4.new_markdown_cell("# A title", id="words")
    nbformat.write(nbformat.v4.new_notebook(cells=[words, first, rest]), path)
    notebooks.copy_setup(path)
    after = nbformat.read(path, 4)
    assert after.cells[1].source == CELL.rstrip("\n") and after.cells[1].outputs == [output]
    assert after.cells[0] == words and after.cells[2] == rest
    nbformat.write(nbformat.v4.new_notebook(cells=[rest]), path)
    with pytest.raises(ValueError, match="no setup cell"):
        notebooks.copy_setup(path)
