"""System calls that the box refuses, as a program for the kernel's seccomp filter.

Namespaces decide what a process in the box can see. This filter takes away the calls with which it
could make namespaces and mounts of its own, reach a network, or hold memory that no process and no
sized file system shows. Everything else is allowed: which calls Python, NumPy and torch make
changes with every version, and a list of allowed ones would stop right answers.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/filter.h and
include/uapi/linux/seccomp.h.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping

#: Name of the machine -> its audit architecture, and the column of its numbers in ``CALLS``.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

#: Errors that tell libraries that a feature is not there, so that they do without it.
NO_CALL, NOT_ALLOWED, NO_FAMILY = errno.ENOSYS, errno.EPERM, errno.EAFNOSUPPORT

#: Call -> its error and its numbers on x86_64 and aarch64.
CALLS: Mapping[str, tuple[int, int, int]] = {
    # Namespaces and mounts. The flags of clone3 lie in memory, where a filter cannot read them;
    # without clone3 the C library falls back to clone, whose flags are checked below.
    "clone3": (NO_CALL, 435, 435),
    "unshare": (NOT_ALLOWED, 272, 97),
    "setns": (NOT_ALLOWED, 308, 268),
    "mount": (NOT_ALLOWED, 165, 40),
    "umount2": (NOT_ALLOWED, 166, 39),
    "pivot_root": (NOT_ALLOWED, 155, 41),
    "chroot": (NOT_ALLOWED, 161, 51),
    "open_tree": (NOT_ALLOWED, 428, 428),
    "move_mount": (NOT_ALLOWED, 429, 429),
    "fsopen": (NOT_ALLOWED, 430, 430),
    "fsconfig": (NOT_ALLOWED, 431, 431),
    "fsmount": (NOT_ALLOWED, 432, 432),
    "fspick": (NOT_ALLOWED, 433, 433),
    "mount_setattr": (NOT_ALLOWED, 442, 442),
    # Memory that belongs to no process: it would escape a limit that is watched.
    "memfd_create": (NO_CALL, 319, 279),
    "memfd_secret": (NO_CALL, 447, 447),
    "shmget": (NO_CALL, 29, 194),
    "msgget": (NO_CALL, 68, 186),
    "semget": (NO_CALL, 64, 190),
    "mq_open": (NO_CALL, 240, 180),
    # Keyrings belong to a user, so they would outlive the box and show in the next one.
    "add_key": (NO_CALL, 248, 217),
    "request_key": (NO_CALL, 249, 218),
    "keyctl": (NO_CALL, 250, 219),
    # Each job has its own processors, so that none can slow down what another one grades.
    "sched_setaffinity": (NOT_ALLOWED, 203, 122),
    # Other processes, and parts of Linux with a long record of faults.
    "ptrace": (NOT_ALLOWED, 101, 117),
    "process_vm_readv": (NOT_ALLOWED, 310, 270),
    "process_vm_writev": (NOT_ALLOWED, 311, 271),
    "kcmp": (NOT_ALLOWED, 312, 272),
    "pidfd_getfd": (NOT_ALLOWED, 438, 438),
    "io_uring_setup": (NO_CALL, 425, 425),
    "io_uring_enter": (NO_CALL, 426, 426),
    "io_uring_register": (NO_CALL, 427, 427),
    "bpf": (NOT_ALLOWED, 321, 280),
    "perf_event_open": (NOT_ALLOWED, 298, 241),
    "userfaultfd": (NO_CALL, 323, 282),
    "name_to_handle_at": (NOT_ALLOWED, 303, 264),
    "open_by_handle_at": (NOT_ALLOWED, 304, 265),
    "kexec_load": (NOT_ALLOWED, 246, 104),
    "kexec_file_load": (NOT_ALLOWED, 320, 294),
    "init_module": (NOT_ALLOWED, 175, 105),
    "finit_module": (NOT_ALLOWED, 313, 273),
    "delete_module": (NOT_ALLOWED, 176, 106),
    "syslog": (NOT_ALLOWED, 103, 116),
}
#: Calls of which only some are refused, by an argument.
SOCKET, SOCKETPAIR, CLONE, IOCTL, PRCTL = (41, 198), (53, 199), (56, 220), (16, 29), (157, 167)
AF_UNIX = 1
#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
NEW_NAMESPACES = 0x7E020000
#: TIOCSTI and TIOCLINUX put characters into the input of a terminal.
TERMINAL_INPUT = (0x5412, 0x541C)
#: A process that is not "dumpable" would hide its memory map from an ordinary user's watchdog.
PR_SET_DUMPABLE = 4

# Fields of ``struct seccomp_data``. Both machines are little-endian: a word at the offset of an
# argument is its lower half, which is all that the kernel itself reads of these arguments.
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24
_LOAD, _RETURN = 0x20, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45  # BPF_JMP with JEQ, JGE and JSET
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # SECCOMP_RET_*
#: The numbers of x86_64's second interface, x32, have this bit.
_X32 = 0x40000000


def program(machine: str | None = None) -> bytes:
    """Write the filter for a machine.

    Args:
        machine: its name as :func:`platform.machine` has it; by default the one this runs on.

    Returns:
        Instructions, as ``bwrap --seccomp`` reads them.

    Raises:
        ValueError: the numbers of the system calls are not known for this machine.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise ValueError(
            f"the sandbox knows the system calls of {' and '.join(ARCHITECTURES)}, not of {machine}"
        )
    architecture, column = ARCHITECTURES[machine]
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, architecture, yes=1),
        _instruction(_RETURN, _KILL),  # a call through the interface of another architecture
        _instruction(_LOAD, _NUMBER),
        _instruction(_IF_AT_LEAST, _X32, no=1),
        _instruction(_RETURN, _ERROR | NO_CALL),
    ]
    for error, *numbers in CALLS.values():
        code += [
            _instruction(_IF_EQUAL, numbers[column], no=1),
            _instruction(_RETURN, _ERROR | error),
        ]
    for call in (SOCKET, SOCKETPAIR):
        code += _where(call[column], _ARGUMENT_0, _IF_EQUAL, AF_UNIX, NO_FAMILY, refuse=False)
    code += _where(CLONE[column], _ARGUMENT_0, _IF_ANY_BIT, NEW_NAMESPACES, NOT_ALLOWED)
    for request in TERMINAL_INPUT:
        code += _where(IOCTL[column], _ARGUMENT_1, _IF_EQUAL, request, NOT_ALLOWED)
    code += _where(PRCTL[column], _ARGUMENT_0, _IF_EQUAL, PR_SET_DUMPABLE, NOT_ALLOWED)
    code.append(_instruction(_RETURN, _ALLOW))
    return b"".join(code)


def _instruction(operation: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """A ``struct sock_filter``; ``yes`` and ``no`` are numbers of instructions to skip."""
    return struct.pack("=HBBI", operation, yes, no, value)


def _where(
    number: int, argument: int, test: int, value: int, error: int, refuse: bool = True
) -> list[bytes]:
    """Refuse a call where the test of its argument holds, or where it does not hold."""
    return [
        _instruction(_IF_EQUAL, number, no=4),
        _instruction(_LOAD, argument),
        _instruction(test, value, yes=0 if refuse else 1, no=1 if refuse else 0),
        _instruction(_RETURN, _ERROR | error),
        _instruction(_LOAD, _NUMBER),  # for the tests that follow
    ]
