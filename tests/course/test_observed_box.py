"""What the journal says of forbidden functions in the box, by whichever way they are called."""

import asyncio
from textwrap import dedent

import nbformat
import pytest
import torch

from resnorm.course.remote.proxy import Session
from resnorm.course.sandbox.journal import BEGUN, UNSEEN
from resnorm.course.sandbox.limits import Limits
from resnorm.course.sandbox.runner import run

LIMITS = Limits(cell_seconds=300.0, notebook_seconds=1200.0)
SETUP = """
import os, sys, threading, time, torch
F = torch.nn.functional
norm = getattr(F, "batch" + "_norm")
def normalized(x):
    return norm(x, None, None, training=True)
script = torch.jit.CompilationUnit(
    "def f(x):\\n    return torch.{}(x, None, None, None, None, True, 0.1, 1e-5, False)\\n"
    .format("batch" + "_norm")
)
normalized(torch.randn(2, 3))  # outside of a call, as in the student's own experiments
"""
#: What the student writes -> the answer, what the journal says besides that a call was observed.
ANSWERS = {
    "plain": ("answer = torch.relu", set()),
    "by its name": ("answer = normalized", {"batch_norm"}),
    "TorchScript": ("answer = script.f", {"batch_norm"}),
    "the loop of the kernel": (
        """
        loop = get_ipython().kernel.iopub_thread.io_loop
        def answer(x):
            done, found = threading.Event(), []
            def later():
                found.append(normalized(x))
                done.set()
            loop.add_callback(later)
            done.wait(60)
            return found[0]
        """,
        {"batch_norm"},
    ),
    "no profile": (
        """
        def answer(x):
            before = sys.getprofile()
            list(map(sys.setprofile, [None]))
            try:
                return x.relu()
            finally:
                list(map(sys.setprofile, [before]))
        """,
        {UNSEEN},
    ),
    "a profile of its own": (
        """
        def answer(x):
            with torch.profiler.profile():
                return x.relu()
        """,
        {UNSEEN},
    ),
    "another process": (
        """
        def answer(x):
            ours, theirs = os.pipe()
            if not (child := os.fork()):
                os.write(theirs, normalized(x).numpy().tobytes())
                os._exit(0)
            os.waitpid(child, 0)
            data = bytearray(os.read(ours, 4 * x.numel()))
            return torch.frombuffer(data, dtype=torch.float32).view(x.shape)
        """,
        {"batch_norm", UNSEEN},
    ),
    "a full journal": (
        """
        import fcntl, stat
        def answer(x):
            for file in map(int, os.listdir("/proc/self/fd")):
                try:
                    flags = fcntl.fcntl(file, fcntl.F_GETFL)
                    is_pipe = stat.S_ISFIFO(os.fstat(file).st_mode)
                    if is_pipe and flags & os.O_NONBLOCK and flags & os.O_WRONLY:
                        for _ in range(40):
                            os.write(file, b"x" * 4096)
                except OSError:
                    pass
            return normalized(x)
        """,
        {"batch_norm"},
    ),
    "what looks at a result": (
        """
        class Late(dict):
            def items(self):
                normalized(torch.randn(2, 3))
                return {}.items()
        torch.Tensor.late = property(lambda self: normalized(self))
        def answer(x):
            return x.relu()
        from resnorm.course.remote import executor
        contents = executor.contents
        executor.contents = lambda value: (normalized(torch.randn(2, 3)), contents(value))[1]
        """,
        {"batch_norm"},
    ),
    "no observation": (
        """
        import contextlib
        executor.contents = contents
        observed = executor.observed
        executor.observed = lambda *a, **k: contextlib.nullcontext([])
        answer = torch.relu
        """,
        None,
    ),
    "plain again": ("executor.observed = observed\nanswer = torch.relu", set()),
    "a process from before": (
        """
        if not (child := os.fork()):
            time.sleep(300)
            os._exit(0)
        answer = torch.relu
        """,
        {UNSEEN},
    ),
}


@pytest.fixture(scope="module")
def ran():
    """Name of an answer -> what its call gave, and what the journal says of it; and the trace."""
    results = {}

    async def before(name, ask):
        loop = asyncio.get_running_loop()

        def ask_and_wait(request):
            return asyncio.run_coroutine_threadsafe(ask(request), loop).result()

        def call():
            session = Session(ask_and_wait)
            session.forbidden = ["batch_norm"]
            return session.names(["answer"])["answer"](torch.ones(2, 3))

        results[name] = await asyncio.to_thread(call)

    cells = [nbformat.v4.new_code_cell(SETUP)]
    for name, (code, _) in ANSWERS.items():
        metadata = {"nbgrader": {"grade_id": name}}
        cells.append(nbformat.v4.new_code_cell(dedent(code)))
        cells.append(nbformat.v4.new_code_cell("pass", metadata=metadata))
    notebook = nbformat.v4.new_notebook(cells=cells)
    trace = run(notebook, limits=LIMITS, before=before)
    errors = [o.evalue for c in notebook.cells for o in c.outputs if o.output_type == "error"]
    assert not errors and not trace.incidents
    return results, trace


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_used_during_a_call_is_in_the_journal(ran, name):
    results, trace = ran
    assert results[name].shape == (2, 3)
    wanted = ANSWERS[name][1]
    assert set(trace.used[name]) == (set() if wanted is None else {BEGUN} | wanted)
