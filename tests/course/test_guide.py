"""What the guide to grading tells an instructor to type exists."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
import typer

from resnorm.course import cli
from resnorm.course.collecting.class_list import EXPORTS, Student
from resnorm.course.marks import STATES

GUIDE = (Path(__file__).resolve().parents[2] / "book" / "grading.md").read_text(encoding="utf-8")
APP = typer.main.get_command(cli.app)


def commands():
    """The arguments of every call of resnorm-course in the guide."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
    calls = re.findall(r"^resnorm-course (.*)$", blocks, re.MULTILINE)
    return [re.sub(r"\$\(.*\)", "student", call) for call in calls]


@pytest.mark.parametrize("call", commands())
def test_every_command_of_the_guide_can_be_typed(call):
    name, *arguments = shlex.split(call, comments=True)
    APP.commands[name].make_context(name, arguments)


def test_every_option_of_the_guide_exists():
    known = {
        option
        for command in APP.commands.values()
        for parameter in command.params
        for option in parameter.opts
    }
    ours = re.findall(r"`(--[a-z-]+)[^`]*`", GUIDE)
    others = {"--security-opt"}  # of Docker and Podman
    assert {*ours} - others <= known and {"--due", "--worksheet", "--template"} <= {*ours}


def test_the_columns_of_the_class_list_and_the_systems_are_named():
    section = GUIDE[GUIDE.index("## Set-up") : GUIDE.index("## Grading day")]
    columns = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert columns == [field.name for field in dataclasses.fields(Student)]
    assert all(export.system in section for export in EXPORTS)


def test_what_status_tells_apart_is_named():
    (sentence,) = re.findall(r"`status` shows.*", GUIDE)
    for state in ("graded", *STATES):
        assert state in sentence


ASSIGNMENTS = Path(__file__).resolve().parents[2] / "book" / "assignments"


def chapters(text):
    """The labels of the chapters to which a text links."""
    return set(re.findall(r"\(#(ch-[\w-]+)\)", text))


def needed(assignment):
    """Labels of chapters that an assignment needs, and of those that only its report needs."""
    text = (ASSIGNMENTS / f"{assignment.lower()}.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"\*\*You need\*\* (.*?)\*\*Points", text)
    at_once, _, later = sentence.partition(", for the report")
    at_once, _, _ = at_once.partition(";")  # what only helps
    return chapters(at_once), chapters(later)


@pytest.mark.parametrize("title", ["Two weeks", "Four weeks", "Twelve weeks"])
def test_no_assignment_is_handed_out_before_its_chapters(title):
    section = GUIDE[GUIDE.index(f"### {title}") :]
    rows = [row.split("|") for row in re.findall(r"^\| \d+ .*\|$", section.split("\n#")[0], re.M)]
    met, whole = set(), chapters(section.split("\n#")[0])
    handed_out = []
    for _, _, sessions, assignments, _ in rows:
        met |= chapters(sessions)
        # Of one that is handed out in parts, the last part needs everything.
        for name in re.findall(r"\bA\d\b", assignments) if ", tasks" not in assignments else []:
            at_once, later = needed(name)
            assert at_once <= met, f"{name}: {at_once - met}"
            assert later <= whole
            handed_out.append(name)
    assert len(handed_out) >= 2
