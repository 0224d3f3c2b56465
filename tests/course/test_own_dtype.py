"""Answers that are right with the default type of their notebook have full marks."""

import copy
import functools

import harness
import nbformat
import pytest
from arrangements import source
from mutants import a1
from odd_notebooks import named

from resnorm.course.grading.grader import grade
from resnorm.course.sandbox import bubblewrap
from resnorm.course.sandbox.limits import Limits

LOOPS = """
def channel_statistics(x):
    C = x.shape[1]
    mean, var = torch.zeros(C), torch.zeros(C)
    for c in range(C):
        mean[c] = x[:, c].mean()
        var[c] = ((x[:, c] - mean[c]) ** 2).mean()
    return mean, var
"""
SET = "torch.set_default_dtype(torch.float64)"
ANSWER = "channel_statistics"


@functools.cache
def expected():
    return harness.reference(source("A1"))


def marked(answer, only=None):
    return harness.verdicts(source("A1"), expected(), {ANSWER: answer}, only, again=True)


def test_tensors_without_a_type_have_that_of_the_notebook():
    found = marked(f"{LOOPS}\n{SET}")
    assert [v for v in found.values() if v.points < v.possible or v.message] == []


def test_without_another_default_type_such_tensors_are_as_wrong_as_at_home():
    tests = {*harness.tests_of(source("A1"))[ANSWER]}
    assert any(v.points < v.possible for v in marked(LOOPS, tests).values())


def test_a_wrong_answer_gains_nothing_from_another_default_type():
    tests = {*harness.tests_of(source("A1"))[ANSWER]}
    wrong = LOOPS.replace("** 2", "** 4")
    typed = wrong.replace("torch.zeros(C)", "torch.zeros(C, dtype=x.dtype)")
    found = {name: v.points for name, v in marked(f"{wrong}\n{SET}", tests).items()}
    assert found == {name: v.points for name, v in marked(typed, tests).items()}
    assert all(v.points < v.possible for v in marked(f"{wrong}\n{SET}", tests).values())


@pytest.fixture
def submitted(missing):
    """A notebook that sets its own default type, and the answer with loops in it."""
    if reason := bubblewrap.unavailable():
        missing(reason)
    notebook = copy.deepcopy(source("A1"))
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in notebook.cells}
    cells[ANSWER].source = LOOPS
    place = notebook.cells.index(cells["imports"]) + 1
    notebook.cells.insert(place, nbformat.v4.new_code_cell(SET))
    return notebook, cells[ANSWER]


def test_a_person_is_told_which_tests_ran_with_the_type_of_the_notebook(submitted):
    _, report = grade(submitted[0], source("A1"), expected())
    assert [v for v in report.verdicts if v.points < v.possible] == []
    told = [each.message for each in report.incidents if "default type" in each.message]
    assert len(told) == 1 and "torch.float64" in told[0] and "test_statistics" in told[0]


def test_a_second_run_that_is_stopped_costs_nothing_that_the_first_has_earned(submitted):
    notebook, answer = submitted
    # A later answer that calls the slow one, as the solution's do not, and loses some points.
    right, edit = harness.solution(source("A1"), "repairs"), "running variance biased"
    partly = harness.edited(right, a1.WRONG["repairs"][edit])
    calling = partly.replace("if training:\n", "if training:\n        channel_statistics(x)\n")
    named(notebook, "repairs")["source"] = calling
    answer.source = LOOPS.replace(
        "    C = x.shape[1]\n",
        "    import time\n"
        "    C = x.shape[1]\n"
        "    if torch.get_default_dtype() == torch.float64 and 'slow' in globals():\n"
        "        time.sleep(1000)\n",
    )
    test = next(
        place
        for place, cell in enumerate(notebook.cells)
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "test_stateful"
    )
    notebook.cells.insert(test, nbformat.v4.new_code_cell("slow = True"))
    _, report = grade(notebook, source("A1"), expected(), limits=Limits(cell_seconds=60))
    points = {verdict.name: verdict.points for verdict in report.verdicts}
    answers = {ANSWER: LOOPS, "repairs": calling}
    found = harness.verdicts(source("A1"), expected(), answers, again=True)
    alone = {name: verdict.points for name, verdict in found.items()}
    assert points["test_statistics"] > alone["test_statistics"]
    assert points["test_stateful"] == alone["test_stateful"] > 0
    assert any(each.kind == "time" for each in report.incidents)


def test_a_default_device_that_is_not_here_costs_nothing(submitted):
    notebook, answer = submitted
    answer.source = harness.solution(source("A1"), ANSWER)
    set_dtype = next(cell for cell in notebook.cells if cell.source == SET)
    set_dtype.source = "torch.set_default_device('cuda')"
    _, report = grade(notebook, source("A1"), expected())
    assert [v for v in report.verdicts if v.points < v.possible] == []


def test_a_person_is_told_of_another_type_where_points_were_lost(submitted):
    notebook, answer = submitted
    answer.source = LOOPS.replace("** 2", "** 4")
    _, report = grade(notebook, source("A1"), expected())
    assert any(
        "torch.float64" in each.message and "lost points" in each.message
        for each in report.incidents
    )
