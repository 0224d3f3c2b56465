"""The processes that do the runs of a job, one or several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

import torch

from ..train import keep_freed_memory
from .jobs import Job, Run


class _Here(Executor):
    """Does each run at once, in this process."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as problem:
            future.set_exception(problem)
        return future


def workers(job: Job) -> tuple[Executor, Callable[[Run], float | None]]:
    """Make what does the runs, this process or several others.

    Args:
        job: the job, which says how many there are.

    Returns:
        An executor, and the task to give to it for each run.
    """
    if job.processes == 1:
        return _Here(), job.do
    threads = max(1, torch.get_num_threads() // job.processes)
    # A process that is forked cannot use a GPU.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(job.processes, spawn, _begin, (job, threads)), _do


#: In each of several processes, its job: the images are too large to be sent with every run.
_jobs: list[Job] = []


def _begin(job: Job, threads: int) -> None:
    """Prepare a process for its runs."""
    _jobs.append(job)
    torch.set_num_threads(threads)
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent is interrupted, too, and ends this.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone, so that nothing trains for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(run: Run) -> float | None:
    """Do a run of the job of this process."""
    return _jobs[0].do(run)
