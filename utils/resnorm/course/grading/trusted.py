"""The process in which tests run: outside of the box, with a deadline, one for each submission.

The tests are the instructor's, but they compute with values that a student chose, so they can take
any time and memory. They never run in the process that grades the class.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import multiprocessing
import resource
import signal
import sys
import time
import types
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbformat import NotebookNode

from ..sandbox.incidents import Incident, StoppedError
from ..sandbox.limits import GiB, Limits
from .cells import by_name, is_boxed, is_shared, is_test, ours
from .reading import NotGradableError
from .verdicts import Verdict, verdict

if TYPE_CHECKING:
    from .judge import Judge

#: What each graded cell expects; None in the run of the solution, which finds it out.
Reference = dict[str, list[dict[str, Any]]]
#: Modules that take seconds to import, besides those that the assignment imports. The second one is
#: imported by the first call of ``torch.autograd.grad``.
PRELOADED = (f"{__package__}.judge", "torch.fx.experimental.symbolic_shapes")
#: Seconds that the process may take to start; the first one imports torch.
START = 300.0
#: Memory that a test may take beyond what its process has when it starts, in bytes.
MEMORY = 2 * GiB
#: Seconds in which a process ends whose connection is closed.
END = 5.0
#: A test that took more than one part of this many of its time does not run again. Double precision
#: takes about twice as long.
AGAIN = 4


class JudgeProcess:
    """Runs the tests of one submission in a process of their own.

    Args:
        source: the instructor's notebook.
        reference: what its tests expect; None for the run of the solution.
        limits: those of the submission, whose times are also those of the tests.

    Raises:
        OSError: the process did not start, for which the submission is not to blame.

    Attributes:
        verdicts: by the name of the graded cell, as far as the run came.
        used: forbidden names that the answers used, by the name of the graded cell.
        dtypes: default type of the notebook with which the answers ran, by the name of the graded
            cell, where it was not that of the tests.
        others: the same, where it was not that of the tests and the test lost points.
        expected: what the tests expect, in the run of the solution.
    """

    def __init__(
        self,
        source: NotebookNode,
        reference: Reference | None,
        limits: Limits,
    ):
        self.cells = by_name(source)
        self.seconds, self.computing = limits.cell_seconds, _seconds_of_computing(limits)
        self.verdicts: dict[str, Verdict] = {}
        self.used: dict[str, list[str]] = {}
        self.dtypes: dict[str, str] = {}
        self.others: dict[str, str] = {}
        self.expected: Reference = {}
        self.process, self.connection = started(source, _serve, source, reference, limits)
        try:
            if not self.connection.poll(START) or not _received(self.connection):
                raise EOFError
        except EOFError:
            self.close()
            raise OSError("the process that runs the tests did not start") from None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    async def before(self, name: str, ask: Callable[[str], Awaitable[object]]) -> None:
        """Run what belongs outside of the box before a cell is executed in it.

        Args:
            name: nbgrader's name of the cell.
            ask: executes a request in the box and returns the reply.

        Raises:
            StoppedError: the box or the test was stopped, and nothing can follow.
            NotGradableError: in the run of the solution, the test is unjust or fails.
            OSError: the process failed, for which the submission is not to blame.
        """
        cell = self.cells.get(name)
        if cell is None or "weights" in ours(cell) or not (is_test(cell) or is_shared(cell)):
            return
        end, stop = time.monotonic() + self.seconds, None
        message = await self._request({"run": name}, self.seconds)
        while "ask" in message:
            try:
                if time.monotonic() > end:
                    raise self._too_long()
                reply = {"reply": await ask(message["ask"])}
            except StoppedError as stopped:
                stop, reply = stopped, {"stop": True}
            message = await self._request(reply, max(5.0, end - time.monotonic()))
        if "verdict" in message:
            self.verdicts[name] = Verdict(**message["verdict"])
            self.used[name] = message["used"]
            self.dtypes |= {name: message["dtype"]} if message["dtype"] else {}
            self.others |= {name: message["other"]} if message["other"] else {}
        if "expected" in message:
            self.expected[name] = message["expected"]
        if stop:
            raise stop

    def _too_long(self) -> StoppedError:
        return StoppedError(
            Incident(-1, "time", f"its test was stopped after {self.seconds:.0f} s")
        )

    async def _request(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a message to the process, and wait for its answer."""
        try:
            _send(self.connection, message)
            waiting = asyncio.to_thread(_received, self.connection)
            answer = await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            self.process.kill()  # which also ends the thread that waits
            raise self._too_long() from None
        except (EOFError, OSError):
            self.process.join(END)
            raise StoppedError(_ended(self.process.exitcode, self.computing)) from None
        if "author" in answer:
            raise NotGradableError(answer["author"])
        if "bug" in answer:
            raise OSError(f"the process that runs the tests failed: {answer['bug']}")
        return answer


