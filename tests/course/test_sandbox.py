"""What hostile code meets: each attempt is contained, named, and bounded in itself."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
from resnorm.course import sandbox
from resnorm.course.sandbox import GiB, Limits, MiB

LIMITS = Limits(
    memory=GiB, processes=120, disk=100 * MiB, cell_seconds=20, notebook_seconds=60, output=300_000
)


@pytest.fixture(scope="module", autouse=True)
def box(missing):
    if reason := sandbox.unavailable():
        missing(reason)


def go(*cells, files=(), **changes):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    trace = sandbox.run(notebook, files, Limits(**{**vars(LIMITS), **changes}))
    return notebook, trace


def said(notebook):
    """Text and errors of all cells."""
    parts = []
    for cell in notebook.cells:
        for output in cell.outputs:
            parts.append(output.get("text") or output.get("evalue") or str(output.get("data")))
    return "\n".join(parts)


def kinds(trace):
    return {incident.kind for incident in trace.incidents}


def test_ordinary_code_runs_and_nothing_is_reported(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("1,2\n")
    notebook, trace = go(
        "import torch, resnorm.norms, pathlib\nprint(torch.ones(2).sum().item(), pathlib.Path('table.csv').read_text())",
        "open('mine.txt', 'w').write('x')\nprint(pathlib.Path('mine.txt').exists())",
        files=[table],
    )
    assert said(notebook).split() == ["2.0", "1,2", "True"]
    assert trace.incidents == [] and trace.seconds < 60 and trace.memory > 0
    assert not Path("mine.txt").exists() and [path.name for path in tmp_path.iterdir()] == [
        "table.csv"
    ]


def test_an_error_is_an_output_and_the_next_cell_runs():
    notebook, trace = go("1 / 0", "print('on')")
    assert "division by zero" in said(notebook) and "on" in said(notebook) and trace.incidents == []


@pytest.mark.parametrize(
    "code, changes, kind",
    [
        ("while True: pass", {"cell_seconds": 3}, "time"),
        ("import time\ntime.sleep(30)", {"notebook_seconds": 8, "cell_seconds": 20}, "time"),
        (
            "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
            {"cell_seconds": 3},
            "time",
        ),
        ("import os\nos._exit(0)", {}, "crash"),
        ("import ctypes\nctypes.string_at(0)", {}, "crash"),
        ("x = []\nfor _ in range(160): x.append(bytearray(50 * 2**20))", {}, "memory"),
        (
            "import os, time\nfor _ in range(2000):\n    if os.fork() == 0:\n        time.sleep(20)\n        os._exit(0)\ntime.sleep(5)",
            {},
            "processes",
        ),
        ("for i in range(100_000): print('x' * 100)", {}, "output"),
        ("import sys\nfor i in range(2000): sys.stderr.write('y' * 10_000)", {}, "output"),
    ],
    ids=["loop", "sleep", "deaf loop", "exit", "crash", "memory", "forks", "output", "errors"],
)
def test_what_takes_too_much_is_stopped_and_named(code, changes, kind):
    start = time.monotonic()
    notebook, trace = go(code, "print('after')", **changes)
    assert kind in kinds(trace), (trace, said(notebook)[-500:])
    # the system refuses further processes, and the rest goes on; everything else ends the notebook
    assert kind == "processes" or "after" not in said(notebook)
    assert time.monotonic() - start < 60
    # the machine answers, and nothing of it is left
    assert (
        subprocess.run(
            [sys.executable, "-c", "print(1)"], capture_output=True, timeout=20
        ).returncode
        == 0
    )
    assert trace.memory < 2 * GiB and len(said(notebook)) < 400_000


def test_memory_shared_by_forked_processes_counts_once():
    code = (
        "import os, time\nx = bytearray(300 * 2**20)\nfor i in range(0, len(x), 4096): x[i] = 1\n"
    )
    code += "for _ in range(6):\n    if os.fork() == 0:\n        time.sleep(2)\n        os._exit(0)\ntime.sleep(1)\nprint('fine')"
    notebook, trace = go(code)
    assert "fine" in said(notebook) and trace.incidents == []


@pytest.mark.parametrize("place", [f"{sandbox.WORK}/big", f"{sandbox.TMP}/big", "/dev/shm/big"])
def test_the_disk_is_small_and_goes_away(place):
    code = f"written = 0\ntry:\n    with open({place!r}, 'wb') as f:\n        for _ in range(400):\n            f.write(b'0' * 2**20); f.flush(); written += 1\n"
    code += "except OSError as e: print(written, e.strerror)"
    notebook, trace = go(code, "print('after')")
    assert "No space left" in said(notebook) and "after" in said(notebook)
    assert int(said(notebook).split()[0]) <= 100


def test_a_cell_that_fills_the_disk_is_named():
    notebook, trace = go(
        "with open('big', 'wb') as f:\n    for _ in range(400): f.write(b'0' * 2**20)",
        "print('after')",
    )
    assert [(i.cell, i.kind, i.message) for i in trace.incidents] == [
        (0, "disk", "ended with an error at 100 MiB of disk")
    ]
    assert "after" in said(notebook)


def test_the_network_is_not_there(tmp_path):
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
            f"import socket\ns = socket.create_connection(('127.0.0.1', {port}), timeout=2)\ns.send(b'hello')",
            "print('on')",
        )
        done.set()
        thread.join()
    assert heard == [] and "on" in said(notebook)
    assert "refused" in said(notebook) or "unreachable" in said(notebook)
    assert any(i.kind == "reach" and str(port) in i.message for i in trace.incidents)


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_nothing_outside_is_seen_or_changed(tmp_path):
    (tmp_path / "gradebook.db").write_text("secret")
    (tmp_path / "another.ipynb").write_text("{}")
    root = Path(sandbox.__file__).resolve().parents[3]
    package = Path(sandbox.__file__).resolve().parents[1]
    before = snapshot(tmp_path) | snapshot(package)
    code = f"""
