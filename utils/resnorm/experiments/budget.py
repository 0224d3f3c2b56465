"""Recording what the ledger lacks within a number of minutes, the most valuable runs first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from .. import ledger
from ..data import ImageDataset
from . import cifar

#: What to record first: experiments whose runs are short come before others.
ORDER = {
    "cuda": (
        "time-to-94",
        "fast-recipe",
        "fast-recipe-long",
        "resnet-on-cifar",
        "lesion-short",
        "face-off-short",
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


@dataclass
class Outcome:
    """What a budget was spent on. A run is named by its experiment, arm and seed.

    Attributes:
        finished: the runs that are recorded now.
        too_long: the runs that did not fit into what was left, and the seconds that they lack.
        not_begun: the number of runs that are lacking and for which no time was left at all.
    """

    finished: list[tuple[str, str, int]] = field(default_factory=list)
    too_long: dict[tuple[str, str, int], float] = field(default_factory=dict)
    not_begun: int = 0


def record_within(
    minutes: float,
    data: ImageDataset,
    folder: Path,
    checkpoints: Path,
    seeds: Iterable[int] = (0, 1, 2),
    *,
    names: Iterable[str] | None = None,
    on_run: Callable[[str, str, int], None] = lambda name, arm, seed: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Do the runs that neither the package's records nor those in a folder have, while time lasts.

    A run is not begun if one of its arm took longer, on this hardware, than what is left. One that
    turns out too long stops after an epoch, and the next call continues it.

    Args:
        minutes: the time for everything, the loading of the data excepted.
        data: the images, split into training and test set, on the device to train on.
        folder: where the records are written, a file for each experiment.
        checkpoints: a folder for the states of unfinished runs.
        seeds: the seeds of each arm.
        names: the experiments, the first one first; None takes ``ORDER`` for the device.
        on_run: called before each run.
        clock: returns seconds.

    Returns:
        What was finished, and what did not fit.

    Raises:
        ValueError: if a record in the folder is of other data or settings.
    """
    deadline = clock() + 60 * minutes
    kind = "cuda" if data.train_images.device.type == "cuda" else "cpu"
    outcome = Outcome()
    too_long: set[tuple[str, str]] = set()
    for name in ORDER[kind] if names is None else names:
        experiment = cifar.EXPERIMENTS[name]
        command = f"python -m resnorm.experiments {name} --data DIR"
        configuration = experiment.configuration()
        record = ledger.open_record(
            folder / f"{name}.json", name, command, data.source, configuration
        )
        for arm, seed in _lacking(record, experiment, seeds):
            if clock() >= deadline:
                outcome.not_begun += 1
                continue
            state = cifar.run_file(checkpoints, name, arm, seed)
            needed = 0.0 if state.exists() else _seconds(record, arm, data)
            if (name, arm) in too_long or clock() + needed > deadline:
                outcome.too_long.setdefault((name, arm, seed), needed)
                continue
            how = experiment.arms[arm].training
            steps = len(data.train_labels) // how.batch_size
            on_run(name, arm, seed)
            try:
                cifar.run(
                    record,
                    experiment,
                    data,
                    [seed],
                    arms=[arm],
                    checkpoints=checkpoints,
                    after_step=Pace(steps, how.epochs, deadline, clock),
                )
            except TooLongError as problem:
                outcome.too_long[name, arm, seed] = problem.seconds
                too_long.add((name, arm))
            else:
                outcome.finished.append((name, arm, seed))
    return outcome


def _lacking(
    record: ledger.Record, experiment: cifar.Experiment, seeds: Iterable[int]
) -> Iterator[tuple[str, int]]:
    """The arms and seeds that neither this record nor the package's has: seed by seed."""
    shipped = None
    if (path := ledger.RESULTS / f"{record.name}.json").exists():
        found = ledger.read(path)
        shipped = None if ledger.difference(found, record) else found
    for seed in seeds:
        for arm in experiment.arms:
            if not (record.has(arm, seed) or shipped and shipped.has(arm, seed)):
                yield arm, seed


def _seconds(record: ledger.Record, arm: str, data: ImageDataset) -> float:
    """How long the longest run of this arm took on this hardware; 0 if there is none."""
    here = ledger.hardware(data.train_images.device)
    runs = (run for run in record.runs if run["arm"] == arm and run["hardware"] == here)
    return max((run["seconds"] for run in runs), default=0.0)
