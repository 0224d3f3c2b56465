"""A slip costs what it concerns, an error about the idea costs half of its task, and a copy little.

For the assignments whose mutants list slips and conceptual errors.
"""

import ast
import functools
from pathlib import Path

import harness
import nbformat
import pytest
from mutants import a1, a2, a3, a4, a5
from test_mutants import expected, source

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
MUTANTS = {"A1": a1, "A2": a2, "A3": a3, "A4": a4, "A5": a5}


def cases(kind):
    return [
        pytest.param(assignment, *case, id=f"{assignment}: {name}")
        for assignment, module in MUTANTS.items()
        for name, case in getattr(module, kind).items()
    ]


@functools.cache
def solved(assignment):
    """Graded cell -> verdict on the solution."""
    return harness.verdicts(source(assignment), expected(assignment), {})


def marked(assignment, answers, tests=None):
    """Task -> (points, possible), of the solution with some answers replaced.

    Only these tests are run, if they are given, and else those that the answers can concern.
    """
    tests = tests or harness.tests_below(source(assignment), answers)
    found = harness.verdicts(source(assignment), expected(assignment), answers, tests)
    found = solved(assignment) | found
    return {
        task: (
            sum(found[test].points for test in tests),
            sum(found[test].possible for test in tests),
        )
        for task, tests in harness.tests_of(source(assignment)).items()
        if not any(found[test].bonus for test in tests)
    }


@pytest.mark.parametrize("calling", [False, True], ids=["alone", "calling"])
@pytest.mark.parametrize("assignment, task, edit", cases("SLIPS"))
def test_a_slip_costs_at_most_a_quarter_beyond_its_task(assignment, task, edit, calling):
    calls = MUTANTS[assignment].CALLING if calling else {}
    answers = {
        name: harness.edited(harness.solution(source(assignment), name), call)
        for name, call in calls.items()
    }
    answers[task] = harness.edited(harness.solution(source(assignment), task), edit)
    marks = marked(assignment, answers)
    assert marks[task][0] < marks[task][1]
    others = [mark for name, mark in marks.items() if name != task]
    lost = sum(possible - points for points, possible in others)
    assert lost <= (0.25 * sum(possible for _, possible in others) if calling else 0)


@pytest.mark.parametrize("assignment, task, edit", cases("CONCEPTUAL"))
def test_an_error_about_the_idea_costs_at_least_half_of_its_task(assignment, task, edit):
    answer = harness.edited(harness.solution(source(assignment), task), edit)
    tests = harness.tests_of(source(assignment))[task]
    points, possible = marked(assignment, {task: answer}, tests)[task]
    assert points <= possible / 2


@pytest.mark.parametrize("assignment, task, edit, remaining", cases("REMAINING"))
def test_the_right_part_of_an_answer_keeps_its_points(assignment, task, edit, remaining):
    answer = harness.edited(harness.solution(source(assignment), task), edit)
    tests = harness.tests_of(source(assignment))[task]
    found = harness.verdicts(source(assignment), expected(assignment), {task: answer}, tests)
    assert sum(verdict.points for verdict in found.values()) == remaining


@pytest.mark.parametrize("assignment", MUTANTS)
def test_there_are_enough_of_them(assignment):
    assert len(MUTANTS[assignment].SLIPS) >= 10 and len(MUTANTS[assignment].CONCEPTUAL) >= 5


def printed(chapter, names):
    """What a chapter prints under these names, as it stands there."""
    notebook = nbformat.read(NOTEBOOKS / chapter, as_version=4)
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.source.startswith("%"):
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                    found.setdefault(statement.name, ast.get_source_segment(cell.source, statement))
    return "\n\n".join(found[name] for name in names)


@pytest.mark.parametrize("assignment", MUTANTS)
def test_the_best_copy_of_the_chapters_earns_at_most_two_fifths(assignment):
    module = MUTANTS[assignment]
    first, *others = harness.tests_of(source(assignment))
    chapters = "\n\n".join(printed(*each) for each in module.CHAPTERS)
    answers = {first: f"{chapters}\n\n{module.COPY[first]}"}
    answers |= {task: module.COPY[task] for task in others}
    marks = marked(assignment, answers)
    earned = sum(points for points, _ in marks.values())
    print({task: points for task, (points, _) in marks.items()}, earned)
    assert 0 < earned <= 0.4 * 30
