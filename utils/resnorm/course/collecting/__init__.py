"""From what a learning management system hands out to one folder per student.

``class_list`` reads who is in the class, ``archives`` unpacks a download, ``downloads`` finds out
who handed in what in it, ``matching`` finds the student, and ``collector`` copies the files.
"""

from ...loading import on_first_use

__getattr__ = on_first_use(
    __name__,
    "archives",
    "choosing",
    "class_list",
    "collector",
    "downloads",
    "gradescope",
    "matching",
    "names",
    "people",
    "tables",
    "times",
    "worksheet",
)
