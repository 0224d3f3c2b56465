"""Call the functions of a notebook in the box from a process outside of it.

Tests of graded cells run outside and get ``proxy`` objects in place of what the student wrote. A
call becomes a request of plain values (``codec``), which the ``executor`` beside the student's code
carries out. Everything in the box, the executor included, can be changed by the student, so a reply
is worth no more than the student's word: it is decoded strictly, cannot execute anything, and is
judged by comparing it with values that are nowhere in the box.

Nothing is imported here, because the kernel in the box imports this package, too.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(__name__, "codec", "executor", "proxy")
