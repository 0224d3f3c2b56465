"""The graders are graded.

Wrong answers lose marks on their task, and right ones that are written differently lose none.
"""

import functools
import importlib
from pathlib import Path

import harness
import nbformat
import pytest

SOURCES = {
    path.parent.name: path
    for path in sorted(
        (Path(__file__).parents[2] / "notebooks" / "assignments" / "source").glob("*/*.ipynb")
    )
}
MUTANTS = {name: importlib.import_module(f"mutants.{name.lower()}") for name in SOURCES}


@functools.cache
def source(assignment):
    return nbformat.read(SOURCES[assignment], as_version=4)


@functools.cache
def expected(assignment):
    return harness.reference(source(assignment))


def cases(kind):
    return [
        pytest.param(assignment, task, edit, id=f"{assignment}: {task}: {name}")
        for assignment, module in MUTANTS.items()
        for task, edits in getattr(module, kind).items()
        for name, edit in edits.items()
    ]


@pytest.mark.parametrize("assignment", SOURCES)
def test_every_task_has_its_mutants(assignment):
    tasks = harness.tests_of(source(assignment))
    for task, tests in tasks.items():
        assert tests, f"{assignment}: nothing grades {task}"
        assert (
            len(MUTANTS[assignment].WRONG[task]) >= 8 and len(MUTANTS[assignment].RIGHT[task]) >= 4
        ), f"{assignment}: {task}"


@pytest.mark.parametrize("assignment", SOURCES)
def test_the_solution_has_full_marks_and_an_empty_answer_none(assignment):
    full = harness.verdicts(source(assignment), expected(assignment), {})
    assert all(v.points == v.possible for v in full.values()), full
    stub = "# YOUR CODE HERE\nraise NotImplementedError"
    none = harness.verdicts(
        source(assignment),
        expected(assignment),
        dict.fromkeys(harness.tests_of(source(assignment)), stub),
    )
    assert all(v.points == 0 for v in none.values()), none


@pytest.mark.parametrize("assignment, task, edit", cases("WRONG"))
def test_a_wrong_answer_loses_marks_on_its_task(assignment, task, edit):
    answer = harness.edited(harness.solution(source(assignment), task), edit)
    tests = harness.tests_of(source(assignment))[task]
    found = harness.verdicts(source(assignment), expected(assignment), {task: answer}, tests)
    lost = [verdict for verdict in found.values() if verdict.points < verdict.possible]
    assert lost
    assert all(verdict.message for verdict in lost)  # and says why


@pytest.mark.parametrize("assignment, task, edit", cases("RIGHT"))
def test_a_right_answer_loses_none(assignment, task, edit):
    answer = harness.edited(harness.solution(source(assignment), task), edit)
    tests = harness.tests_below(source(assignment), [task])
    found = harness.verdicts(source(assignment), expected(assignment), {task: answer}, tests)
    assert list(found) == tests
    assert [v for v in found.values() if v.points < v.possible] == []
