"""Further submissions for a class of fifty: notebooks as they come, unusual answers, attacks."""

import copy
import json

import odd_notebooks
from test_attacks import TRICKS
from test_judge import UNUSUAL, noise
from test_matching import colab_with_notes, unnamed
from test_submission import helper_between

from resnorm.course.grading.cells import meta

AS_THEY_COME = {
    name: odd_notebooks.ODD[name]
    for name in (
        "ids in format 4.4, jupytext 1463",
        "no execution_count, azuredatastudio 4863 and PyCharm",
        "no outputs",
        "Colab",
        "Windows' ends of lines and trailing blanks",
        "25 MB of pictures",
        "format 3",
    )
} | {
    "no metadata of nbgrader": unnamed,
    "a copy in Colab with notes": colab_with_notes,
    "an answer in two cells": helper_between,
}
#: Tricks after which the notebook runs to its end.
TRIED = (
    "a transformer of later cells",
    "comparisons replaced",
    "zeros for all replies",
    "functions for all names",
    "arguments for all replies",
    "replies that are no text",
)
SCRIPT = "Both become $\\pm 1$. <img src=x onerror=\"document.title = 'taken'\">"


def further_people(release, right, full):
    """What is handed in, and the mark for what is graded automatically.

    Args:
        release: the released notebook.
        right: answer -> code.
        full: the mark of the right answers.
    """
    for change in AS_THEY_COME.values():
        content = change(odd_notebooks.handed_in())
        yield content if isinstance(content, bytes) else json.dumps(content).encode(), full
    for habit in UNUSUAL.values():
        unusual = {name: noise(code, **habit) for name, code in right.items() if name != "written"}
        yield with_answers(release, unusual), full
    for name in TRIED:
        trick = {"channel_statistics": TRICKS[name] + "\npass\n"}
        yield with_answers(release, trick), 0.0
    yield with_answers(release, right | {"written": SCRIPT}), full


def with_answers(release, answers):
    """The released notebook with answers in it."""
    notebook = copy.deepcopy(release)
    for cell in notebook.cells:
        cell.source = answers.get(meta(cell).get("grade_id"), cell.source)
    return notebook
