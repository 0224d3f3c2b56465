"""What code in the box finds of the machine: as root's and as an ordinary user's sandbox."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import psutil
import pytest
from boxes import LIMITS, NOBODY, SCRIPT, USERS, go, kinds, ordinary, said

from resnorm.course.sandbox import bubblewrap, seccomp

#: Calls that need no library. Each cell prints a word for what worked, and the error otherwise.
TRY = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def attempt(name, action):
    try:
        action()
        print("WORKED", name)
    except OSError as problem:
        print("refused", name, problem.strerror)
"""
NUMBERS = {name: numbers[0] for name, (_, *numbers) in seccomp.CALLS.items()}


@pytest.fixture(scope="module", autouse=True)
def box(missing):
    if reason := bubblewrap.unavailable():
        missing(reason)


@pytest.mark.parametrize("user", USERS)
def test_the_code_is_nobodys_and_changes_nothing_of_the_machine(user, monkeypatch):
    """Nothing is changed even where it works: what is written is what was read."""
    monkeypatch.setenv("SECRET", "of the instructor")
    notebook, trace = go(
        TRY,
        """
        status = open("/proc/self/status").read().splitlines()
        ids = [line.split()[1:] for line in status if line.startswith(("Uid", "Gid"))]
        print(*{user for of_kind in ids for user in of_kind})
        print(*{line.split()[1] for line in status if line.startswith("Cap")})
        """,
        """
        paths = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory",
            "/proc/sys/kernel/domainname", "/proc/self/oom_score_adj"]
        for path in paths:
            with open(path) as file: before = file.read()
            def write(path=path, before=before):
                with open(path, "w") as file: file.write(before)
            attempt(path, write)
        for path in ["/proc/sysrq-trigger", "/proc/kcore", "/sys/power/state", "/dev/mem"]:
            attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
        """,
        """
        for name in os.listdir("/proc"):
            if name.isdigit():
                try: print(open(f"/proc/{name}/environ", "rb").read())
                except OSError: pass
        """,
        user=user,
    )
    assert notebook.cells[1].outputs[0].text.split() == [str(NOBODY), "0" * 16]
    assert said(notebook).count("refused") == 8 and "WORKED" not in said(notebook)
    assert "SECRET" not in said(notebook)
    assert "HOME" in said(notebook)  # which shows that the others were looked for
    assert "crash" not in kinds(trace)


@pytest.mark.parametrize("user", USERS)
def test_the_machine_too_sees_the_code_as_nobodys(user):
    """From outside: a user that is called nobody inside could be root."""
    seen, done = set(), threading.Event()

    def watch():
        while not done.wait(0.05):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.name().startswith("python") and "-f" in process.cmdline():
                        seen.add(process.uids().real)

    thread = threading.Thread(target=watch)
    thread.start()
    go("import time; time.sleep(1)", user=user)
    done.set()
    thread.join()
    assert seen == {NOBODY if os.geteuid() == 0 else os.getuid()}


@pytest.mark.parametrize("user", USERS)
def test_no_socket_but_local_ones_and_no_namespace_of_its_own(user):
    address = f"\0resnorm-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        notebook, _ = go(
            TRY,
            f"""
            # INET, INET6, NETLINK, PACKET, BLUETOOTH, ALG, VSOCK
            for family in (2, 10, 16, 17, 31, 38, 40):
                attempt(family, lambda: socket.socket(family, socket.SOCK_RAW).close())
                attempt(family, lambda: socket.socket(family, socket.SOCK_DGRAM).close())
            attempt("pair", lambda: socket.socketpair(socket.AF_INET))
            attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect({address!r}))
            """,
            f"""
            numbers = {NUMBERS!r}
            for space in (0x10000000, 0x20000, 0x40000000, 0x20000000):
                attempt("unshare", lambda: call(numbers["unshare"], space))
                attempt("clone", lambda: call({seccomp.CLONE[0]}, space | 17, 0, 0, 0, 0))
            attempt("mount", lambda: call(numbers["mount"], b"none", b"/tmp", b"tmpfs", 0, 0))
            attempt("fsopen", lambda: call(numbers["fsopen"], b"tmpfs", 0))
            attempt("chroot", lambda: call(numbers["chroot"], b"/tmp"))
            print(os.system("unshare --user --map-root-user true") != 0)
            """,
            "a, b = socket.socketpair(); a.send(b'local'); print(b.recv(5).decode())",
            user=user,
        )
    assert "WORKED" not in said(notebook)
    lines = said(notebook).splitlines()
    assert sum(line.startswith("refused") for line in lines) == 16 + 11, lines
    assert "True" in said(notebook) and "local" in said(notebook)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="calls by their numbers on x86_64")
def test_no_other_process_keyring_ring_or_terminal(user):
    notebook, _ = go(
        TRY,
        f"""
        import fcntl, termios
        numbers = {NUMBERS!r}
        attempt("ptrace", lambda: call(numbers["ptrace"], 0, 0, 0, 0))
        attempt("read", lambda: call(numbers["process_vm_readv"], 1, 0, 0, 0, 0, 0))
        attempt("keyring", lambda: call(numbers["keyctl"], 0, -4, 1))
        attempt("key", lambda: call(numbers["add_key"], b"user", b"name", b"value", 5, -4))
        space = ctypes.create_string_buffer(120)
        attempt("ring", lambda: call(numbers["io_uring_setup"], 8, space))
        attempt("bpf", lambda: call(numbers["bpf"], 0, 0, 0))
        master, terminal = os.openpty()
        attempt("input", lambda: fcntl.ioctl(terminal, termios.TIOCSTI, b"x"))
        attempt("x32", lambda: call(0x40000000 + 39))
        """,
        user=user,
    )
    assert said(notebook).count("refused") == 8 and "WORKED" not in said(notebook), said(notebook)


