"""The box: whether this machine can make one, and the command that does."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from .limits import Limits, MiB

#: What the box can read of the system, where it exists. It is not all of ``/``, which would show
#: the gradebook and the other submissions.
SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/fonts",
)
#: Folders in the box: the files as handed in, what may be written, and the working folder.
HANDED_IN, TMP = "/handed-in", "/tmp"
WORK = f"{TMP}/work"
#: The package ``resnorm``, which graded notebooks import.
PACKAGE = Path(__file__).resolve().parents[2]


class NoSandboxError(RuntimeError):
    """There is no sandbox on this machine, and the instructor did not ask to go without one."""


@functools.cache
def unavailable() -> str:
    """Explain why this machine has no sandbox, and what to do. The text is empty if it has one."""
    if sys.platform != "linux":
        return (
            f"the sandbox needs Linux, and this is {sys.platform}: "
            "grade in a container or a virtual machine"
        )
    if shutil.which("bwrap") is None:
        return (
            "bubblewrap is not installed "
            "(Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
        )
    trial = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr"]
    for folder in ("/lib", "/lib64"):
        trial += ["--ro-bind-try", folder, folder]
    trial += ["--symlink", "usr/bin", "/bin", "--", "/usr/bin/true"]
    result = subprocess.run(trial, capture_output=True, text=True)
    if result.returncode:
        return (
            f"bubblewrap cannot make a box here ({result.stderr.strip()}): "
            "allow unprivileged user namespaces, or grade in a virtual machine"
        )
    return ""


def require(unsafe: bool) -> bool:
    """Check that there is a sandbox, or that the instructor asked to go without one.

    Args:
        unsafe: whether to go on where there is none.

    Returns:
        Whether there is a sandbox.

    Raises:
        NoSandboxError: there is none, and ``unsafe`` is False.
    """
    reason = unavailable()
    if reason and not unsafe:
        raise NoSandboxError(
            f"{reason}. Code that nobody has read would run with your rights; "
            "--unsafe grades without a sandbox."
        )
    return not reason


def command(
    run: Path,
    work: Path,
    limits: Limits,
    environment: Mapping[str, str],
    groups: Iterable[Path] = (),
) -> list[str]:
    """Build the command that makes a box and runs in it whatever is appended to the command.

    Args:
        run: folder of the connection file and the sockets, the only one that the box shares with
            the grader.
        work: folder of the submission's files. They are copied to ``WORK`` in the box.
        limits: only its disk is used here; the other limits are kept from outside.
        environment: all environment variables of the box.
        groups: ``cgroup.procs`` files of the control groups that the box joins.

    Returns:
        The arguments, beginning with the program.
    """
    box = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    box += ["--hostname", "box"]
    box += ["--size", str(limits.disk), "--tmpfs", TMP, "--dev", "/dev", "--proc", "/proc"]
    box += ["--size", str(16 * MiB), "--tmpfs", "/dev/shm"]
    python = [os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix]
    for path in dict.fromkeys([*SYSTEM, *python, str(PACKAGE)]):
        box += ["--ro-bind-try", path, path]
    box += ["--bind", str(run), str(run), "--ro-bind", str(work), HANDED_IN]
    box += ["--dir", WORK, "--chdir", WORK, "--clearenv"]
    # What could be written to these two would have no size limit.
    box += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for key, value in environment.items():
        box += ["--setenv", key, value]
    # The files are copied inside, so that what is written counts towards the size of /tmp.
    box += ["--", "/bin/sh", "-c", 'cp -r "$0/." . && exec "$@"', HANDED_IN]
    return [*_joining(list(groups)), *box]


def _joining(groups: list[Path]) -> list[str]:
    """What stands before a command that is to run in these control groups."""
    if not groups:
        return []
    names = " ".join(f'"${{{number}}}"' for number in range(1, len(groups) + 1))
    script = f'for group in {names}; do echo $$ > "$group"; done; shift {len(groups)}; exec "$@"'
    return ["/bin/sh", "-c", script, "join", *map(str, groups)]
