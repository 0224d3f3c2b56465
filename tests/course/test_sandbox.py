"""What hostile code meets: each attempt is contained, named, and bounded in itself."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from textwrap import dedent

import nbformat
import psutil
import pytest
from boxes import LIMITS, USERS, go, kinds, said

from resnorm.course.sandbox import boxed_kernel, bubblewrap, runner
from resnorm.course.sandbox.journal import USED
from resnorm.course.sandbox.limits import GiB
from resnorm.course.sandbox.runner import run


@pytest.fixture(scope="module", autouse=True)
def box(missing):
    if reason := bubblewrap.unavailable():
        missing(reason)


def test_ordinary_code_runs_and_nothing_is_reported(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("1,2\n")
    notebook, trace = go(
        """
        import torch, resnorm.norms, pathlib
        print(torch.ones(2).sum().item(), pathlib.Path('table.csv').read_text())
        """,
        "1 / 0",  # an error is an output, and the next cell runs
        """
        open('mine.txt', 'w').write('x')
        print(pathlib.Path('mine.txt').exists())
        """,
        files=[table],
    )
    assert said(notebook).split() == ["2.0", "1,2", "division", "by", "zero", "True"]
    assert trace.incidents == [] and trace.seconds > 0 and trace.memory > 0
    assert not Path("mine.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


LOOP = "while True: pass"
DEAF_LOOP = """
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True: pass
    """
FORKS = """
    import os, time
    for _ in range(2000):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
    time.sleep(5)
    """
MEMORY = """
    x = []
    for _ in range(160): x.append(bytearray(50 * 2**20))
    """
ERRORS = """
    import sys
    for i in range(2000): sys.stderr.write('y' * 10_000)
    """


#: Memory that no process shows as its own. Each takes 3 GiB at most, of the 1 GiB allowed.
IN_FILE = """
    import os
    file = os.memfd_create("x")
    for _ in range(60): os.write(file, b"0" * (50 * 2**20))
    """
SHARED = """
    import mmap, time
    pieces = []
    for _ in range(60):
        pieces.append(mmap.mmap(-1, 50 * 2**20))
        pieces[-1].write(b"0" * (50 * 2**20))
        pieces[-1].madvise(mmap.MADV_DONTNEED)
        time.sleep(0.05)
    time.sleep(5)
    """
SYSTEM_V = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(60):
        number = libc.shmget(0, 50 * 2**20, 0o1600)
        if number < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    """
MOUNTED = """
    import os, subprocess
    script = "mount -t tmpfs none . && cd . && dd if=/dev/zero of=large bs=1M count=3000"
    result = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True)
    if result.returncode: raise OSError(result.stderr)
    """


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "code, refusal",
    [
        (IN_FILE, "Function not implemented"),
        (SHARED, ""),
        (SYSTEM_V, "Function not implemented"),
        (MOUNTED, "not permitted"),
    ],
    ids=["memfd", "shared", "System V", "mounted"],
)
def test_memory_that_belongs_to_no_process_is_refused_or_counts(code, refusal, user):
    notebook, trace = go(code, "print('after')", user=user)
    if refusal:
        assert refusal in said(notebook) and "after" in said(notebook), (said(notebook), trace)
    else:
        assert kinds(trace) == {"memory"} and "after" not in said(notebook), trace


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "code, changes, kind",
    [
        (LOOP, {"cell_seconds": 2}, "time"),
        ("import time; time.sleep(60)", {"notebook_seconds": 8}, "time"),
        (DEAF_LOOP, {"cell_seconds": 2}, "time"),
        ("import os; os._exit(0)", {}, "crash"),
        ("import ctypes; ctypes.string_at(0)", {}, "crash"),
        (MEMORY, {}, "memory"),
        (FORKS, {}, "processes"),
        ("for i in range(100_000): print('x' * 100)", {}, "output"),
        (ERRORS, {}, "output"),
    ],
    ids=["loop", "sleep", "deaf loop", "exit", "crash", "memory", "forks", "output", "errors"],
)
def test_what_takes_too_much_is_stopped_and_named(code, changes, kind, user):
    start = time.monotonic()
    notebook, trace = go(code, "print('after')", user=user, **changes)
    # The system counts a user's processes in all boxes, and may refuse one before ours is full.
    refused = kind == "processes" and "Resource temporarily unavailable" in said(notebook)
    assert kind in kinds(trace) or refused, (trace, said(notebook)[-500:])
    # A control group refuses further processes, and the rest runs. All else ends the notebook.
    assert kind == "processes" or "after" not in said(notebook)
    assert time.monotonic() - start < 240
    # the machine still starts processes
    assert subprocess.run([sys.executable, "-Sc", "print(1)"], timeout=60).returncode == 0
    assert trace.memory < 2 * GiB and len(said(notebook)) < 400_000


