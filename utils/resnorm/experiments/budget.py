"""Recording what the ledger lacks within a number of minutes, the most valuable runs first."""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .. import ledger
from ..data import ImageDataset
from ..train import DivergedError
from . import cifar
from .jobs import Job, Run, Split
from .naming import record_file
from .workers import workers

#: What to record first: experiments whose runs are short come before others.
ORDER = {
    "cuda": (
        "time-to-94",
        "trained-out",
        "face-off",
        "fast-recipe",
        "fast-recipe-long",
        "resnet-on-cifar",
        "lesion-short",
        "noisy-batch-norm",
        "lesion",
        "batch-size",
        "degradation",
    ),
    "cpu": (
        "noisy-batch-norm-short",
        "batch-size-short",
        "face-off-short",
        "six-minutes",
        "degradation-short",
    ),
}
#: The seeds of each arm, if none are given.
RECORD_SEEDS = (0, 1, 2)


@dataclass
class Outcome:
    """What a budget was spent on.

    Attributes:
        finished: the runs that are recorded now.
        too_long: the runs that did not fit into what was left, and the seconds that they lack.
        failed: the runs that ended with an error of their own, and which one.
        not_begun: the number of runs that are lacking and for which no time was left at all. Those
            that wait for a search to end are not counted.
        refused: the experiments whose search cannot go on, and why.
    """

    finished: list[Run] = field(default_factory=list)
    too_long: dict[Run, float] = field(default_factory=dict)
    failed: dict[Run, str] = field(default_factory=dict)
    not_begun: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class _Plan:
    """Which runs are lacking, the most valuable first; it reads the records whenever it is asked.

    Attributes:
        refused: see :class:`Outcome`.
    """

    def __init__(self, job: Job, names: Iterable[str], seeds: Iterable[int]):
        self.job, self.seeds = job, list(dict.fromkeys(seeds))
        self.refused: dict[str, str] = {}
        self.here = _machine(ledger.hardware(job.images("test").train_images.device))
        # A file that holds something else is refused now, and not after hours of training.
        self.records = {
            (name, split): job.open(name, split) for name in names for split in _splits(name)
        }

    def lacking(self) -> Iterator[Run]:
        """The runs that neither the package's records nor the reader's have."""
        for name in dict.fromkeys(name for name, _ in self.records):
            experiment = cifar.EXPERIMENTS[name]
            arms: Iterable[str] = experiment.arms
            if cifar.is_search(experiment):
                found = self._known(name, "validation")
                try:
                    wanted = cifar.next_of_search(experiment, found)
                    arms = [] if wanted else cifar.best_rates(experiment, found)
                except ValueError as problem:
                    self.refused[name] = str(problem)
                    continue
                yield from (Run(name, arm, seed, "validation") for arm, seed in wanted)
            if not experiment.chooses:
                known = self._known(name, "test")
                for seed in self.seeds:
                    yield from (Run(name, arm, seed) for arm in arms if not known.has(arm, seed))

    def seconds(self, run: Run) -> float:
        """How long the longest run of such a network took on this machine; 0 if there is none."""
        alike = self.alike(run)
        return max(
            (
                past["seconds"]
                for split in _splits(run.experiment)
                for past in self._own(run.experiment, split).runs
                if past["arm"] in alike
                and _machine(past["hardware"]) == self.here
                and past["results"].get("runs at a time", 1) == self.job.processes
            ),
            default=0.0,
        )

    def alike(self, run: Run) -> set[str]:
        """The arms that differ from a run's in the learning rate at most: they take as long."""
        groups = cifar.families(cifar.EXPERIMENTS[run.experiment])
        return next(set(names.values()) for names in groups if run.arm in names.values())

    def _own(self, name: str, split: Split) -> ledger.Record:
        """The reader's record as it is now."""
        path = self.job.file(name, split)
        return ledger.read(path) if path.exists() else self.records[name, split]

    def _known(self, name: str, split: Split) -> ledger.Record:
        """The reader's runs, and the package's if they are of the same data and settings."""
        record = self._own(name, split)
        path = record_file(ledger.RESULTS, name, validation=split == "validation")
        if path.exists() and not ledger.difference(shipped := ledger.read(path), record):
            return ledger.merge([record, shipped])
        return record


def _splits(name: str) -> list[Split]:
    """What the runs of an experiment are measured on."""
    return ["validation", "test"] if cifar.is_search(cifar.EXPERIMENTS[name]) else ["test"]


