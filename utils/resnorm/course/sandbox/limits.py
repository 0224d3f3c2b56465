"""What one submission may use."""

from dataclasses import dataclass

GiB, MiB = 2**30, 2**20
#: Size of the largest file that is taken from a submission, in bytes.
MAX_FILE_BYTES = 100 * MiB


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        memory: bytes of memory, of all its processes together.
        processes: processes and threads that exist at the same time.
        disk: bytes that it may write. They are kept in memory and vanish with the box.
        cell_seconds: seconds that one cell may run.
        notebook_seconds: seconds that the whole notebook may run.
        output: bytes of text and pictures that one cell keeps. The notebook is stopped when its
            kernel sends sixteen times as much.
    """

    memory: int = 4 * GiB
    processes: int = 256
    disk: int = 512 * MiB
    cell_seconds: float = 120.0
    notebook_seconds: float = 900.0
    output: int = 4 * MiB


#: The limits of a submission to which an instructor gives no others.
DEFAULT_LIMITS = Limits()
