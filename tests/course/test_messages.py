"""What the kernel's messages can do to the grader: no more than cost their own notebook marks."""

import time
from textwrap import dedent

import nbformat
import psutil
import pytest
from boxes import LIMITS, go, kinds, said

from resnorm.course.sandbox import boxed_kernel, bubblewrap, cell_runner
from resnorm.course.sandbox.incidents import Incident, Trace
from resnorm.course.sandbox.limits import Limits
from resnorm.course.sandbox.messages import Meter
from resnorm.course.sandbox.runner import KernelNotStartedError, run
from resnorm.course.sandbox.watchdog import Watchdog


@pytest.fixture(scope="module", autouse=True)
def box(missing):
    if reason := bubblewrap.unavailable():
        missing(reason)


#: Puts a function into the notebook that sends any message as the kernel's own.
SENDER = """
    import json
    from IPython import get_ipython
    kernel = get_ipython().kernel
    def send(kind, content, **fields):
        message = kernel.session.msg(kind, parent=kernel.get_parent("shell"))
        # As bytes, because the kernel's own session would refuse some contents.
        message.update(content=json.dumps(content).encode(), **fields)
        kernel.session.send(kernel.iopub_socket, message)
    """


#: Each sends one message of a form that no notebook has.
MALFORMED = [
    "send('stream', {})",
    "send('stream', {'name': 'stdout', 'text': 5})",
    "send('stream', ['name', 'text'])",
    "send('display_data', {'data': [], 'metadata': {}})",
    "send('display_data', {'data': {'text/plain': 'x'}})",
    "send('display_data', {'data': {}, 'metadata': 'x'})",
    "send('execute_result', {'data': {}, 'metadata': {}, 'execution_count': 'x'})",
    "send('execute_result', {'data': {}, 'metadata': {}, 'execution_count': -1})",
    "send('execute_result', {'data': {}, 'metadata': {}, 'execution_count': True})",
    "send('error', {'ename': 1, 'evalue': None, 'traceback': 'x'})",
    "send('execute_input', {'execution_count': {}})",
    "send('status', {})",
    "send('clear_output', {'wait': 'x'})",
    "send('stream', {'name': 'stdout', 'text': 'x'}, header={})",
    "send('stream', {'name': 'stdout', 'text': 'x'}, header={'msg_id': 1, 'msg_type': []})",
    "send('stream', {'name': 'stdout', 'text': 'x'}, parent_header=[])",
    "send('display_data', {'data': {'a/json': eval('[' * 90 + ']' * 90)}, 'metadata': {}})",
    "kernel.iopub_socket.send_multipart([b'no', b'message'])",
    "kernel.iopub_socket.send_multipart([b'<IDS|MSG>', b'x', b'{', b'}', b'[', b'1'])",
]


def test_messages_of_another_form_are_dropped_and_named(monkeypatch):
    """One after another in one kernel, because a kernel takes seconds to start."""
    cells, noted, note = [dedent(SENDER)], [], Meter.note
    for number, code in enumerate(MALFORMED):
        cells += [code, f"print('after {number}')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    def noting(meter, kind, message):
        noted.append((kind, said(notebook).splitlines()))
        note(meter, kind, message)

    monkeypatch.setattr(Meter, "note", noting)
    trace = run(notebook, limits=LIMITS)
    printed = [f"after {number}" for number in range(len(MALFORMED))]
    for number, (code, (kind, before)) in enumerate(zip(MALFORMED, noted, strict=True)):
        assert kind == "unreadable" and [line for line in before if line] == printed[:number], code
    assert [line for line in said(notebook).splitlines() if line] == printed
    assert {"unreadable"} == kinds(trace), trace
    nbformat.validate(notebook)


def test_what_is_no_output_is_left_out_and_the_rest_stays():
    notebook, trace = go(
        SENDER,
        """
        data = {'text/plain': ['a', 5], 'image/png': {}, 'application/json': {'b': [1]}, 7: None}
        send('display_data', {'data': data, 'metadata': {}, 'transient': {'display_id': []}})
        send('comm_open', {'comm_id': []})
        send('stream', {'name': 'nowhere', 'text': 'x', 'more': 1})
        """,
    )
    shown, printed = notebook.cells[1].outputs
    assert shown.data == {
        "text/plain": "a5",
        "image/png": "{}",
        "application/json": {"b": [1]},
        "7": "None",
    }
    assert printed == {"output_type": "stream", "name": "stdout", "text": "x"}
    assert trace.incidents == []
    nbformat.validate(notebook)


def test_half_a_character_becomes_a_question_mark_wherever_it_stands(tmp_path):
    half = "\\ud83d"
    notebook, trace = go(
        SENDER,
        f"send('stream', {{'name': 'stdout', 'text': 'one {half}'}})",
        f"send('error', {{'ename': '{half}', 'evalue': 'two {half}', 'traceback': ['{half}']}})",
        f"send('display_data', {{'data': {{'{half}': ['{half}']}}, 'metadata': {{'{half}': 1}}}})",
        f"open('/usr/three{half}', 'w')",
        f"print('{half}')",
        "print('after')",
    )
    nbformat.write(notebook, tmp_path / "whole.ipynb")
    assert "one ?" in said(notebook) and "two ?" in said(notebook) and "after" in said(notebook)
    assert notebook.cells[3].outputs[0].data == {"?": "?"}
    assert Incident(0, "refused", "four \ud83d").message == "four ?"
    assert kinds(trace) <= {"reach", "unreadable"}


def test_much_output_is_cut_and_what_follows_counts():
    notebook, trace = go(
        "print('x' * 2_000_000)",
        "print('short')",
        SENDER,
        "send('stream', {'name': 'stdout', 'text': 'x'}, metadata={'much': 'x' * 500_000})",
        "print('after')",
    )
    assert "short" in said(notebook) and "after" in said(notebook)
    assert len(said(notebook)) < LIMITS.output + 1000 and "x\n… (cut)\n" in said(notebook)
    assert kinds(trace) == {"cut"}


@pytest.mark.parametrize(
    "code",
    [
        "send('stream', {'name': 'stdout', 'text': ''}, metadata={'much': 'x' * 100_000})",
        "send('status', {'execution_state': 'busy'}, parent_header={})",
        "send('comm_msg', {'data': 'x' * 100_000})",
        "kernel.iopub_socket.send_multipart([b'x' * 10_000] * 100)",
        "kernel.iopub_socket.send(b'x' * 10_000_000)",
    ],
    ids=["metadata", "of nobody", "widgets", "parts", "one large"],
)
def test_a_flood_of_any_kind_is_output(code):
    notebook, trace = go(SENDER, f"while True: {code}", "print('after')")
    assert "output" in kinds(trace) and "after" not in said(notebook), trace


def test_what_runs_aside_has_an_account_of_its_own():
    stopped = []
    meter = Meter(Limits(output=1000), stopped.append)
    with meter.aside(1_000_000):
        meter.count(900_000)
        assert meter.room("request", 900_000) == 900_000
    assert meter.total == 0 and not stopped and not meter.incidents
    with meter.aside(1_000_000):
        meter.count(1_200_000)
    assert meter.stopped and [incident.kind for incident in stopped] == ["output"]


def test_the_deadline_holds_when_nothing_else_in_the_grader_runs(monkeypatch):
    """The event loop stands still until the kernel is gone."""
    run = cell_runner.CellRunner.run

    async def stuck(self, *arguments):
        process = next(p for p in psutil.Process().children() if "boxed_kernel" in str(p.cmdline()))
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.1)
        await run(self, *arguments)

    monkeypatch.setattr(cell_runner.CellRunner, "run", stuck)
    _, trace = go("1", notebook_seconds=3)
    assert trace.incidents == [Incident(0, "time", "the notebook was stopped after 3 s")]