def test_memory_shared_by_forked_processes_counts_once():
    notebook, trace = go(
        """
        import os, time
        x = bytearray(300 * 2**20)
        for i in range(0, len(x), 4096): x[i] = 1
        for _ in range(6):
            if os.fork() == 0:
                time.sleep(2)
                os._exit(0)
        time.sleep(1)
        print('fine')
        """
    )
    assert "fine" in said(notebook) and trace.incidents == []


def test_the_disk_is_small_and_who_fills_it_is_named():
    places = [f"{bubblewrap.WORK}/big", f"{bubblewrap.TMP}/big", "/dev/shm/big"]
    write = """
        written = 0
        try:
            with open({place!r}, 'wb') as file:
                for _ in range(400):
                    file.write(b'0' * 2**20); file.flush(); written += 1
        except OSError as problem: print(written, problem.strerror)
        import os; os.remove({place!r})
        """
    fill = """
        with open('big', 'wb') as file:
            for _ in range(400): file.write(b'0' * 2**20)
        """
    cells = [write.format(place=place) for place in places]
    notebook, trace = go(*cells, fill, "print('after')")
    for cell in notebook.cells[:3]:
        written, words = cell.outputs[0].text.split(maxsplit=1)
        assert "No space left" in words and int(written) <= 100
    named = [(incident.cell, incident.kind, incident.message) for incident in trace.incidents]
    assert named == [(3, "disk", "ended with an error at 100 MiB of disk")]
    assert "after" in said(notebook)


def test_the_network_is_not_there():
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        done = threading.Event()

        def listen():
            while not done.is_set():
                try:
                    heard.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        port = server.getsockname()[1]
        notebook, trace = go(
            f"""
            import socket
            s = socket.create_connection(('127.0.0.1', {port}), timeout=2)
            s.send(b'hello')
            """,
            "print('on')",
        )
        done.set()
        thread.join()
    assert heard == [] and "on" in said(notebook)
    assert "Address family not supported" in said(notebook)
    assert any(i.kind == "reach" and str(port) in i.message for i in trace.incidents)


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in Path(folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_nothing_outside_is_seen_or_changed(tmp_path, monkeypatch):
    (tmp_path / "gradebook.db").write_text("secret")
    (tmp_path / "another.ipynb").write_text("{}")
    monkeypatch.setenv("SECRET", "of the instructor")
    package = bubblewrap.PACKAGE
    checking = str(package / "checking.py")
    root, home = package.parents[1], Path.home()
    before = snapshot(tmp_path) | snapshot(package)
    hidden = [tmp_path / "gradebook.db", tmp_path / "another.ipynb", root / "README.md"]
    hidden = [*map(str, [*hidden, home / ".ssh", home / ".bashrc"]), "/var", "/srv"]
    places = ["/usr/evil", checking, str(Path(sys.prefix) / "evil"), str(tmp_path / "evil")]
    places += ["/etc/evil", "/evil", "/dev/evil"]
    notebook, trace = go(
        f"""
        import os
        for path in {hidden!r}:
            print("seen" if os.path.exists(path) else "not there")
        """,
        f"""
        for path in {places!r}:
            try:
                open(path, 'w').write('x')
                print('WROTE')
            except OSError as problem:
                print(problem.strerror)
        """,
        f"os.remove({checking!r})",
        "print(len([name for name in os.listdir('/proc') if name.isdigit()]))",
        "print(os.environ.get('SECRET'))",
    )
    lines = [line for line in said(notebook).splitlines() if line]
    assert lines[:7] == ["not there"] * 7
    assert "WROTE" not in lines
    assert int(lines[-2]) < 10  # no process of ours
    assert lines[-1] == "None"  # no variable of ours
    assert snapshot(tmp_path) | snapshot(package) == before
    reached = {incident.message for incident in trace.incidents if incident.kind == "reach"}
    assert {"writing /usr/evil", "writing /etc/evil", f"writing {checking}"} <= reached
    assert f"os.remove of {checking}" in reached


def test_the_journal_does_not_depend_on_where_the_package_lies(tmp_path):
    """What is read-only in the box is not the box's own, even below the box's own folders."""
    own, package = tmp_path / "own", tmp_path / "own" / "clone" / "utils"
    package.mkdir(parents=True)
    (package / "a.py").write_text("")
    beside = tmp_path / "own-but-not-really"  # which only begins like the other one
    code = f"""
        from resnorm.course.sandbox import boxed_kernel
        import os
        journal = os.open({str(tmp_path / "journal")!r}, os.O_WRONLY | os.O_CREAT)
        boxed_kernel.install(journal, ({str(own)!r},), ({str(package)!r},))
        open({str(package / "a.py")!r}).read()
        open({str(package / "a.py")!r}, "a").close()
        open({str(own / "mine")!r}, "w").close()
        open({str(beside)!r}, "w").close()
        open({str(tmp_path / "journal")!r}).read()
        """
    environment = os.environ | {"PYTHONPATH": str(bubblewrap.PACKAGE.parent)}
    subprocess.run([sys.executable, "-Pc", dedent(code)], env=environment, check=True)
    lines = (tmp_path / "journal").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines if line]
    assert messages == [
        f"writing {package / 'a.py'}",
        f"writing {beside}",
        f"reading {tmp_path / 'journal'}",
    ]


