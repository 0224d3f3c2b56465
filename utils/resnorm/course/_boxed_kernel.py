"""A kernel that writes down what its code tries to reach. ``python -m … JOURNAL -f CONNECTION_FILE``.

The box stops such attempts; the journal only tells of them. Code in the kernel can write into it, so
it is read as hearsay: nothing in it raises a mark.
"""

import json
import os
import sys

#: Audit events -> what to call them.
EVENTS = {
    "socket.connect": "a connection to {1}",
    "socket.getaddrinfo": "the address of {0}",
    "subprocess.Popen": "starting {0}",
    "os.system": "the shell command {0}",
    "os.exec": "replacing itself by {0}",
    "os.posix_spawn": "starting {0}",
}
#: What a program reads as a matter of course.
SYSTEM = (
    "/usr",
    "/lib",
    "/etc",
    "/sys",
    sys.prefix,
    os.path.realpath(sys.base_prefix),
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)
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


def install(journal: str, quiet: tuple[str, ...]) -> None:
    """Write down from now on what reaches outside the folders ``quiet``."""
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    written, told = 0, set()

    def tell(message: str) -> None:
        nonlocal written
        if message in told or written > 100_000:
            return
        told.add(message)
        line = (json.dumps({"message": message[:200]}) + "\n").encode()
        written += os.write(file, line)

    def outside(path) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        path = os.path.realpath(os.fsdecode(path))
        return not path.startswith(quiet)

    def hook(event: str, arguments: tuple) -> None:
        try:
            if event == "open":
                path, mode, flags = arguments
                if (
                    isinstance(flags, int)
                    and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                    and outside(path)
                ):
                    tell(f"writing {os.fsdecode(path)}")
                elif outside(path) and not os.path.realpath(os.fsdecode(path)).startswith(SYSTEM):
                    tell(f"reading {path}")
            elif event in EVENTS:
                if "ldconfig" in _shown(arguments[0]):
                    return  # how Python finds libraries
                if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
                    return  # the kernel's own sockets
                tell(EVENTS[event].format(*map(_shown, arguments)))
            elif event in WRITING and outside(arguments[WRITING[event]]):
                tell(f"{event} of {os.fsdecode(arguments[WRITING[event]])}")
        except Exception:  # a journal must not change what the code does
            pass

    sys.addaudithook(hook)


def _shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def main() -> None:
    """Start the kernel that the command line asks for, with a journal."""
    journal = sys.argv.pop(1)
    from ipykernel.kernelapp import IPKernelApp

    class Journalled(IPKernelApp):
        def start(self) -> None:  # the kernel stands: what comes now is the notebook's
            install(journal, (os.path.realpath(os.getcwd()), "/tmp", "/dev", "/proc"))
            super().start()

    Journalled.launch_instance()


if __name__ == "__main__":
    main()