def _machine(hardware: str) -> str:
    """The processor and the accelerator, without the number of threads of one process."""
    return re.sub(r", \d+ threads", "", hardware)


def record_within(
    minutes: float,
    images: Callable[[Split], ImageDataset],
    folder: Path,
    checkpoints: Path,
    seeds: Iterable[int] = RECORD_SEEDS,
    *,
    names: Iterable[str] | None = None,
    processes: int = 1,
    weights: Path | None = None,
    on_run: Callable[[Run], None] = lambda run: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Train what the package's records and those in a folder lack, within a number of minutes.

    An experiment with several learning rates for each network is searched first, on the validation
    split; the seeds then run at the best rates. A run is not begun if one of its network took
    longer, on this machine, than what is left. One that turns out too long stops after an epoch,
    and the next call continues it.

    Args:
        minutes: the time for everything.
        images: maps a split to its images, see :class:`Job`.
        folder: where the records are written, a file for each experiment.
        checkpoints: a folder for the states of unfinished runs.
        seeds: the seeds of each arm.
        names: the experiments, the first one first; None takes ``ORDER`` for the device.
        processes: how many networks are trained at a time. Above 1 each has a process of its own,
            which loads the images, and None leaves out the experiments that ask for the time.
        weights: a folder for the weights of the networks that are measured on the test set.
        on_run: called before each run.
        clock: returns seconds.

    Returns:
        What was finished, and what did not fit or failed.

    Raises:
        BlockingIOError: if another process records the same experiment in this folder.
        BrokenProcessPool: if a process ended unexpectedly, perhaps for lack of memory.
        ValueError: if a record in the folder is of other data or settings, or if several processes
            are to do an experiment that asks for the time.
    """
    job = Job(images, folder, checkpoints, weights, processes, clock() + 60 * minutes, clock)
    timed = {name for name, experiment in cifar.EXPERIMENTS.items() if experiment.timed}
    if names is None:
        kind = "cuda" if images("test").train_images.device.type == "cuda" else "cpu"
        names = [name for name in ORDER[kind] if processes == 1 or name not in timed]
    names = list(dict.fromkeys(names))
    if processes > 1 and (found := timed & set(names)):
        raise ValueError(
            f"{', '.join(sorted(found))}: the question is how long a training takes, so processes "
            f"must be 1; it is {processes}"
        )
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(ledger.claimed(job.file(name, "test")))
        plan = _Plan(job, names, seeds)
        outcome = Outcome(refused=plan.refused)
        _train(plan, outcome, on_run)
    lacking = set(plan.lacking())
    outcome.not_begun = len(lacking - outcome.too_long.keys() - outcome.failed.keys())
    return outcome


def _train(plan: _Plan, outcome: Outcome, on_run: Callable[[Run], None]) -> None:
    """Do the runs of a plan, several at a time, and note in the outcome what becomes of each."""
    processes = plan.job.processes
    running: dict[Future[float | None], Run] = {}
    others = set(multiprocessing.active_children())
    executor, train = workers(plan.job)
    try:
        while True:
            while len(running) < processes and (run := _next(plan, running.values(), outcome)):
                on_run(run)
                running[executor.submit(train, run)] = run
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                run = running.pop(future)
                try:
                    seconds = future.result()
                except (DivergedError, torch.OutOfMemoryError) as problem:
                    outcome.failed[run] = str(problem)  # The others can be done all the same.
                else:
                    if seconds is None:
                        outcome.finished.append(run)
                    else:
                        outcome.too_long[run] = seconds
    except BrokenProcessPool as problem:
        message = "a process ended unexpectedly, perhaps for lack of memory; try fewer --processes"
        raise BrokenProcessPool(message) from problem
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # Its finished epochs are kept; nobody waits for the rest.
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _next(plan: _Plan, running: Collection[Run], outcome: Outcome) -> Run | None:
    """The next run that can be finished in time; those that cannot are noted in the outcome."""
    clock, deadline = plan.job.clock, plan.job.deadline
    if clock() >= deadline:
        return None
    for run in plan.lacking():
        if run in running or run in outcome.too_long or run in outcome.failed:
            continue
        alike = plan.alike(run)
        late = [
            seconds
            for other, seconds in outcome.too_long.items()
            if other.experiment == run.experiment and other.arm in alike
        ]
        needed = 0.0 if plan.job.state(run).exists() else plan.seconds(run)
        if late or clock() + needed > deadline:
            outcome.too_long[run] = max([needed, *late])
            continue
        return run
    return None
