"""Tools for instructors: release, collect, grade and export the assignments of the course.

The command ``resnorm-course --help`` (``cli``, with its ``options``) is the way in. The package is
a thin layer over nbgrader, which keeps the gradebook and the forms for marking by hand.

``sandbox`` runs a notebook that nobody has read, ``remote`` calls its functions from outside,
``grading`` turns this into marks and a report, and ``collecting`` sorts the downloads of a learning
management system by student. ``sanitizing`` makes the copy that a browser may show, by way of
``markup``. ``folder`` describes a course on disk, ``runs`` grades a class, ``gradebook`` talks to
nbgrader, ``hidden_images`` chooses the images that a project is graded on, ``variants`` gives each
class conventions of its own, ``weighing`` tries an instructor's own networks for the project,
``marks`` says what stands in the way of a mark, and ``export`` writes the marks for the learning
management system.
"""

from ..loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "atomic",
    "cli",
    "collecting",
    "export",
    "folder",
    "gradebook",
    "grading",
    "hidden_images",
    "markup",
    "marks",
    "options",
    "remote",
    "runs",
    "sandbox",
    "sanitizing",
    "variants",
    "weighing",
)
