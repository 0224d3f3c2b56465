"""What connects the kernel to the grader: open files, which the kernel inherits.

The box shares no folder into which it can write: such a folder would have the size of the machine's
disk, and what the grader opens there could be a link or a pipe instead of a file.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable

from .journal import Journal

#: How much of the kernel's standard error is kept.
KEPT = 2000


class Channels:
    """The sockets that listen for a kernel, its journal, and its standard error.

    Args:
        prefix: path of the sockets, without the number.
        ports: numbers that Jupyter has given to the sockets.

    Attributes:
        journal: what the kernel says of what it tries and uses.
    """

    def __init__(self, prefix: str, ports: Iterable[int]):
        self._sockets: dict[str, socket.socket] = {}
        for port in ports:
            path = f"{prefix}-{port}"
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._sockets[str(port)] = listening
            listening.bind(path)
            os.chmod(path, 0o666)  # the folder above lets nobody else in
            listening.listen(16)
            listening.setblocking(False)
        self.journal = Journal()
        self._errors, self.errors_file = os.pipe()
        self._tail = b""
        self._reader = threading.Thread(target=self._read_errors, daemon=True)

    @property
    def numbers(self) -> dict[str, int]:
        """Port -> number of the open socket."""
        return {port: listening.fileno() for port, listening in self._sockets.items()}

    @property
    def files(self) -> list[int]:
        """The open files that the kernel inherits, besides its standard streams."""
        return [self.journal.theirs, *self.numbers.values()]

    def started(self) -> None:
        """Close what the kernel has now, so that it ends with the kernel."""
        for listening in self._sockets.values():
            listening.close()
        self.journal.started()
        os.close(self.errors_file)
        self.errors_file = -1
        self._reader.start()

    def errors(self) -> str:
        """Return the end of what the kernel wrote to its standard error."""
        self._reader.join(timeout=1)
        return self._tail.decode(errors="replace").strip()[-300:]

    def close(self) -> None:
        """Close everything. Whatever is read comes before this."""
        for listening in self._sockets.values():
            listening.close()
        self.journal.close()
        if self.errors_file >= 0:
            os.close(self.errors_file)
        if not self._reader.is_alive():
            os.close(self._errors)

    def _read_errors(self) -> None:
        """Read standard error for as long as somebody has it open, and keep its end."""
        while part := os.read(self._errors, 2**16):
            self._tail = (self._tail + part)[-KEPT:]
