"""Right answers have full marks in whichever cells they stand, and wrong ones gain nothing."""

import copy
import functools
import sys
import textwrap
from dataclasses import replace

import arrangements
import harness
import pytest
from arrangements import A1, A3, JUST, REPORTED, handed_out, source
from odd_notebooks import code, named, read
from test_mutants import MUTANTS

from resnorm.course.grading.cells import graded_cells, meta, ours
from resnorm.course.grading.judge import compare
from resnorm.course.grading.submission import restore
from resnorm.course.grading.verdicts import verdict


def cases(of):
    """All arrangements of A1, and of A3 those that differ in more than the stubs."""
    return pytest.mark.parametrize(
        "kit, name",
        [
            pytest.param(kit, name, id=f"{kit.assignment}: {name}")
            for kit in (A1, A3)
            for name in of
            if kit is A1 or "instead_of_stubs" not in name
        ],
    )


@functools.cache
def expected(assignment):
    return harness.reference(source(assignment))


@pytest.fixture
def marked(tmp_path, monkeypatch):
    """Marks a notebook of a kit, as it was arranged: points per test, and what is reported."""

    def mark(kit, arrange, only=None):
        content = handed_out(kit.assignment)
        arrange(content, kit)
        notebook, incidents = restore(read(content, tmp_path), source(kit.assignment))
        (tmp_path / "answers.py").write_text(arrangements.file_of(kit))
        monkeypatch.chdir(tmp_path)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            patch.delitem(sys.modules, "answers", raising=False)
            found = harness.run(notebook, source(kit.assignment), only=only)
            sys.modules.pop("answers", None)
        points = {}
        for cell in graded_cells(source(kit.assignment)):
            name = meta(cell)["grade_id"]
            if name in found:
                wanted = expected(kit.assignment)[name]
                agree, problems = compare(found[name], wanted)
                points[name] = verdict(cell, agree, len(wanted), problems)
        return points, [incident.message for incident in incidents]

    return mark


def lost(verdicts):
    return {name: v.message for name, v in verdicts.items() if v.points < v.possible}


@cases(JUST)
def test_right_answers_have_full_marks_wherever_they_stand(kit, name, marked):
    verdicts, messages = marked(kit, JUST[name])
    assert lost(verdicts) == {}
    assert len(verdicts) == len(graded_cells(source(kit.assignment)))
    assert bool(messages) or name in arrangements.ORDINARY


@cases(REPORTED)
def test_where_the_order_costs_marks_a_person_is_told(kit, name, marked):
    verdicts, messages = marked(kit, REPORTED[name])
    assert len(verdicts) == len(graded_cells(source(kit.assignment)))
    assert any("more than once" in text or "ran further down" in text for text in messages)
    assert not lost(verdicts) or any(
        "more than once" in text or "another order" in text for text in messages
    )


@cases(JUST)
def test_wrong_answers_gain_nothing_from_where_they_stand(kit, name, marked):
    wrong = replace(kit, is_wrong=True)
    tests = harness.tests_of(source(kit.assignment))[kit.task]
    verdicts, messages = marked(wrong, JUST[name], set(tests))
    assert {*lost(verdicts)} == {*tests}
    assert bool(messages) or name in arrangements.ORDINARY


def test_a_method_may_be_put_into_its_class_further_down(marked):
    def arrange(content, kit):
        arrangements.in_their_cells(content, kit)
        cell = named(content, "basic")
        start, _, method = cell["source"].partition("    def forward")
        cell["source"] = f"{start}    def forward(self, x):\n        raise NotImplementedError()"
        method = textwrap.dedent(f"    def forward{method}")
        content["cells"].append(code(f"{method}\n\n\nBasicBlock.forward = forward"))

    verdicts, messages = marked(A3, arrange)
    assert lost(verdicts) == {}
    assert any("ran further down" in message for message in messages)


@pytest.mark.parametrize("assignment", MUTANTS)
def test_every_test_finds_the_same_at_the_end(assignment):
    """So it does not matter to a right answer whether its test runs there."""
    moved = copy.deepcopy(source(assignment))
    for cell in graded_cells(moved):
        cell.metadata["resnorm"] = {**ours(cell), "runs_at": len(moved.cells)}
    found = harness.run(moved, source(assignment), strict=True)
    assert {name: harness.expected(each) for name, each in found.items()} == expected(assignment)
