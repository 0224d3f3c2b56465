"""Recording what the ledger lacks within a number of minutes, the most valuable runs first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from .. import ledger
from ..data import ImageDataset
from ..train import keep_freed_memory
from . import cifar
from .naming import command, record_file

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
#: The seed with which learning rates are searched.
SEARCH_SEED = 0


class Run(NamedTuple):
    """One network to train.

    Attributes:
        experiment: the name of the experiment.
        arm: the name of the arm.
        seed: the seed.
        validation: whether it belongs to the search for a learning rate, on a validation split.
    """

    experiment: str
    arm: str
    seed: int
    validation: bool = False

    def __str__(self) -> str:
        split = ", validation split" if self.validation else ""
        return f"{self.experiment}: {self.arm}, seed {self.seed}{split}"


class TooLongError(RuntimeError):
    """A run would not be finished in time; its state after the last epoch is kept.

    Args:
        seconds: how much longer it takes, by its pace so far; kept as an attribute.
    """

    def __init__(self, seconds: float):
        super().__init__(f"the run takes {seconds / 60:.1f} more minutes")
        self.seconds = seconds


class Pace:
    """Ends a training that would not be finished in time, for ``after_step`` of ``fit``.

    It decides at the first step of an epoch, when the checkpoint of the epoch before is written.
    What comes before the first step, such as compilation, does not count as pace.

    Args:
        steps: the number of steps per epoch.
        epochs: the number of epochs.
        deadline: when the run must be finished, on the clock.
        clock: returns seconds.
    """

    def __init__(
        self, steps: int, epochs: int, deadline: float, clock: Callable[[], float] = time.monotonic
    ):
        self.steps, self.epochs, self.deadline, self.clock = steps, epochs, deadline, clock
        self.first: tuple[int, float] | None = None

    def __call__(self, step: int, model: nn.Module) -> None:
        """Look at the clock.

        Args:
            step: the number of steps so far; a resumed run does not begin at 1.
            model: not used.

        Raises:
            TooLongError: the run would not be finished in time.
        """
        now = self.clock()
        if self.first is None:
            self.first = step, now
        elif (step - 1) % self.steps == 0:
            first_step, start = self.first
            left = (now - start) / (step - first_step) * (self.steps * self.epochs - step)
            if now + left > self.deadline:
                raise TooLongError(left)


@dataclass(frozen=True)
class Job:
    """Where the runs of one call get their images from, and where they leave what they make.

    Attributes:
        images: maps ``"test"`` and ``"validation"`` to the images of that split, on the device to
            train on. It is called often. Each further process gets a copy, made by pickling.
        folder: the records, a file for each experiment.
        checkpoints: the states of unfinished runs.
        weights: the weights of networks that are measured on the test set; None keeps none.
        deadline: when everything must be finished, on the clock.
        clock: returns seconds; other processes must read the same time from theirs.
    """

    images: Callable[[str], ImageDataset]
    folder: Path
    checkpoints: Path
    weights: Path | None
    deadline: float
    clock: Callable[[], float] = time.monotonic

    def open(self, name: str, validation: bool) -> ledger.Record:
        """Open a record, and make its file if there is none.

        Args:
            name: the name of the experiment.
            validation: whether it is of the validation split.
        """
        experiment = cifar.EXPERIMENTS[name]
        tuned = not validation and cifar.is_search(experiment)
        return ledger.open_record(
            record_file(self.folder, name, validation=validation),
            name,
            command(
                name,
                validation=validation,
                tuned=record_file(self.folder, name, validation=True).name if tuned else None,
            ),
            self.images("validation" if validation else "test").source,
            experiment.configuration(),
        )

    def state(self, run: Run) -> Path:
        """Name the file with the state of a run, as long as it is unfinished.

        Args:
            run: which run.
        """
        return cifar.run_file(self._states(run), *run[:3])

    def _states(self, run: Run) -> Path:
        """A run on the validation split and one on the test set may have equal names."""
        return self.checkpoints / "validation" if run.validation else self.checkpoints

    def do(self, run: Run) -> float | None:
        """Train and record one network.

        Args:
            run: which one.

        Returns:
            None, or the seconds that are missing if it would not be finished in time.
        """
        experiment = cifar.EXPERIMENTS[run.experiment]
        data = self.images("validation" if run.validation else "test")
        how = experiment.arms[run.arm].training
        steps = (how.images or len(data.train_labels)) // how.batch_size
        states = self._states(run)
        states.mkdir(parents=True, exist_ok=True)
        try:
            cifar.run(
                self.open(run.experiment, run.validation),
                experiment,
                data,
                [run.seed],
                arms=[run.arm],
                checkpoints=states,
                weights=None if run.validation else self.weights,
                after_step=Pace(steps, how.epochs, self.deadline, self.clock),
                allow_divergence=run.validation,
            )
        except TooLongError as problem:
            return problem.seconds
        return None


@dataclass
class Outcome:
    """What a budget was spent on.

    Attributes:
        finished: the runs that are recorded now.
        too_long: the runs that did not fit into what was left, and the seconds that they lack.
        not_begun: the number of runs that are lacking and for which no time was left at all. Those
            that wait for a search to end are not counted.
        refused: the experiments whose search cannot go on, and why.
    """

    finished: list[Run] = field(default_factory=list)
    too_long: dict[Run, float] = field(default_factory=dict)
    not_begun: int = 0
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class _Plan:
    """Which runs are lacking, the most valuable first; it reads the records whenever it is asked.

    Attributes:
        job: where the records are.
        names: the experiments, the first one first.
        seeds: the seeds of each arm.
        refused: see :class:`Outcome`.
    """

    job: Job
    names: Collection[str]
    seeds: Collection[int]
    refused: dict[str, str]

    def __post_init__(self) -> None:
        # A file that holds something else is refused now, and not after hours of training.
        for name in self.names:
            for validation in (True, False):
                if not validation or cifar.is_search(cifar.EXPERIMENTS[name]):
                    self.job.open(name, validation)

    def lacking(self) -> Iterator[Run]:
        """The runs that neither the package's records nor the reader's have."""
        for name in self.names:
            experiment = cifar.EXPERIMENTS[name]
            arms: Iterable[str] = experiment.arms
            if cifar.is_search(experiment):
                found = self._known(name, validation=True)
                try:
                    wanted = cifar.next_of_search(experiment, found)
                except ValueError as problem:
                    self.refused[name] = str(problem)
                    continue
                if wanted:
                    yield from (Run(name, arm, SEARCH_SEED, validation=True) for arm in wanted)
                    continue
                arms = cifar.best_rates(experiment, found)
            known = self._known(name, validation=False)
            for seed in self.seeds:
                yield from (Run(name, arm, seed) for arm in arms if not known.has(arm, seed))

    def seconds(self, run: Run) -> float:
        """How long the longest run of such a network took on this hardware; 0 if there is none."""
        here = ledger.hardware(self.job.images("test").train_images.device)
        alike = self.alike(run)
        runs = (
            past
            for validation in (False, True)
            for past in self._own(run.experiment, validation)
            if past["arm"] in alike and past["hardware"] == here
        )
        return max((past["seconds"] for past in runs), default=0.0)

    def alike(self, run: Run) -> set[str]:
        """The arms that differ from a run's in the learning rate at most: they take as long."""
        groups = cifar.families(cifar.EXPERIMENTS[run.experiment])
        return next(set(names.values()) for names in groups if run.arm in names.values())

    def _own(self, name: str, validation: bool) -> list[dict[str, Any]]:
        path = record_file(self.job.folder, name, validation=validation)
        return ledger.read(path).runs if path.exists() else []

    def _known(self, name: str, *, validation: bool) -> ledger.Record:
        """The reader's runs, and the package's if they are of the same data and settings."""
        record = self.job.open(name, validation)
        path = record_file(ledger.RESULTS, name, validation=validation)
        if path.exists() and not ledger.difference(shipped := ledger.read(path), record):
            return ledger.merge([record, shipped])
        return record


