"""Right answers in notebooks as they come have full marks, in the box."""

import json

import arrangements
import nbformat
import pytest
from arrangements import A1
from odd_notebooks import WRITTEN, answers, code, handed_in, named, pictures, read, source
from test_matching import colab_with_notes, unnamed
from test_submission import helper_between

from resnorm.course.grading.cells import is_written_answer, meta
from resnorm.course.grading.grader import grade
from resnorm.course.grading.reference import reference
from resnorm.course.sandbox import bubblewrap


@pytest.fixture(scope="module")
def expected(tmp_path_factory, missing):
    if reason := bubblewrap.unavailable():
        missing(reason)
    return reference(source(), tmp_path_factory.mktemp("cache"))


def asking(content):
    """Cells that ask for input, before and in an answer."""
    content["cells"].insert(3, code("name = input('Your name? ')"))
    named(content, "fold")["source"] += "\n\nprint(input())"
    return content


def as_a_student_would(content):
    """Everything at once, in UTF-16."""
    content = pictures(colab_with_notes(helper_between(content)))
    return json.dumps(content, ensure_ascii=False).encode("utf-16")


@pytest.mark.parametrize("change", [unnamed, helper_between, asking, as_a_student_would])
def test_right_answers_have_full_marks(change, expected, tmp_path):
    submitted = read(change(handed_in()), tmp_path)
    notebook, report = grade(submitted, source(), expected)
    assert report.status == "graded"
    assert (report.points, report.bonus) == (report.possible, 3.0)
    others = [i for i in report.incidents if i.kind not in ("matched", "edited")]
    assert others == []
    written = next(cell for cell in notebook.cells if is_written_answer(cell))
    assert written.source == WRITTEN
    nbformat.validate(notebook)


@pytest.mark.parametrize(
    "name",
    [
        "at_the_end",
        "experiment_below",
        "all_from_a_file_at_the_end",
        "with_questions_and_long_commands",
    ],
)
def test_answers_in_cells_of_their_own_have_full_marks(name, expected, tmp_path):
    content = arrangements.handed_out("A1")
    arrangements.JUST[name](content, A1)
    file = tmp_path / "answers.py"
    file.write_text(arrangements.file_of(A1))
    submitted = read(content, tmp_path)
    notebook, report = grade(submitted, source(), expected, files=[file])
    assert (report.status, report.points, report.bonus) == ("graded", report.possible, 3.0)
    assert {incident.kind for incident in report.incidents} == {"matched"}
    ids = [meta(cell)["grade_id"] for cell in notebook.cells if meta(cell)]
    assert ids == [meta(cell)["grade_id"] for cell in source().cells if meta(cell)]
    nbformat.validate(notebook)


def test_a_cell_that_stops_before_its_answer_is_reported(expected, tmp_path):
    content = handed_in()
    named(content, "fold")["source"] = f"\n\nimport not_there\n{answers()['fold']}"
    _, report = grade(read(content, tmp_path), source(), expected)
    assert report.points < report.possible
    assert [incident.message for incident in report.incidents] == [
        "the cell that defines fold stopped at line 3 with ModuleNotFoundError: No module named "
        "'not_there' (cell fold)"
    ]


def test_what_ipython_did_not_run_is_reported(expected, tmp_path):
    """A command and a magic that it does not know, of which a notebook has no error."""
    content = handed_in()
    named(content, "fold")["source"] = f"%no_such_command\n{answers()['fold']}"
    named(content, "merge")["source"] = f"%%no_such\n{answers()['merge']}"
    _, report = grade(read(content, tmp_path), source(), expected)
    lost = {each.name for each in report.verdicts if each.points < each.possible}
    assert lost == {"test_fold", "test_fold_without_bias", "test_merge"}
    beginnings = (
        "%%no_such keeps a cell from defining merge_statistics here (cell merge)",
        "the cell that defines fold stopped with UsageError: Line magic function",
    )
    messages = sorted(incident.message for incident in report.incidents)
    assert len(messages) == 2
    assert all(map(str.startswith, messages, beginnings)), messages