def test_a_full_journal_is_waited_for():
    """Somebody has filled it, so that what follows is lost; the grader reads it at once."""
    ours, theirs = os.pipe()
    for file in (ours, theirs):
        os.set_blocking(file, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    reading = threading.Timer(0.2, os.read, (ours, 2**20))
    reading.start()
    boxed_kernel._noter(theirs)(USED, ("batch_norm",), sys._getframe())
    reading.join()
    assert os.read(ours, 2**20) == b'\n{"used": "batch_norm"}\n'
    os.close(ours)
    os.close(theirs)


def test_a_notebook_that_searches_its_process_is_reported_and_a_library_is_not(
    tmp_path, monkeypatch
):
    code = """
        import ctypes, gc, os, sys, types
        from resnorm.course.sandbox import boxed_kernel
        boxed_kernel.install(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), ("/",), ())
        library = types.ModuleType("library")
        exec("import gc; gc.get_objects()", vars(library))
        if sys.argv[2] == "own":
            gc.get_objects()
            ctypes.pythonapi.Py_GetVersion
            sys.addaudithook(lambda *event: None)
        if sys.argv[2] == "file":
            import searching
    """
    (tmp_path / "searching.py").write_text("import gc\ngc.get_objects()")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{bubblewrap.PACKAGE.parent}")
    for own in ("own", "library", "file"):
        command = [sys.executable, "-c", dedent(code), str(tmp_path / own), own]
        subprocess.run(command, check=True)
    found = (tmp_path / "own").read_text()
    assert "by gc.get_objects" in found and "by ctypes" in found and "by sys.addaudithook" in found
    assert "by gc.get_objects" in (tmp_path / "file").read_text()
    assert "by gc.get_objects" not in (tmp_path / "library").read_text()


def test_the_kernel_in_the_box_reads_the_package_from_where_it_lies():
    assert Path(boxed_kernel.PACKAGES) == bubblewrap.PACKAGE.parent
    assert str(bubblewrap.PACKAGE.parent) in boxed_kernel.SYSTEM


def test_without_bubblewrap_it_refuses_unless_it_is_asked_in_so_many_words(monkeypatch):
    monkeypatch.setattr(bubblewrap, "unavailable", lambda: "bubblewrap is not installed")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")])
    with pytest.raises(bubblewrap.NoSandboxError, match="not installed.*your rights.*--unsafe"):
        run(notebook)
    trace = run(notebook, unsafe=True, limits=LIMITS)
    assert said(notebook).strip() == "42" and trace.incidents == []


class NoThread:
    """A watchdog for which the machine has no thread left."""

    def __init__(self, *_, **__):
        raise RuntimeError("can't start new thread")


def test_no_kernel_stays_alive_that_cannot_be_watched(monkeypatch):
    monkeypatch.setattr(runner, "Watchdog", NoThread)
    for _ in range(3):  # a box may be at any point of its start when it is killed
        match = "cannot be watched: can't start new"
        with pytest.raises(runner.KernelNotStartedError, match=match):
            go("print(1)")
    # Those whose parent has ended are no longer among the children of this process.
    ours = f"/box-{os.getpid()}-"
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(ours in argument for argument in process.info["cmdline"] or ())
    ]
    _, alive = psutil.wait_procs(left, timeout=10)
    for process in alive:
        process.kill()
    assert not alive


def test_the_folders_and_groups_of_a_run_are_gone_afterwards(monkeypatch):
    """Of all runs of this process; other processes may run boxes at the same time."""

    def full(**_):
        raise OSError("the disk is full")

    go("print(1)")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(tempfile, "TemporaryDirectory", full)
        run(nbformat.v4.new_notebook(), limits=LIMITS)
    assert list(Path("/tmp").glob(f"box-{os.getpid()}-*")) == []
    assert list(Path("/sys/fs/cgroup").glob(f"**/resnorm-*-{os.getpid()}-*")) == []
