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
