"""A course with one small assignment, T1."""

import nbformat

from resnorm.course.folder import Course, make

NOTEBOOK = "T1-double.ipynb"


def made(folder, notebook, class_list):
    """Make a course in a folder, with this notebook of the instructor's and this class list."""
    source = folder / "sources" / "T1"
    source.mkdir(parents=True)
    nbformat.write(notebook, source / NOTEBOOK)
    make(folder / "course", source.parent)
    lines = "".join(f"{line}\n" for line in class_list)
    (folder / "course" / "students.csv").write_text(lines)
    return Course(folder / "course")