def test_an_error_that_the_kernels_messages_provoke_stops_the_notebook_and_is_named(monkeypatch):
    async def fails(self, cell, index, **_):
        raise KeyError("parent_header")

    monkeypatch.setattr(cell_runner.NotebookClient, "async_execute_cell", fails)
    _, trace = go("1")
    assert [(i.kind, "KeyError" in i.message) for i in trace.incidents] == [("messages", True)]


def test_the_watchdog_keeps_the_reason_that_it_was_given():
    with psutil.Popen(["sleep", "60"]) as process:
        watchdog = Watchdog(process.pid, LIMITS, Trace())
        watchdog.start()
        watchdog.stop(Incident(0, "output", "first"))
        watchdog.stop(Incident(0, "time", "second"))
        watchdog.join()
        assert process.wait() == -9 and watchdog.incident.message == "first"


def test_a_kernel_that_did_not_start_is_no_crash(monkeypatch):
    with pytest.raises(KernelNotStartedError, match="more than 0.0 GiB of memory|did not start"):
        go("print(1)", memory=20 * 2**20, disk=20 * 2**20)
    monkeypatch.setattr(boxed_kernel, "__name__", "resnorm.no_such_module")
    with pytest.raises(KernelNotStartedError, match="no_such_module"):
        go("print(1)")
    monkeypatch.undo()
    _, trace = go("import os; os._exit(0)")
    assert kinds(trace) == {"crash"}


@pytest.mark.parametrize("name", ["psutil.py", "torch.py", "sitecustomize.py", "ipykernel.py"])
def test_a_file_named_like_a_module_does_not_keep_the_kernel_from_starting(name, tmp_path):
    (tmp_path / name).write_text("import os; os._exit(1)")
    notebook, trace = go("print('started')", files=[tmp_path / name])
    assert "started" in said(notebook) or kinds(trace) == {"crash"}


def test_files_that_do_not_fit_or_are_none_are_left_out(tmp_path):
    (tmp_path / "small.txt").write_text("small")
    (tmp_path / "large.bin").write_bytes(b"0" * (60 * 2**20))
    (tmp_path / "folder").mkdir()
    notebook, trace = go(
        "import os; print([name for name in os.listdir() if name[0] != '.'])",
        files=sorted(tmp_path.iterdir(), reverse=True),
    )
    assert said(notebook).strip() == "['small.txt']"
    assert [incident.message for incident in trace.incidents] == [
        "large.bin has 60 MiB and was left out",
        "folder is not a file and was left out",
    ]


def test_the_same_holds_without_a_box(monkeypatch):
    monkeypatch.setattr(bubblewrap, "unavailable", lambda: "no sandbox")
    cells = [nbformat.v4.new_code_cell(dedent(cell)) for cell in (SENDER, "send('stream', {})")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    trace = run(notebook, unsafe=True, limits=LIMITS)
    assert kinds(trace) == {"unreadable"} and said(notebook) == ""
