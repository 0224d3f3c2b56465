"""Call the functions of a notebook in the box from a process outside of it.

Tests of graded cells run outside and get ``proxy`` objects in place of what the student wrote. A
call becomes a request of plain values (``codec``), which the ``executor`` beside the student's code
carries out. Everything in the box, the executor included, can be changed by the student, so a reply
is worth no more than the student's word: it is decoded strictly, cannot execute anything, and is
judged by comparing it with values that are nowhere in the box.

Nothing is imported here, because the kernel in the box imports this package, too.
"""

from ...loading import on_first_use

#: The type of the cell output in which a reply leaves the kernel.
MIME = "application/vnd.resnorm.reply"
#: The field of the kernel's message that holds a request.
FIELD = "resnorm"
#: Code that loads the executor into the kernel, and code that answers a request there. Neither
#: leaves a name in the student's namespace.
LOAD = f"__import__('importlib').import_module({__name__ + '.executor'!r}).load()"
SERVE = f"__import__('sys').modules[{__name__ + '.executor'!r}].serve()"

__getattr__ = on_first_use(__name__, "codec", "executor", "proxy")
