"""``--help`` shows what a tool does, and neither it nor a wrong argument changes anything."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [
    "build_book",
    "colab",
    "computing",
    "executed",
    "notebooks",
    "pdf",
    "release",
    "repository",
    "results",
    "setup_venv",
    "site_zip",
    "slides",
]


@pytest.fixture
def nothing_happens(monkeypatch):
    """Fail if a tool starts a process or writes a file."""

    for name in TOOLS:  # what an import does is not meant here
        importlib.import_module(name)

    def refuse(event, args):
        writes = event == "open" and isinstance(args[1], str) and args[1][0] in "wax"
        if refuse.active and (event in ("subprocess.Popen", "os.exec", "os.mkdir") or writes):
            raise AssertionError(f"{event}: {args}")

    refuse.active = True
    sys.addaudithook(refuse)
    yield
    refuse.active = False  # a hook cannot be removed


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_explains_itself_and_refuses_what_it_does_not_know(name, nothing_happens, capsys):
    tool = importlib.import_module(name)
    for arguments, status in ([["--help"], 0], [["-h"], 0], [["--hepl"], 2]):
        with pytest.raises(SystemExit) as stopped:
            tool.main(arguments)
        assert stopped.value.code == status
        out, error = capsys.readouterr()
        if status == 0:
            assert tool.__doc__.strip() in out and not error
        else:
            assert "usage" in error and not out


@pytest.mark.parametrize("arguments", [["chekc"], ["check", "more"], ["--check"]])
@pytest.mark.parametrize("name", ["colab", "release", "results"])
def test_a_misspelt_check_writes_nothing(name, arguments, nothing_happens, capsys):
    tool = importlib.import_module(name)
    with pytest.raises(SystemExit) as stopped:
        tool.main(arguments)
    assert stopped.value.code == 2 and "usage" in capsys.readouterr().err


def test_a_figure_that_does_not_exist_is_refused_before_a_browser_starts(nothing_happens, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module("computing").main(["bowl", "normalise"])
    assert stopped.value.code == 2 and "no figure normalise" in capsys.readouterr().err


def test_every_tool_that_is_run_is_tested_here():
    runs = {p.stem for p in (ROOT / "tools").glob("*.py") if "__main__" in p.read_text("utf-8")}
    assert runs == set(TOOLS)


@pytest.mark.parametrize("argument, status", [("--help", 0), ("many", 2), ("1", 2)])
def test_the_benchmarks_explain_themselves(argument, status):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", argument],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'utils'}"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == status and "usage" in (ran.stdout + ran.stderr)


def test_the_environment_of_another_folder_is_left_as_it_is(tmp_path, monkeypatch):
    setup_venv = importlib.import_module("setup_venv")
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr(setup_venv, "VENV", tmp_path / ".venv")
    with pytest.raises(SystemExit, match=r"\.venv is a link to .*theirs.*Remove the link"):
        setup_venv.main([])
    assert not list((tmp_path / "theirs").iterdir())
