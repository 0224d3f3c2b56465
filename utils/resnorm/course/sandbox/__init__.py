"""Run a notebook that nobody has read, in a box, within limits, and with a report of what it did.

``bubblewrap`` describes the box: it has no network, a read-only system, a private home and
``/tmp``, its own process numbers, and of the course's files only what is handed in. ``seccomp``
lists the system calls that the box refuses. ``cgroups``, ``watchdog`` and ``memory`` keep the
limits (``limits``). ``boxed_kernel`` is the kernel that runs inside, ``channels`` is what connects
it to the grader, ``journal`` is what it tells of itself, and ``messages`` checks what it says.
``observation`` and ``operators`` notice which functions are used, for which ``forbidden_names``
compares names and ``record`` keeps what torch records. ``cell_runner`` executes the cells, and
``runner`` puts everything together and reports the ``incidents``. ``leftovers`` finds what a run
that was killed could not remove.

Nothing is imported here, because the kernel in the box imports this package, too.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "boxed_kernel",
    "bubblewrap",
    "cell_runner",
    "cgroups",
    "channels",
    "forbidden_names",
    "incidents",
    "journal",
    "leftovers",
    "limits",
    "memory",
    "messages",
    "observation",
    "operators",
    "record",
    "runner",
    "seccomp",
    "watchdog",
)
