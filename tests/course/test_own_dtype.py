"""Answers that are right with the default type of their notebook have full marks."""

import copy
import functools

import harness
import nbformat
from arrangements import source

from resnorm.course.grading.grader import grade
from resnorm.course.sandbox import bubblewrap

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


def test_a_person_is_told_which_tests_ran_with_the_type_of_the_notebook(missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    submitted = copy.deepcopy(source("A1"))
    cells = [cell for cell in submitted.cells if cell.cell_type == "code"]
    answer = next(c for c in cells if c.metadata.get("nbgrader", {}).get("grade_id") == ANSWER)
    answer.source = LOOPS
    imports = next(c for c in cells if c.metadata.get("nbgrader", {}).get("grade_id") == "imports")
    submitted.cells.insert(submitted.cells.index(imports) + 1, nbformat.v4.new_code_cell(SET))
    _, report = grade(submitted, source("A1"), expected())
    assert [v for v in report.verdicts if v.points < v.possible] == []
    told = [each.message for each in report.incidents if "default type" in each.message]
    assert len(told) == 1 and "torch.float64" in told[0] and "test_statistics" in told[0]