def _ended(code: int | None, seconds: int) -> Incident:
    """Why the process of the tests ended, by its exit code."""
    if code == 0:  # of a MemoryError
        return Incident(-1, "memory", "its test ran out of memory with the values that it got")
    if code == -signal.SIGXCPU:
        return Incident(-1, "time", f"its test was stopped after {seconds} s of computing")
    if code == -signal.SIGKILL:
        return Incident(-1, "memory", "its test was killed, probably for lack of memory")
    if code is not None and -code in set(signal.Signals):
        return Incident(-1, "crash", f"its test crashed ({signal.Signals(-code).name})")
    return Incident(-1, "crash", f"its test crashed (exit code {code})")


def imported(source: NotebookNode) -> list[str]:
    """List the modules that the instructor's shared cells import.

    Args:
        source: the instructor's notebook.
    """
    nodes = [
        node
        for cell in source.cells
        if is_shared(cell) and not is_boxed(cell)
        for node in ast.walk(ast.parse(cell.source))
    ]
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    of = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return plain + [name for name in of if name]


def started(
    source: NotebookNode, serve: Callable[..., None], *arguments: Any
) -> tuple[BaseProcess, Connection]:
    """Start a process that has imported what the tests need, and a connection to it.

    Args:
        source: the instructor's notebook.
        serve: what the process runs; its first argument is the other end of the connection.
        *arguments: its further arguments.

    Returns:
        The process and our end of the connection, which the caller closes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, *imported(source)])
    connection, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
    with without_main():
        process.start()
    theirs.close()
    return process, connection


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Keep a new process from importing the command's own module, which would take seconds.

    Yields:
        Nothing; the body starts the process.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _received(connection: Connection) -> dict[str, Any]:
    return json.loads(connection.recv_bytes())


def _serve(
    connection: Connection,
    source: NotebookNode,
    reference: Reference | None,
    limits: Limits,
) -> None:
    """Run cells as they are asked for, in the process of the tests."""
    import torch

    from ..remote.proxy import Gone
    from .judge import AuthorError, Judge

    torch.set_num_threads(1)
    limit_this_process(limits)

    def ask(request: str) -> object:
        _send(connection, {"ask": request})
        message = _received(connection)
        if "stop" in message:
            raise Gone
        return message["reply"]

    judge = Judge(ask, source, strict=reference is None)
    _send(connection, {"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            name = _received(connection)["run"]
            try:
                result = _result(judge, name, reference, limits.cell_seconds)
            except AuthorError as problem:
                result = {"author": f"{name}: {problem}"}
            except MemoryError:
                return  # what a submission has made too large ends its test
            except Exception as problem:
                result = {"bug": f"{type(problem).__name__}: {problem}"[:500]}
            _send(connection, result)


def _result(
    judge: Judge,
    name: str,
    reference: Reference | None,
    seconds: float,
) -> dict[str, Any]:
    """Run one cell, and mark it if it is graded; once more, where a type may be to blame."""
    from .judge import compare, expected
    from .own_dtype import better_outcome, may_gain

    begin = time.monotonic()
    outcome = judge.run(name)
    if outcome is None:
        return {}
    if reference is None:
        return {"expected": expected(outcome)}
    cell = judge.cells[name]
    quick = time.monotonic() - begin < seconds / AGAIN
    if quick and may_gain(judge, outcome, reference[name]):
        outcome = better_outcome(judge, name, outcome, reference[name])
    other = str(judge.session.dtype) if may_gain(judge, outcome, reference[name]) else ""
    agree, problems = compare(outcome, reference[name])
    result = verdict(cell, agree, len(reference[name]), problems)
    return {"verdict": asdict(result), "used": outcome.used, "dtype": outcome.dtype, "other": other}


def limit_this_process(limits: Limits) -> None:
    """Limit the memory and the computing time of this process.

    Args:
        limits: those of the submission for which it works.
    """
    with contextlib.suppress(OSError):  # there is no /proc outside of Linux
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # At the first limit the kernel says by its signal that it was the time, at the second it kills.
    seconds = _seconds_of_computing(limits)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _seconds_of_computing(limits: Limits) -> int:
    return int(limits.notebook_seconds) + 1