import os, pathlib
for path in ({str(tmp_path / "gradebook.db")!r}, {str(tmp_path / "another.ipynb")!r}, {str(root / "README.md")!r}, {str(Path.home() / ".ssh")!r}, {str(Path.home() / ".bashrc")!r}, "/var", "/srv"):
    print("seen" if os.path.exists(path) else "not there")
"""
    attempts = "\n".join(
        f"try:\n    open({path!r}, 'w').write('x'); print('WROTE')\nexcept OSError as e: print(e.strerror)"
        for path in (
            "/usr/evil",
            str(package / "checking.py"),
            str(Path(sys.prefix) / "evil"),
            str(tmp_path / "evil"),
            "/etc/evil",
            "/evil",
            "/dev/evil",
        )
    )
    notebook, trace = go(
        code, attempts, "import os\nos.remove(%r)" % str(package / "checking.py"), "print('on')"
    )
    lines = said(notebook).splitlines()
    assert lines[:7] == ["not there"] * 7
    assert "WROTE" not in lines and "on" in lines
    assert {
        path: value
        for path, value in (snapshot(tmp_path) | snapshot(package)).items()
        if "__pycache__" not in path.parts
    } == {path: value for path, value in before.items() if "__pycache__" not in path.parts}
    assert {"writing /usr/evil", "writing /etc/evil"} <= {
        i.message for i in trace.incidents if i.kind == "reach"
    }
    assert any("gradebook" in i.message or "checking.py" in i.message for i in trace.incidents)


def test_no_process_of_ours_is_seen():
    notebook, _ = go(
        "import os\nprint(sorted(p for p in os.listdir('/proc') if p.isdigit()))\nprint(os.environ.get('SECRET'))"
    )
    assert len(eval(said(notebook).splitlines()[0])) < 10 and "None" in said(notebook)


def test_without_bubblewrap_it_refuses_unless_told_in_so_many_words(monkeypatch):
    monkeypatch.setattr(sandbox, "unavailable", lambda: "bubblewrap is not installed")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")])
    with pytest.raises(sandbox.NoSandbox, match="not installed.*your rights.*--unsafe"):
        sandbox.run(notebook)
    trace = sandbox.run(notebook, unsafe=True, limits=LIMITS)
    assert said(notebook).strip() == "42" and trace.incidents == []


def test_the_folders_and_groups_of_a_run_are_gone_afterwards():
    before = {path for path in Path("/tmp").iterdir() if path.name.startswith("box")}
    go("print(1)")
    assert {path for path in Path("/tmp").iterdir() if path.name.startswith("box")} == before
    groups = [path for path in Path("/sys/fs/cgroup").glob(f"**/resnorm-*-{os.getpid()}-*")]
    assert groups == []
