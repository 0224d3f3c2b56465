"""Turn what a notebook emitted into marks and a report of what it did.

The graded notebook never learns what is right. It runs in the sandbox with the hidden tests in it,
and every comparison emits its value (:func:`resnorm.checking.emit`). The instructor's solution
runs in the same way, once (``reference``). Here, in a process that no submission can reach, the two
are compared (``verdicts``).

``cells`` reads the metadata of nbgrader. ``reading`` reads a student's file, ``matching`` finds the
cells of the assignment in it, and ``submission`` puts the tests back. ``execution`` runs a graded
notebook. ``inspection`` finds what an instructor should look at, for which ``names`` follows the
names in the code. ``leaks`` removes hidden tests from outputs, ``grader`` does all of this for one
submission, and ``reports`` stores the result.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "cells",
    "execution",
    "fingerprints",
    "grader",
    "inspection",
    "leaks",
    "matching",
    "names",
    "reading",
    "reference",
    "reports",
    "submission",
    "verdicts",
)
