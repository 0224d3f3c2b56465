"""Whatever decides a mark is in the key of its report, so that a change grades again."""

import dataclasses

import nbformat
import pytest
from test_folder import course  # noqa: F401

from resnorm.course import runs
from resnorm.course.grading import fingerprints
from resnorm.course.grading.reports import Report
from resnorm.course.runs import grade_class
from resnorm.course.sandbox.limits import DEFAULT_LIMITS


def notebook(about_cell, about_notebook):
    cell = nbformat.v4.new_code_cell("pass", metadata={"resnorm": about_cell}, id="a")
    return nbformat.v4.new_notebook(cells=[cell], metadata={"resnorm": about_notebook})


@pytest.mark.parametrize(
    "about_cell, about_notebook",
    [
        ({"boxed": True}, {}),
        ({"bonus": 3}, {}),
        ({"weights": {"levels": [[70, 3]]}}, {}),
        ({"forbidden": ["batch_norm"]}, {}),
        ({}, {"forbidden": ["batch_norm"]}),
    ],
)
def test_the_metadata_of_this_package_count(about_cell, about_notebook):
    before = fingerprints.of_assignment(notebook({}, {}))
    assert fingerprints.of_assignment(notebook({}, {})) == before
    assert fingerprints.of_assignment(notebook(about_cell, about_notebook)) != before


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_the_versions_of_the_libraries_count(monkeypatch, library):
    before, version = fingerprints.of_assignment(notebook({}, {})), fingerprints.version
    monkeypatch.setattr(
        fingerprints, "version", lambda name: "0.1" if name == library else version(name)
    )
    assert fingerprints.of_assignment(notebook({}, {})) != before


def test_the_version_of_python_counts(monkeypatch):
    before = fingerprints.of_assignment(notebook({}, {}))
    monkeypatch.setattr(fingerprints, "python_version", lambda: "3.0.0")
    assert fingerprints.of_assignment(notebook({}, {})) != before


@pytest.fixture
def graded(course, monkeypatch):  # noqa: F811
    """Give the ids of the students whom a command grades, without running anything."""
    ran = []

    def run_tasks(tasks, jobs):
        for task in tasks:
            ran.append(task.student)
            restored = course.root / "restored" / task.student / "T1" / "T1-double.ipynb"
            restored.parent.mkdir(parents=True, exist_ok=True)
            restored.touch()  # without it, a submission is graded again
            report = Report(task.student, "T1", "graded", key=task.key)
            report.write(course.report_path("T1", task.student))
            yield report

    monkeypatch.setattr(runs, "run_tasks", run_tasks)
    monkeypatch.setattr(runs, "reference", lambda *arguments, **options: {})
    monkeypatch.setattr(runs.Gradebook, "enter", lambda *arguments: None)

    def command(**options):
        ran.clear()
        grade_class(course, "T1", ["ann", "bo"], **options)
        return list(ran)

    assert command() == ["ann", "bo"]
    assert command() == []
    return command


@pytest.mark.parametrize(
    "changed",
    [{"cell_seconds": 600.0}, {"notebook_seconds": 3000.0}, {"memory": 2**33}],
)
def test_other_limits_grade_again(graded, changed):
    limits = dataclasses.replace(DEFAULT_LIMITS, **changed)
    assert graded(limits=limits) == ["ann", "bo"]
    assert graded(limits=limits) == []


def test_other_hidden_images_grade_again(graded, monkeypatch, tmp_path):
    for content in (b"one", b"other"):
        path = tmp_path / "images.npz"
        path.write_bytes(content)
        monkeypatch.setattr(runs, "hidden_images", lambda *arguments, path=path: path)
        assert graded() == ["ann", "bo"]
        assert graded() == []


def test_other_libraries_grade_again(graded, monkeypatch):
    monkeypatch.setattr(fingerprints, "version", lambda name: "0.1")
    assert graded() == ["ann", "bo"]