def record_within(
    minutes: float,
    images: Callable[[str], ImageDataset],
    folder: Path,
    checkpoints: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    names: Iterable[str] | None = None,
    processes: int = 1,
    weights: Path | None = None,
    on_run: Callable[[Run], None] = lambda run: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Do the runs that neither the package's records nor those in a folder have, while time lasts.

    An experiment with several learning rates for each network is searched first, on the validation
    split; the seeds then run at the best rates. A run is not begun if one of its network took
    longer, on this hardware, than what is left. One that turns out too long stops after an epoch,
    and the next call continues it.

    Args:
        minutes: the time for everything.
        images: maps ``"test"`` and ``"validation"`` to the images, see :class:`Job`.
        folder: where the records are written, a file for each experiment.
        checkpoints: a folder for the states of unfinished runs.
        seeds: the seeds of each arm.
        names: the experiments, the first one first; None takes ``ORDER`` for the device.
        processes: how many networks are trained at a time. Above 1 each has a process of its own,
            which loads the images.
        weights: a folder for the weights of the networks that are measured on the test set.
        on_run: called before each run.
        clock: returns seconds.

    Returns:
        What was finished, and what did not fit.

    Raises:
        BrokenProcessPool: if a process ended without a word, perhaps for lack of memory.
        ValueError: if a record in the folder is of other data or settings.
    """
    job = Job(images, folder, checkpoints, weights, clock() + 60 * minutes, clock)
    if names is None:
        names = ORDER["cuda" if images("test").train_images.device.type == "cuda" else "cpu"]
    outcome = Outcome()
    plan = _Plan(job, list(names), list(seeds), outcome.refused)
    running: dict[Future[float | None], Run] = {}
    failure: Exception | None = None
    workers, do = _workers(processes, job)
    with workers:
        while True:
            while failure is None and len(running) < processes:
                run = _next(plan, set(running.values()), outcome)
                if run is None:
                    break
                on_run(run)
                running[workers.submit(do, run)] = run
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                run = running.pop(future)
                try:
                    seconds = future.result()
                except Exception as problem:  # The other processes finish what they have begun.
                    failure = failure or problem
                else:
                    if seconds is None:
                        outcome.finished.append(run)
                    else:
                        outcome.too_long[run] = seconds
    if isinstance(failure, BrokenProcessPool):
        message = (
            "a process ended without a word, perhaps for lack of memory; try fewer --processes"
        )
        raise BrokenProcessPool(message) from failure
    if failure is not None:
        raise failure
    outcome.not_begun = sum(run not in outcome.too_long for run in plan.lacking())
    return outcome


def _next(plan: _Plan, running: Collection[Run], outcome: Outcome) -> Run | None:
    """The next run that can be finished in time; those that cannot are noted in the outcome."""
    clock, deadline = plan.job.clock, plan.job.deadline
    if clock() >= deadline:
        return None
    for run in plan.lacking():
        if run in running or run in outcome.too_long:
            continue
        alike = plan.alike(run)
        needed = 0.0 if plan.job.state(run).exists() else plan.seconds(run)
        if clock() + needed > deadline or any(
            late.experiment == run.experiment and late.arm in alike for late in outcome.too_long
        ):
            outcome.too_long[run] = needed
            continue
        return run
    return None


class _Here(Executor):
    """Does each run at once, in this process."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as problem:
            future.set_exception(problem)
        return future


def _workers(processes: int, job: Job) -> tuple[Executor, Callable[[Run], float | None]]:
    """What does the runs, this process or several others, and the task to give to it."""
    if processes == 1:
        return _Here(), job.do
    threads = max(1, (os.cpu_count() or 1) // processes)
    # A process that is forked cannot use a GPU.
    return ProcessPoolExecutor(processes, get_context("spawn"), _begin, (job, threads)), _do


#: In each of several processes, its job: the images are too large to be sent with every run.
_jobs: list[Job] = []


def _begin(job: Job, threads: int) -> None:
    """Prepare a process for its runs."""
    _jobs.append(job)
    torch.set_num_threads(threads)
    keep_freed_memory()


def _do(run: Run) -> float | None:
    """Do a run of the job of this process."""
    return _jobs[0].do(run)
