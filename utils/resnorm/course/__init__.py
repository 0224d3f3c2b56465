"""For instructors: assignments released, collected, graded in a sandbox, and exported. Thin over nbgrader.

``resnorm-course --help`` is the way in. ``sandbox`` runs a notebook that nobody has read, ``grading`` turns
what it showed into marks and a report, ``collect`` reads what a learning management system hands out,
``folder`` holds a course together.
"""
