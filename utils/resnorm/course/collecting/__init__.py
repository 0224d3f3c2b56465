"""From what a learning management system hands out to one folder per student.

``class_list`` reads who is in the class, ``archives`` unpacks a download, and ``downloads`` finds
out who handed in what in it, with the help of ``gradescope`` and ``worksheet`` (Moodle).
``matching`` finds the student by ``names``, ``choosing`` tells which of several notebooks is the
work, ``collector`` takes it, and ``storing`` writes it. ``collected`` is what became of everything.
``tables`` reads a CSV, ``times`` deadlines and times of handing in, and ``people`` holds what a
download says.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "archives",
    "choosing",
    "class_list",
    "collected",
    "collector",
    "downloads",
    "gradescope",
    "matching",
    "names",
    "people",
    "storing",
    "tables",
    "times",
    "worksheet",
)
