"""A kernel that writes down what its code tries to reach outside the box.

It is started as ``python -m resnorm.course.sandbox.boxed_kernel START -f CONNECTION_FILE``, where
START is a :class:`Start` in JSON. What it has in common with the grader are open files that it
inherits, so that it needs no folder into which both can write.

The box stops such attempts, and the journal only reports them. Code in the kernel can write into
the journal as well, so what it says is not evidence: nothing in it raises or lowers a mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .forbidden_names import is_own
from .journal import BEGUN, LOADED, UNSEEN, USED

#: Audit events of Python, and how the journal words them.
EVENTS = {
    "socket.connect": "a connection to {1}",
    "socket.getaddrinfo": "the address for a connection to {0}, port {1}",
    "subprocess.Popen": "starting {0}",
    "os.system": "the shell command {0}",
    "os.exec": "replacing itself by {0}",
    "os.posix_spawn": "starting {0}",
}
#: Audit events by which code computes where nobody sees it, or switches the observation off.
HIDING = {
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "subprocess.Popen",
    "sys.setprofile",
}
#: Audit events by which a notebook finds and changes what it has no name for, and their wording.
SEARCHING = {
    "gc.get_objects": "all objects of its process, by gc.get_objects",
    "gc.get_referrers": "objects of its process, by gc.get_referrers",
    "sys.addaudithook": "all events of its process, by sys.addaudithook",
    "ctypes.dlsym": "functions of a library in C, by ctypes",
}
#: Seconds within which the use of the same function is written down once.
PAUSE = 0.002
#: Seconds to wait for a full journal to be read.
WAIT = 1.0
#: Audit events that change a file, and which of their arguments is its path.
WRITING = {
    "os.remove": 0,
    "os.rename": 1,
    "os.rmdir": 0,
    "os.mkdir": 0,
    "os.chmod": 0,
    "os.symlink": 1,
    "os.link": 1,
    "os.truncate": 0,
}
#: Programs that libraries start to ask about this machine: Python for the places of libraries,
#: Matplotlib for fonts, torch for processors and compilers.
QUESTIONS = {"ldconfig", "fc-list", "uname", "lscpu", "nvidia-smi", "gcc", "cc", "g++", "c++"}
#: The folder that holds the package ``resnorm``.
PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
#: Folders of the system, which every program reads. They are read-only in the box, wherever they
#: lie: the package and the Python environment may lie below one of the box's own folders.
SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/sys",
    sys.prefix,
    os.path.realpath(sys.base_prefix),
    os.path.realpath(PACKAGES),
)
#: Folders of the box itself, besides the working folder.
PRIVATE = ("/tmp", "/dev", "/proc")
#: Bytes after which the journal takes no more. A pipe holds 64 KiB.
MAX_BYTES = 60_000
#: Number of files that one process may have open.
OPEN_FILES = 1024


@dataclass(frozen=True)
class Start:
    """What the kernel needs to know when it starts.

    Attributes:
        journal: number of the open file that takes the journal.
        sockets: port -> number of the socket that listens for it.
        files: folder of the files to copy into the working folder; empty for none.
        processes: largest number of processes and threads; 0 where something else counts them.
    """

    journal: int
    sockets: Mapping[str, int]
    files: str
    processes: int


def install(journal: int, private: tuple[str, ...], system: tuple[str, ...] = SYSTEM) -> None:
    """Write down from now on what the code of this process tries to reach.

    Args:
        journal: open file that gets one JSON object per line, with the key ``message``.
        private: folders of the box, in which everything is allowed.
        system: folders that may be read but not changed, also where they lie in a private one.
    """
    report, note_use = _reporter(journal), _noter(journal)
    relevant = {"open", LOADED, BEGUN, USED, *EVENTS, *WRITING, *HIDING, *SEARCHING}

    def outside(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return _within(real, system) or not _within(real, private)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # Most events are nobody's concern. One of these is raised below.
        if event not in relevant:
            return
        # A journal must not change what the code does, so no error leaves it.
        with contextlib.suppress(Exception):
            note_use(event, arguments, sys._getframe(1))
            if message := _message(event, arguments, outside, system):
                report(message)
            elif event in SEARCHING and _is_own(sys._getframe(1)):
                report(SEARCHING[event])

    sys.addaudithook(hook)


def _noter(journal: int) -> Callable[[str, tuple[Any, ...], FrameType], None]:
    """Make a function that writes down what code uses, by the audit events of ``observation``."""
    latest: dict[str, float] = {}
    observing: list[Any] = []
    threads = threading.Thread._bootstrap_inner.__code__  # type: ignore[attr-defined]

    def write(name: str) -> None:
        now = time.monotonic()
        if now - latest.get(name, -PAUSE) >= PAUSE:
            latest[name] = now
            _enter(journal, {"used": name[:80]})

    def note(event: str, arguments: tuple[Any, ...], caller: FrameType) -> None:
        if event == LOADED and not observing:
            observing.extend(arguments)
        elif event == USED:
            write(arguments[0])
        elif event == BEGUN and caller.f_code in observing[1:]:
            write(BEGUN)
        elif event == "sys.setprofile" and caller.f_code in (threads, *observing[1:]):
            return
        elif event in HIDING and not (arguments and _is_question(arguments[0])):
            write(UNSEEN)

    return note


def _is_own(frame: FrameType | None) -> bool:
    """Whether the notebook or one of its files calls, and not a library."""
    while frame is not None and frame.f_globals.get("__name__") == "ctypes":
        frame = frame.f_back
    return frame is not None and is_own(str(frame.f_globals.get("__name__")))


def _is_question(program: object) -> bool:
    return os.path.basename(_shown(program)) in QUESTIONS


def _reporter(journal: int) -> Callable[[str], None]:
    """Make a function that writes each message once into the journal, up to a limit."""
    written, reported = 0, set()

    def report(message: str) -> None:
        nonlocal written
        if message in reported or written > MAX_BYTES:
            return
        reported.add(message)
        written += _enter(journal, {"message": message[:200]})

    return report


def _enter(journal: int, entry: dict[str, str]) -> int:
    """Write a line into the journal, and return its length in bytes.

    What somebody else has begun to write there must not swallow it, and nothing is lost because
    somebody has filled the journal: the grader reads it at once.
    """
    select.select([], [journal], [], WAIT)
    return os.write(journal, f"\n{json.dumps(entry)}\n".encode())


def _message(
    event: str,
    arguments: tuple[Any, ...],
    outside: Callable[[object], bool],
    system: tuple[str, ...],
) -> str:
    """What to report of an audit event; empty for what is nobody's concern."""
    if event == "open":
        path, _, flags = arguments
        if not outside(path):
            return ""
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return f"writing {os.fsdecode(path)}"
        if _within(os.path.realpath(os.fsdecode(path)), system):
            return ""
        return f"reading {path}"
    if event in EVENTS:
        if _is_question(arguments[0]):
            return ""
        if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
            return ""  # the kernel's own sockets
        return EVENTS[event].format(*map(_shown, arguments))
    if event in WRITING and outside(arguments[WRITING[event]]):
        return f"{event} of {os.fsdecode(arguments[WRITING[event]])}"
    return ""