@pytest.mark.parametrize("user", USERS)
def test_what_can_be_written_to_is_sized(user):
    """The box and the grader share no folder into which both can write."""
    notebook, _ = go(
        """
        import os
        for line in open("/proc/self/mounts"):
            _, place, kind, options, *_ = line.split()
            if "rw" in options.split(",") and os.access(place, os.W_OK):
                print(place, kind, os.statvfs(place).f_blocks * os.statvfs(place).f_frsize)
        """,
        user=user,
    )
    lines = [line.split() for line in said(notebook).splitlines() if line]
    sizes = {place: int(size) for place, kind, size in lines if kind == "tmpfs"}
    assert sizes == {"/tmp": 100 * 2**20, "/dev/shm": 16 * 2**20}
    assert {kind for _, kind, _ in lines} <= {"tmpfs", "devtmpfs", "devpts"}, lines


def test_the_filter_knows_both_machines_and_says_so_of_others():
    for machine in seccomp.ARCHITECTURES:
        code = seccomp.program(machine)
        assert len(code) % 8 == 0 and len(code) // 8 < 4096
    with pytest.raises(ValueError, match="x86_64 and aarch64, not of riscv64"):
        seccomp.program("riscv64")


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_numbers_are_those_of_the_systems_headers(machine, missing):
    headers = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }
    header = Path(headers[machine])
    if not header.exists():
        missing(f"{header} (Debian and Ubuntu: apt install linux-libc-dev)")
    column = seccomp.ARCHITECTURES[machine][1]
    words = [line.split() for line in header.read_text().splitlines() if "#define __NR" in line]
    defined = {line[1].split("_", 3)[-1]: line[2] for line in words if len(line) > 2}
    ours = {name: numbers[column] for name, (_, *numbers) in seccomp.CALLS.items()}
    ours |= {"socket": seccomp.SOCKET[column], "socketpair": seccomp.SOCKETPAIR[column]}
    ours |= {"clone": seccomp.CLONE[column], "prctl": seccomp.PRCTL[column]}
    ours |= {"ioctl": seccomp.IOCTL[column]}
    assert {name: int(defined[name]) for name in ours if name in defined} == {
        name: number for name, number in ours.items() if name in defined
    }
    assert len(ours.keys() & defined.keys()) >= len(ours) - 2


#: Prints why there is no sandbox for the process that runs it.
WHY = "from resnorm.course.sandbox import bubblewrap; print(bubblewrap.unavailable())"


#: What Docker leaves to root in a container.
CAPABILITIES = (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw "
    "sys_chroot mknod audit_write setfcap"
)


@pytest.mark.parametrize("hidden", [True, False], ids=["as it comes", "systempaths=unconfined"])
def test_a_container_needs_the_options_that_it_is_told(hidden):
    """The trial fails where grading would, and grading works where the trial does."""
    if os.geteuid() != 0:
        pytest.skip("only root can take capabilities away, as a container does")
    kept = ",".join(["-all", *(f"+{name}" for name in CAPABILITIES.split())])
    hide = "mount -t tmpfs none /proc/irq && mount --bind -o ro /proc/sys /proc/sys && "
    script = (hide if hidden else "") + 'exec setpriv "$@"'
    container = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c", script, "sh"]
    container += [f"--bounding-set={kept}", f"--inh-caps={kept}", sys.executable, "-P", "-c"]
    environment = os.environ | {"PYTHONPATH": str(bubblewrap.PACKAGE.parent)}

    def result(code, text=""):
        found = subprocess.run(
            [*container, code], env=environment, input=text, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    if hidden:
        why = result(WHY)
        assert "Can't mount proc" in why
        assert "systempaths=unconfined" in why and "unmask=ALL" in why
    else:
        assert result(WHY) == "\n"
        cells = ["import os; print(os.getuid(), os.access('/proc/sys/vm/swappiness', os.W_OK))"]
        notebook, trace = json.loads(result(SCRIPT, json.dumps([cells, vars(LIMITS)])))
        assert said(nbformat.from_dict(notebook)).strip() == f"{NOBODY} False"
        assert trace["incidents"] == []


def test_without_namespaces_it_says_how_to_allow_them():
    """As Ubuntu 24.04 and old Debians forbid them to ordinary users."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (400, 400));" + WHY
    assert ordinary([sys.executable, "-P", "-c", code]).stdout == "\n"
    advice = bubblewrap._advice("bwrap: setting up uid map: Permission denied")
    assert "apparmor_restrict_unprivileged_userns=0" in advice and "seccomp=unconfined" in advice


def test_a_machine_or_a_bubblewrap_that_is_not_known_is_named(monkeypatch):
    for function in (bubblewrap._trial, bubblewrap._has):
        monkeypatch.setattr(bubblewrap, function.__name__, function.__wrapped__)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "not of riscv64" in bubblewrap.unavailable()
    monkeypatch.setattr(bubblewrap, "_has", lambda option: option != "--size")
    assert "too old" in bubblewrap.unavailable() and "--size" in bubblewrap.unavailable()


@pytest.mark.parametrize("user", USERS)
def test_a_box_stays_on_the_processors_of_its_job(user):
    notebook, _ = go(TRY, "attempt('move', lambda: os.sched_setaffinity(0, {0}))", user=user)
    assert said(notebook).count("refused") == 1 and "WORKED" not in said(notebook)


def test_an_error_that_cannot_be_told_ends_its_cell_alone():
    """It raises SystemExit where its message is asked for."""
    silent = """
    class Silent(Exception):
        def __str__(self): raise SystemExit
        __repr__ = __str__
    raise Silent
    """
    notebook, trace = go(silent, "print('the next cell')")
    assert not trace.incidents
    assert said(notebook) == "the next cell\n"
