"""The box: whether this machine can make one, and the command that does."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import seccomp
from .limits import DEFAULT_LIMITS, Limits, MiB

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
#: What ``/proc`` says about the whole machine, beyond what bubblewrap covers.
MASKED = ("kcore", "keys", "kallsyms", "kmsg", "latency_stats", "sched_debug", "timer_list")
#: Folders in the box: the files as handed in, what may be written, and the working folder.
HANDED_IN, TMP = "/handed-in", "/tmp"
WORK = f"{TMP}/work"
#: The package ``resnorm``, which graded notebooks import.
PACKAGE = Path(__file__).resolve().parents[2]
#: The user and the group "nobody", who own nothing. The code in the box runs as theirs.
NOBODY = 65534
#: Numbers of the capabilities to change user and group, and to make namespaces.
_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 6, 7, 21


class NoSandboxError(RuntimeError):
    """There is no sandbox on this machine, and the instructor did not ask to go without one."""


def unavailable() -> str:
    """Explain why this machine has no sandbox, and what to do. The text is empty if it has one."""
    return _trial()[1]


@functools.cache
def _trial() -> tuple[bool, str]:
    """Make a box as grading does. Return whether its user is dropped, and why there is none."""
    if sys.platform != "linux":
        return False, (
            f"the sandbox needs Linux, and this is {sys.platform}: "
            "grade in a container or a virtual machine"
        )
    if shutil.which("bwrap") is None:
        return False, (
            "bubblewrap is not installed "
            "(Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
        )
    if missing := [option for option in ("--perms", "--size", "--seccomp") if not _has(option)]:
        return False, (
            f"this bubblewrap is too old, because it lacks {' and '.join(missing)}: "
            "install version 0.8 or newer (Debian 12, Ubuntu 24.04, Fedora 38)"
        )
    try:
        seccomp.program()
    except ValueError as problem:
        return False, f"{problem}: grade on one of those"
    said = ""
    for drop in (True, False) if _can_drop() else (False,):
        said = _tried(drop)
        if not said:
            return drop, ""
    return False, f"bubblewrap cannot make a box here ({said}): {_advice(said)}"


def _tried(drop: bool) -> str:
    """Make a box and end it. Return what bubblewrap said when it failed, or nothing."""
    with tempfile.TemporaryDirectory() as folder, filter_file() as file:
        box = _command(Path(folder), Path(folder), DEFAULT_LIMITS, {}, file, drop)
        # Whether nobody can read our Python depends on how it was installed.
        script = "import os, sys; sys.exit(not os.access(sys.argv[1], os.W_OK))"
        box += [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"open({str(PACKAGE / '__init__.py')!r}); {script}",
            WORK,
        ]
        result = subprocess.run(box, env={}, pass_fds=[file], capture_output=True, text=True)
    return result.stderr.strip() or f"exit code {result.returncode}" if result.returncode else ""


def _advice(said: str) -> str:
    """What to do about an error of bubblewrap."""
    if "proc" in said:
        return (
            "a container has to let it mount /proc. Start the container with "
            "--security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (Podman), "
            "or grade in a virtual machine"
        )
    return (
        "it needs namespaces of its own. On the machine itself: sudo sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu) or "
        "kernel.unprivileged_userns_clone=1 (older Debian). In a container: start it with "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined. Or grade in a virtual machine"
    )


def _can_drop() -> bool:
    """Whether this process is root and may make namespaces and become another user."""
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    able = all(effective >> number & 1 for number in (_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN))
    mapped = True
    for file in ("/proc/self/uid_map", "/proc/self/gid_map"):
        ranges = [line.split() for line in Path(file).read_text().splitlines()]
        mapped &= any(int(first) <= NOBODY < int(first) + int(n) for first, _, n in ranges)
    return os.geteuid() == 0 and able and mapped


@functools.cache
def _has(option: str) -> bool:
    """Whether the installed bubblewrap knows this option."""
    text = subprocess.run(["bwrap", "--help"], capture_output=True, text=True).stdout
    return f" {option} " in text


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


def counts_processes() -> bool:
    """Whether the system can count the processes of one box alone.

    It counts them by user and user namespace since Linux 5.14. Boxes that root makes have no user
    namespace of their own.
    """
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return not _trial()[0] and version >= (5, 14)


@contextmanager
def filter_file() -> Iterator[int]:
    """Open the filter of system calls for one box.

    Yields:
        Number of an open file, which the command of the box has to inherit.
    """
    file, end = os.pipe()
    try:
        os.write(end, seccomp.program())  # a few hundred bytes, which a pipe holds
        os.close(end)
        yield file
    finally:
        os.close(file)


def command(
    run: Path,
    work: Path,
    limits: Limits,
    environment: Mapping[str, str],
    file: int,
    groups: Iterable[Path] = (),
) -> list[str]:
    """Build the command that makes a box and runs in it whatever is appended to the command.

    The command itself is to be run with an empty environment, because the first process in the box
    keeps it for all to see.

    Args:
        run: folder of the connection file and the sockets, which the box can read.
        work: folder of the submission's files, which the box can read as ``HANDED_IN``.
        limits: only its disk is used here; the other limits are kept from outside.
        environment: all environment variables of the box.
        file: open file of :func:`filter_file`.
        groups: ``cgroup.procs`` files of the control groups that the box joins.

    Returns:
        The arguments, beginning with the program.
    """
    box = _command(run, work, limits, environment, file, drop=_trial()[0])
    return [*_joining(list(groups)), *box]


def _command(
    run: Path, work: Path, limits: Limits, environment: Mapping[str, str], file: int, drop: bool
) -> list[str]:
    """The command of the box. With ``drop`` root makes it, and its code is nobody's.

    Everybody else makes the box in a user namespace, in which their own user is called nobody.
    """
    box = [shutil.which("bwrap") or "bwrap"]
    if drop:
        box += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        box += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):  # gone after setpriv
            box += ["--cap-add", capability]
    else:
        box += ["--unshare-all", "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        box += ["--cap-drop", "ALL", *(["--disable-userns"] if _has("--disable-userns") else [])]
    box += ["--die-with-parent", "--new-session", "--seccomp", str(file), "--hostname", "box"]
    box += ["--perms", "1777", "--size", str(limits.disk), "--tmpfs", TMP]
    box += ["--dev", "/dev", "--proc", "/proc"]
    box += ["--perms", "1777", "--size", str(16 * MiB), "--tmpfs", "/dev/shm"]
    for name in MASKED:
        if os.path.exists(f"/proc/{name}"):
            box += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    python = [os.path.realpath(sys.base_prefix), sys.base_prefix, sys.prefix]
    shown = [Path(path) for path in dict.fromkeys([*SYSTEM, *python, str(PACKAGE)])]
    shown = [path for path in shown if path.exists()]
    above = {folder for path in [*shown, run] for folder in path.parents} - {Path("/"), Path(TMP)}
    for folder in sorted(above):
        box += ["--perms", "0755", "--dir", str(folder)]  # bubblewrap would make them root's alone
    for path in shown:
        box += ["--ro-bind", str(path), str(path)]
    box += ["--ro-bind", str(run), str(run), "--ro-bind", str(work), HANDED_IN]
    box += ["--perms", "0777", "--dir", WORK, "--chdir", WORK, "--clearenv"]
    # What could be written to / and /dev would have no size limit. Of /proc, /proc/sys is the
    # machine's, and root's boxes could write to it, capabilities or not.
    for mount in ("/dev", "/proc", "/"):
        box += ["--remount-ro", mount]
    for key, value in environment.items():
        box += ["--setenv", key, value]
    box.append("--")
    if drop:
        user = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
        box += ["/usr/bin/setpriv", *user, "--inh-caps=-all", "--bounding-set=-all", "--"]
    return box


def _joining(groups: list[Path]) -> list[str]:
    """What stands before a command that is to run in these control groups."""
    if not groups:
        return []
    names = " ".join(f'"${{{number}}}"' for number in range(1, len(groups) + 1))
    script = f'for group in {names}; do echo $$ > "$group"; done; shift {len(groups)}; exec "$@"'
    return ["/bin/sh", "-c", script, "join", *map(str, groups)]