def _within(path: str, folders: tuple[str, ...]) -> bool:
    """Whether a path is one of these folders, or below one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _refuse_input() -> None:
    """Answer requests for input with an error that says what to do, instead of waiting."""
    from ipykernel.kernelbase import Kernel

    def refuse(*_: object, **__: object) -> str:
        raise EOFError(
            "nobody answers input() while a notebook is graded: put the value into the code"
        )

    # This module runs as __main__, in whose name the notebook would seem to have replaced input().
    refuse.__module__ = Kernel.__module__
    for name in ("raw_input", "getpass"):
        setattr(Kernel, name, refuse)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _limit(processes: int) -> None:
    """Set limits that this process and its children cannot raise again."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: OPEN_FILES}
    if processes:
        limits[resource.RLIMIT_NPROC] = processes
    for name, value in limits.items():
        _, largest = resource.getrlimit(name)
        if largest != resource.RLIM_INFINITY:
            value = min(value, largest)
        resource.setrlimit(name, (value, value))


def main() -> None:
    """Start the kernel that the command line asks for, with a journal."""
    start = Start(**json.loads(sys.argv.pop(1)))
    _limit(start.processes)
    import zmq
    from ipykernel import iostream, kernelapp
    from zmq.eventloop.zmqstream import ZMQStream
    from zmq.utils.garbage import gc

    class LocalPipe(iostream.IOPubThread):
        """Takes what forked processes print over a Unix socket; Jupyter's own way is TCP."""

        def _setup_pipe_in(self) -> None:
            self._pipe_uuid = os.urandom(16)
            pipe = self.socket.context.socket(zmq.PULL)
            pipe.linger = 0
            # An abstract name, which is no file and does not leave the box.
            pipe.bind(f"ipc://@{self._pipe_uuid.hex()}")
            self._pipe_in = ZMQStream(pipe, self.io_loop)
            self._pipe_in.on_recv(self._handle_pipe_msg)

        def _setup_pipe_out(self) -> tuple[zmq.Context, zmq.Socket]:
            context = zmq.Context()
            pipe = context.socket(zmq.PUSH)
            pipe.linger = 3000
            pipe.connect(f"ipc://@{self._pipe_uuid.hex()}")
            return context, pipe

    class JournaledKernel(kernelapp.IPKernelApp):
        def _try_bind_socket(self, s: zmq.Socket, port: int) -> int:
            s.setsockopt(zmq.USE_FD, start.sockets[str(port)])
            return super()._try_bind_socket(s, port)

        def init_heartbeat(self) -> None:
            """Do without: the grader asks whether the process lives."""

        def start(self) -> None:
            # pyzmq would start this thread with the first long message, and a thread that starts
            # later counts as one of the student's own.
            gc.start()
            # Everything is imported by now, so what follows is done by the notebook. Its files come
            # last, too: one named like a module of the kernel must not keep it from starting.
            for file in os.scandir(start.files) if start.files else ():
                shutil.copyfile(file, file.name)
            # Notebooks import helpers that they write or that lie beside them. IPython leaves the
            # working folder out when Python starts with -P.
            sys.path.append("")
            install(start.journal, (os.path.realpath(os.getcwd()), *PRIVATE))
            super().start()

    kernelapp.IOPubThread = LocalPipe  # type: ignore[misc]
    JournaledKernel.launch_instance()


if __name__ == "__main__":
    _refuse_input()
    main()
