"""What CI runs, and that a stage that fails fails the run."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_limits_and_asks_for_no_more_rights_than_it_needs(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("timeout-minutes") or set(job["permissions"]) == {"pages", "id-token"}
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/x@v1"))


def test_pull_requests_run_what_any_machine_can_run():
    (workflow,) = [
        yaml.safe_load(path.read_text("utf-8")) for path in WORKFLOWS if path.stem == "test"
    ]
    assert "pull_request" in workflow[True]  # YAML reads the key `on` as true
    assert any(step.get("run") == ".ci/run" for step in workflow["jobs"]["test"]["steps"])


@pytest.fixture
def course(tmp_path):
    """A copy of .ci/run beside a Makefile of two stages, with all tools on the PATH."""
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    script.chmod(0o755)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("chromium", "bwrap"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)

    def run(first, second):
        (tmp_path / "Makefile").write_text(
            f"test: test-a test-b ## all\ntest-a:\n\t{first}\ntest-b:\n\t{second}\n"
        )
        environment = {
            k: v for k, v in os.environ.items() if k not in ("CI", "MAKEFLAGS", "MAKELEVEL")
        }
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        return subprocess.run([script], env=environment, capture_output=True, text=True)

    return run


def test_every_stage_of_make_test_runs_and_its_duration_is_printed(course):
    result = course("@echo first CI=$$CI", "@echo second")
    assert result.returncode == 0, result.stderr
    assert "first CI=true" in result.stdout
    assert "second" in result.stdout
    assert re.search(r"make test +\d+ s  ok", result.stdout)


def test_a_stage_that_fails_fails_the_run_and_stops_it(course):
    result = course("@exit 3", "@echo second")
    assert result.returncode != 0
    assert re.search(r"make test +\d+ s  FAILED", result.stdout)
    assert "second" not in result.stdout


def dry_run(target):
    command = ["make", "-n", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_test_lints_first_and_reaches_every_folder_of_tests():
    dry = dry_run("test")
    assert dry.index("ruff format --check") < dry.index("pytest")
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}
    assert {"unit", "notebooks", "course", "book", "colab"} <= folders
    # Only what needs a GPU has a command of its own, because CI has none.
    assert [name for name in folders if not re.search(rf"pytest.*tests/{name}\b", dry)] == ["gpu"]
    assert re.search(r"pytest.*tests/gpu\b", dry_run("test-gpu"))
