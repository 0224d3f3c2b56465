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
def test_no_assignment_is_due_before_its_chapters(title):
    section = GUIDE[GUIDE.index(f"### {title}") :].split("\n#")[0]
    rows = [row.split("|") for row in re.findall(r"^\| \d+ .*\|$", section, re.MULTILINE)]
    sessions, handed_out = (
        [row[2] for row in rows],
        [re.findall(r"\bA\d\b", row[3]) for row in rows],
    )
    given = [place for place, names in enumerate(handed_out) if names]
    assert len(given) >= 2
    for place, following in zip(given, [*given[1:], len(rows)], strict=True):
        if ", tasks" in rows[place][3]:  # the rest is handed out later
            continue
        met = chapters("".join(sessions[: following + 1]))
        for name in handed_out[place]:
            at_once, later = needed(name)
            assert at_once <= met, f"{name}: {at_once - met}"
            assert later <= chapters("".join(sessions))
