"""Reports in the gradebook: each whole or not at all, and none at the cost of another."""

import nbformat
import pytest
import small_course
from small_course import NOTEBOOK

from resnorm.course import gradebook as gradebooks
from resnorm.course.folder import CourseError
from resnorm.course.gradebook import Gradebook
from resnorm.course.grading import fingerprints
from resnorm.course.grading.grader import _outputs
from resnorm.course.grading.reports import Report
from resnorm.course.grading.verdicts import Verdict


def notebook(verdicts=()):
    """The assignment, a test of 4 points and a bonus of 3, with these verdicts as outputs."""
    cells = []
    for name, points, more in (("test", 4, {}), ("extra", 0, {"resnorm": {"bonus": 3}})):
        about = {"schema_version": 3, "grade_id": name, "locked": True, "grade": True}
        about |= {"solution": False, "task": False, "points": points}
        source = f"checking.emit('{name}', 1)"
        cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": about, **more}, id=name)
        cell.outputs = [
            o for verdict in verdicts if verdict.name == name for o in _outputs(verdict)
        ]
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def course(tmp_path):
    course = small_course.made(tmp_path, notebook(), ["id,name", "ann,Ann Doe", "bo,Bo Li"])
    Gradebook(course).release("T1")
    return course


def graded(course, student, points):
    """The report of a submission, with its files on disk as the sandbox leaves them."""
    verdicts = [
        Verdict("test", points, 4.0, 1, 1, ""),
        Verdict("extra", 3.0, 3.0, 1, 1, "", bonus=True),
    ]
    for place, content in (("submitted", notebook()), ("restored", notebook(verdicts))):
        folder = course.root / place / student / "T1"
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(content, folder / NOTEBOOK)
    key = f"base-{fingerprints.of_folder(course.root / 'submitted' / student / 'T1')}"
    report = Report(student, "T1", "graded", key=key)
    for verdict in verdicts:
        report.add(verdict)
    report.write(course.report_path("T1", student))
    return report


def marks(course):
    return {mark.student.id: mark.points for mark in Gradebook(course).marks("T1")}


def test_a_submission_that_is_graded_again_by_force_may_end_otherwise(course):
    Gradebook(course).enter("T1", [graded(course, "ann", 2.0)])
    assert marks(course) == {"ann": 5.0, "bo": None}
    again = graded(course, "ann", 4.0)  # of the same key, as the same files were handed in
    assert marks(course) == {"ann": None, "bo": None}
    Gradebook(course).enter("T1", [again])
    assert again.status == "graded" and marks(course)["ann"] == 7.0


def test_what_is_stopped_while_it_is_entered_leaves_no_mark_without_its_bonus(course, monkeypatch):
    reports = [graded(course, "ann", 4.0), graded(course, "bo", 4.0)]
    with monkeypatch.context() as patch:

        def stop(gradebook, name, report):
            if report.student == "bo":
                raise KeyboardInterrupt
            enter_bonus(gradebook, name, report)

        enter_bonus = gradebooks._enter_bonus
        patch.setattr(gradebooks, "_enter_bonus", stop)
        with pytest.raises(KeyboardInterrupt):
            Gradebook(course).enter("T1", reports)
    assert marks(course) == {"ann": 7.0, "bo": None}
    Gradebook(course).enter("T1", reports)
    assert marks(course) == {"ann": 7.0, "bo": 7.0}


def test_a_gradebook_that_disagrees_with_one_report_has_the_others(course):
    wrong = graded(course, "ann", 4.0)
    wrong.points = 3.5
    reports = [wrong, graded(course, "bo", 4.0)]
    Gradebook(course).enter("T1", reports)
    assert [report.status for report in reports] == ["failed", "graded"]
    assert "has 4 points for ann, the report 3.5" in wrong.incidents[-1].message
    assert marks(course) == {"ann": None, "bo": 7.0}


def test_extra_credit_that_a_person_has_changed_stays(course):
    report = graded(course, "ann", 4.0)
    Gradebook(course).enter("T1", [report])
    with Gradebook(course)._api().gradebook as opened:
        opened.find_grade("extra", NOTEBOOK.split(".")[0], "T1", "ann").extra_credit = 1.0
        opened.db.commit()
    Gradebook(course).enter("T1", [report])
    assert marks(course)["ann"] == 5.0


def test_feedback_is_on_the_work_of_now_and_one_fault_costs_one_page(course):
    with pytest.raises(CourseError, match="not graded yet: run resnorm-course grade T1 first"):
        Gradebook(course).feedback("T1")
    reports = [graded(course, student, 4.0) for student in ("ann", "bo")]
    Gradebook(course).enter("T1", reports)
    page = "feedback/{}/T1/T1-double.html"
    pages, without = Gradebook(course).feedback("T1")
    assert pages == [course.root / page.format(student) for student in ("ann", "bo")]
    assert without == {}
    # handed in anew, and not graded yet
    (course.root / "submitted" / "bo" / "T1" / NOTEBOOK).write_text("{}")
    pages, without = Gradebook(course).feedback("T1")
    assert pages == [course.root / page.format("ann")]
    assert without == {"bo": "handed in anew: run grade again"}
    assert not (course.root / page.format("bo")).exists()

    graded(course, "bo", 4.0)
    (course.root / "autograded" / "ann" / "T1" / NOTEBOOK).write_text("{")
    pages, without = Gradebook(course).feedback("T1")
    assert pages == [course.root / page.format("bo")]
    assert not (course.root / page.format("ann")).exists()
    assert list(without) == ["ann"]
    assert without["ann"].startswith("nbgrader could not write the feedback of ann: ")
