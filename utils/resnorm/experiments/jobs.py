"""One run of many: which network it trains, on which images, and where its files are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from .. import ledger
from ..data import ImageDataset
from . import cifar
from .naming import command, record_file, state_folder
from .pace import Pace, TooLongError

Split = Literal["test", "validation"]


class Run(NamedTuple):
    """One network to train.

    Attributes:
        experiment: the name of the experiment.
        arm: the name of the arm.
        seed: the seed.
        split: what it is measured on; a search for learning rates uses the validation split.
    """

    experiment: str
    arm: str
    seed: int
    split: Split = "test"

    def __str__(self) -> str:
        where = ", validation split" if self.split == "validation" else ""
        return f"{self.experiment}: {self.arm}, seed {self.seed}{where}"


@dataclass(frozen=True)
class Job:
    """Where the runs of one call get their images from, and where they leave what they make.

    Attributes:
        images: maps a split to its images, on the device to train on. It is called often. Each
            further process gets a copy, made by pickling.
        folder: the records, a file for each experiment.
        checkpoints: the states of unfinished runs.
        weights: the weights of networks that are measured on the test set; None keeps none.
        processes: how many networks are trained at a time.
        deadline: when everything must be finished, on the clock.
        clock: returns seconds; other processes must read the same time from theirs.
    """

    images: Callable[[Split], ImageDataset]
    folder: Path
    checkpoints: Path
    weights: Path | None
    processes: int
    deadline: float
    clock: Callable[[], float] = time.monotonic

    def file(self, name: str, split: Split) -> Path:
        """Name the file of a record.

        Args:
            name: the name of the experiment.
            split: what its runs are measured on.
        """
        return record_file(self.folder, name, validation=split == "validation")

    def open(self, name: str, split: Split) -> ledger.Record:
        """Open a record, a new one if there is no file.

        Args:
            name: the name of the experiment.
            split: what its runs are measured on.
        """
        experiment = cifar.EXPERIMENTS[name]
        tuned = split == "test" and cifar.is_search(experiment)
        how = command(
            name,
            validation=split == "validation",
            tuned=self.file(name, "validation").name if tuned else None,
        )
        source = self.images(split).source
        return ledger.open_record(
            self.file(name, split), name, how, source, experiment.configuration()
        )

    def state(self, run: Run) -> Path:
        """Name the file with the state of a run, as long as it is unfinished.

        Args:
            run: which run.
        """
        folder = state_folder(self.checkpoints, validation=run.split == "validation")
        return cifar.run_file(folder, run.experiment, run.arm, run.seed)

    def do(self, run: Run) -> float | None:
        """Train and record one network.

        Args:
            run: which one.

        Returns:
            None, or the seconds that are missing if it would not be finished in time.
        """
        experiment = cifar.EXPERIMENTS[run.experiment]
        data = self.images(run.split)
        how = experiment.arms[run.arm].training
        steps = (how.images or len(data.train_labels)) // how.batch_size
        states = self.state(run).parent
        states.mkdir(parents=True, exist_ok=True)
        try:
            cifar.run(
                self.open(run.experiment, run.split),
                experiment,
                data,
                [run.seed],
                arms=[run.arm],
                checkpoints=states,
                weights=self.weights if run.split == "test" else None,
                after_step=Pace(steps, how.epochs, self.deadline, self.clock),
                allow_divergence=run.split == "validation",
                at_a_time=self.processes,
            )
        except TooLongError as problem:
            return problem.seconds
        return None
