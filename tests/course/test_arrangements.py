"""Right answers have full marks in whichever cells they stand, and wrong ones gain nothing."""

import copy
import functools
import sys
import textwrap
from dataclasses import replace

import arrangements
import harness
import pytest
from arrangements import A1, A3, JUST, REPORTED, source
from odd_notebooks import code, named, read
from test_mutants import MUTANTS

from resnorm.course.grading.cells import graded_cells, meta, ours
from resnorm.course.grading.judge import compare
from resnorm.course.grading.losses import explained
from resnorm.course.grading.matching import handed_out
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
        content = arrangements.handed_out(kit.assignment)
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
        shapes = handed_out(source(kit.assignment))
        incidents += explained(notebook, lost(points), shapes, incidents)
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


def test_what_is_bound_anew_still_needs_what_it_needed(marked):
    def arrange(content, kit):
        arrangements.fill_in(content, kit)
        named(content, kit.task)["source"] += (
            "\n\nbatch_norm_forward = torch.enable_grad()(batch_norm_forward)"
        )
        content["cells"] += map(code, kit.own)

    verdicts, messages = marked(A1, arrange)
    assert lost(verdicts) == {}
    assert any("ran further down" in message for message in messages)


def block(method="    def forward(self, x):\n        raise NotImplementedError()"):
    """The answer of A3 without its last method, which is returned as a function, and with this."""
    start, _, last = A3.answers["basic"].partition("    def forward")
    return start + method, textwrap.dedent(f"    def forward{last}")


def in_cells(answer, *own, kit=A3, at_the_end=True):
    """An answer that replaces the right one, and cells of the student's own."""

    def arrange(content, kit):
        arrangements.in_their_cells(content, kit)
        named(content, kit.task)["source"] = answer
        if at_the_end:
            content["cells"] += map(code, own)
        else:
            place = content["cells"].index(named(content, kit.task)) + 1
            content["cells"][place:place] = map(code, own)

    return kit, arrange


SETTINGS = A1.answers["forward"].replace("var + eps", 'var + eps * SETTINGS["unit"]')
GLOBAL = A1.answers["forward"].replace("var + eps", "var + eps * UNIT")
MISSING = block("    def forward(self, x):\n        return self.later(x)")
LATER = MISSING[1].replace("def forward", "def later")
LOST = {
    "a cell that stops": (
        in_cells(f"import not_there\n\n\n{A1.answers['forward']}", kit=A1),
        "the cell that defines batch_norm_forward stopped at line 1 with ModuleNotFoundError: No "
        "module named 'not_there' (cell forward)",
    ),
    "a cell that cannot be read": (
        in_cells(f"{A1.answers['forward']}\n)", kit=A1),
        "these cells are no code that can be read, so they define nothing: cell forward",
    ),
    "a method": (
        in_cells(MISSING[0], f"{LATER}\n\n\nBasicBlock.later = later"),
        "a cell further down defines or changes BasicBlock (own cell below ",
    ),
    "a method by a decorator": (
        in_cells(
            MISSING[0],
            "def add_to(owner):\n    return lambda f: setattr(owner, f.__name__, f)",
            f"@add_to(BasicBlock)\n{LATER}",
        ),
        "a cell further down defines or changes BasicBlock (own cell below ",
    ),
    "a part of a constant": (
        in_cells(f"SETTINGS = {{}}\n\n\n{SETTINGS}", 'SETTINGS["unit"] = 1', kit=A1),
        "a cell further down defines or changes SETTINGS (own cell below ",
    ),
    "a constant that a function sets": (
        in_cells(
            f"UNIT = None\n\n\n{GLOBAL}",
            "def start():\n    global UNIT\n    UNIT = 1\n\n\nstart()",
            kit=A1,
        ),
        "a cell further down defines or changes UNIT (own cell below ",
    ),
    "a try below the answer": (
        in_cells(
            A1.answers["forward"],
            "def batch_norm_forward(x, *rest):\n    return 0",
            kit=A1,
            at_the_end=False,
        ),
        "with the last definition of batch_norm_forward above; there is another one further up "
        "(cell forward)",
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_may_be_a_right_answer_is_reported_where_points_are_lost(kind, marked):
    (kit, arrange), message = LOST[kind]
    verdicts, messages = marked(kit, arrange, {*harness.tests_of(source(kit.assignment))[kit.task]})
    assert lost(verdicts)
    assert [message in each for each in messages].count(True) == 1, messages


def test_of_what_is_wrong_and_nowhere_else_nothing_is_said(marked):
    tests = {*harness.tests_of(source("A1"))["forward"]}
    verdicts, messages = marked(replace(A1, is_wrong=True), arrangements.in_their_cells, tests)
    assert lost(verdicts) and messages == []


@pytest.mark.parametrize("assignment", MUTANTS)
def test_every_test_finds_the_same_at_the_end(assignment):
    """So it does not matter to a right answer whether its test runs there."""
    moved = copy.deepcopy(source(assignment))
    for cell in graded_cells(moved):
        cell.metadata["resnorm"] = {**ours(cell), "runs_at": len(moved.cells)}
    found = harness.run(moved, source(assignment), strict=True)
    assert {name: harness.expected(each) for name, each in found.items()} == expected(assignment)
