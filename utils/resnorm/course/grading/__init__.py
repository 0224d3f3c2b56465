"""Turn a submission into marks and a report of what it did.

The notebook runs in the sandbox, and the tests run outside (``trusted``, ``judge``), where they
call what the student wrote through a proxy (``resnorm.course.remote``). The instructor's solution
runs in the same way, once (``reference``), and what the tests find with it is what they expect.

``cells`` reads the metadata of nbgrader. ``reading`` reads a student's file, ``matching`` finds the
cells of the assignment in it, and ``submission`` puts the tests back. ``placement`` decides where
they run, from the ``definitions`` in the code, which ``plain_python`` reads as IPython does and
``cell_code`` puts together; ``unfinished`` says what is as it was handed out.
``execution`` runs a graded notebook, ``statements`` executes a test so that one failure does not
take the rest along, ``apart`` keeps each test from what others left, and ``verdicts`` gives points.
``inspection`` finds what an instructor should look at, for which ``names`` follows the names in the
code, and ``losses`` what may explain lost points. ``grader`` does all of this for one submission,
and ``reports`` stores the result.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "apart",
    "cell_code",
    "cells",
    "definitions",
    "execution",
    "fingerprints",
    "grader",
    "inspection",
    "judge",
    "losses",
    "matching",
    "names",
    "own_dtype",
    "placement",
    "plain_python",
    "reading",
    "reference",
    "reports",
    "statements",
    "submission",
    "trusted",
    "unfinished",
    "verdicts",
)
