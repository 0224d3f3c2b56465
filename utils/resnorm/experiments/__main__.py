"""``python -m resnorm.experiments NAME``: run a named experiment and record it."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from .. import data, ledger
from ..train import DivergedError, keep_freed_memory
from . import cifar, microscopy
from .budget import RECORD_SEEDS, record_within
from .choice import choose
from .command_line import GENERATED, make_parser, refuse_unused
from .images import Images
from .naming import command, record_file, state_folder

SEEDS = (0, 1, 2, 3, 4)


def main(arguments: list[str] | None = None) -> int:
    """Run the command: train what the record lacks, or merge records, and print the results.

    Args:
        arguments: the words of the command line; None takes those of the process.

    Returns:
        The exit status: 0, 1 for a run that failed, 2 for wrong input, or 130 if it was stopped.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    refuse_unused(parser, options)
    keep_freed_memory()
    folder = options.runs or ledger.own_folder()
    out = options.out or record_file(folder, options.name, validation=options.validation)
    try:
        if options.merge:
            record = merge(options, out)
        elif options.name == "record":
            return run_record(options, folder, parser.prog)
        elif options.name == "segmentation":
            record = run_segmentation(options, out)
        elif options.name in GENERATED:
            record = run_generated(options, out)
        else:
            record = run_cifar(options, out)
    except (OSError, ValueError, ModuleNotFoundError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped. The same command does the rest", file=sys.stderr)
        return 130  # as a shell reports it
    except (DivergedError, torch.OutOfMemoryError, BrokenProcessPool) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        where = folder if options.name == "record" else out
        print(
            f"The finished runs are recorded in {where}. The same command resumes after them.",
            file=sys.stderr,
        )
        return 1
    print_results(record)
    print(f"Recorded in {out}")
    return 0


def checkpoint_folder(options: argparse.Namespace, folder: Path) -> Path:
    """Name the folder for the states of unfinished runs, and make it.

    Args:
        options: the command line.
        folder: the folder of the record, in which it is by default.

    Returns:
        The folder. That it can be made is tried before the training, not after an epoch.
    """
    states = state_folder(
        options.checkpoints or folder / "checkpoints", validation=options.validation
    )
    states.mkdir(parents=True, exist_ok=True)
    return states


def run_record(options: argparse.Namespace, folder: Path, program: str) -> int:
    """Record what is lacking, within a number of minutes.

    Args:
        options: the command line.
        folder: the folder of the reader's records.
        program: what messages begin with.

    Returns:
        The exit status: 0; 1 if a run failed, if a search needs more learning rates, or if
        something is lacking and no run could be finished.
    """
    if options.only is not None:
        for name in options.only:
            choose("experiment on CIFAR-10", name, cifar.EXPERIMENTS)
    data.cifar10(options.data, download=options.download)  # once, for all processes
    outcome = record_within(
        options.budget,
        Images(options.data, device(options)),
        folder,
        checkpoint_folder(options, folder),
        options.seeds or RECORD_SEEDS,
        names=options.only,
        processes=options.processes or 1,
        weights=options.weights,
        on_run=lambda run: print(run, flush=True),
    )
    for run, seconds in outcome.too_long.items():
        print(f"{run}: not finished, about {seconds / 60:.1f} minutes are missing")
    for what, reason in (outcome.failed | outcome.refused).items():
        print(f"{program}: {what}: {reason}", file=sys.stderr)
    lacking = len(outcome.too_long) + outcome.not_begun
    if lacking and not outcome.finished:
        print(
            f"{program}: no run could be finished in {options.budget:g} minutes. Give a larger "
            "--budget; the runs that were begun are continued",
            file=sys.stderr,
        )
        return 1
    left = f"at least {lacking} more are lacking" if lacking else "nothing else can be done"
    if not (lacking or outcome.failed or outcome.refused):
        left = "nothing is lacking"
    print(f"{len(outcome.finished)} runs recorded in {folder}; {left}")
    return 1 if outcome.failed or outcome.refused else 0


def run_cifar(options: argparse.Namespace, out: Path) -> ledger.Record:
    """Run an experiment on CIFAR-10.

    Args:
        options: the command line.
        out: the file of the record.

    Returns:
        The record with all of its runs.
    """
    experiment = cifar.EXPERIMENTS[options.name]
    images = data.cifar10(options.data, download=options.download)
    chosen = images.split("validation" if options.validation else "test").to(device(options))
    tuned = None if options.tuned is None else options.tuned.name
    how = command(options.name, validation=options.validation, tuned=tuned)
    record = ledger.open_record(out, options.name, how, chosen.source, experiment.configuration())
    states = checkpoint_folder(options, out.parent)
    arms = options.arms
    if options.tuned is not None:
        arms = cifar.best_rates(experiment, ledger.read(options.tuned))
    cifar.run(
        record,
        experiment,
        chosen,
        options.seeds or SEEDS,
        arms=arms,
        checkpoints=states,
        weights=options.weights,
        progress=sys.stderr.isatty(),
        allow_divergence=options.validation,
    )
    return record


def run_segmentation(options: argparse.Namespace, out: Path) -> ledger.Record:
    """Run the experiment on electron-microscopy slices.

    Args:
        options: the command line.
        out: the file of the record.

    Returns:
        The record with all of its runs.
    """
    names = options.arms or microscopy.ARMS
    arms = {name: choose("arm", name, microscopy.ARMS) for name in names}
    slices = data.microscopy(options.data)
    record = ledger.open_record(
        out, options.name, command(options.name), slices.source, microscopy.configuration()
    )
    microscopy.run(record, slices, options.seeds or SEEDS, arms=arms, device=device(options))
    return record


def run_generated(options: argparse.Namespace, out: Path) -> ledger.Record:
    """Run an experiment on generated images.

    Args:
        options: the command line.
        out: the file of the record.

    Returns:
        The record with all of its runs.
    """
    experiment = GENERATED[options.name]
    names = options.arms or experiment.ARMS
    arms = {name: choose("arm", name, experiment.ARMS) for name in names}
    images = experiment.page_data().to(device(options))
    how = command(options.name, data=False)
    record = ledger.open_record(out, options.name, how, images.source, experiment.configuration())
    experiment.run(record, images, options.seeds or SEEDS, arms)
    return record


def device(options: argparse.Namespace) -> torch.device:
    """Choose what to train on.

    Args:
        options: the command line.
    """
    return options.device or torch.device("cuda" if torch.cuda.is_available() else "cpu")


def merge(options: argparse.Namespace, out: Path) -> ledger.Record:
    """Join records of one experiment into one file.

    Args:
        options: the command line; ``options.merge`` names the files.
        out: the file of the joint record.

    Returns:
        The joint record.

    Raises:
        ValueError: if the records are of another experiment, or of different ones, or if the file
            exists and is not one of them.
    """
    if out.exists() and not any(path.exists() and out.samefile(path) for path in options.merge):
        raise ValueError(
            f"{out} exists and would be overwritten. Name it after --merge, too, or choose "
            "another file by --out"
        )
    merged = ledger.merge([ledger.read(path) for path in options.merge])
    if merged.name != options.name:
        raise ValueError(f"these are records of {merged.name!r}, not of {options.name!r}")
    ledger.write(merged, out)
    return ledger.read(out)


def print_results(record: ledger.Record) -> None:
    """Print one line per run, with every result that is a number.

    Args:
        record: the record.
    """
    for run in record.runs:
        shown = {
            key: value for key, value in run["results"].items() if isinstance(value, (int, float))
        }
        print(f"{run['arm']}, seed {run['seed']}: {shown}")


if __name__ == "__main__":
    sys.exit(main())
