"""``python -m resnorm.experiments NAME``: run a named experiment and record it."""

from __future__ import annotations

import argparse
import sys
import textwrap
from functools import partial
from pathlib import Path

import torch

from .. import data, ledger
from ..train import DivergedError, keep_freed_memory
from . import cifar, microscopy


def main(arguments: list[str] | None = None) -> int:
    """Run the command: train what the record lacks, or merge records, and print the results.

    Args:
        arguments: the words of the command line; None takes those of the process.

    Returns:
        The exit status: 0, 1 for a run that failed, or 2 for wrong input.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not options.merge and options.data is None:
        parser.error("--data DIR is needed to run an experiment (--merge needs none)")
    keep_freed_memory()
    out = Path(options.out or ledger.RESULTS / f"{options.name}.json")
    try:
        if options.merge:
            record = merge(options, out)
        elif options.name == "segmentation":
            record = run_segmentation(options, out)
        else:
            record = run_cifar(options, out)
    except (FileNotFoundError, ValueError, ConnectionError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    except (DivergedError, torch.OutOfMemoryError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        print(
            f"The finished runs are recorded in {out}. The same command resumes after them.",
            file=sys.stderr,
        )
        return 1
    print_results(record)
    print(f"Recorded in {out}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, whose help lists the experiments."""
    described = {"segmentation": "U-Net on electron-microscopy slices, with and without skips"}
    described |= {
        name: f"{experiment.question} ({experiment.scale})"
        for name, experiment in cifar.EXPERIMENTS.items()
    }
    fill = partial(textwrap.fill, width=96, initial_indent=" " * 6, subsequent_indent=" " * 6)
    experiments = "\n".join(f"  {name}\n{fill(text)}" for name, text in described.items())
    parser = argparse.ArgumentParser(
        prog="python -m resnorm.experiments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Run a named experiment and record it as JSON. A run that the record has is not\n"
            "repeated, so a command that was stopped can be given again."
        ),
        epilog=f"experiments:\n{experiments}",
    )
    parser.add_argument(
        "name", choices=list(described), metavar="NAME", help="one of the experiments below"
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help=(
            "CIFAR-10: the archive, or train/<class>/*.png; "
            "segmentation: image/N.png and label/N.png"
        ),
    )
    parser.add_argument(
        "--download", action="store_true", help="download CIFAR-10 into DIR if it is not there"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        metavar="N",
        help="default: 0 1 2 3 4",
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="run only these; default: all")
    parser.add_argument(
        "--validation",
        action="store_true",
        help=(
            "hold 500 images per class out of the training set and measure on them; "
            "use it to choose settings"
        ),
    )
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="default: a GPU if there is one",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="DIR",
        help="keep the state of unfinished runs here, and resume from it",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="default: NAME.json among the package's results"
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        metavar="FILE",
        help="join these records, of other seeds or machines, into the file of --out",
    )
    return parser


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
    chosen = images.split("validation" if options.validation else "test").to(options.device)
    record = ledger.open_record(
        out, options.name, command(options), chosen.source, experiment.configuration()
    )
    cifar.run(
        record,
        experiment,
        chosen,
        options.seeds,
        arms=options.arms,
        checkpoints=options.checkpoints,
        progress=sys.stderr.isatty(),
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
    slices = data.microscopy(options.data)
    record = ledger.open_record(
        out, options.name, command(options), slices.source, microscopy.configuration()
    )
    microscopy.run(record, slices, options.seeds)
    return record


def merge(options: argparse.Namespace, out: Path) -> ledger.Record:
    """Join records of one experiment into one file.

    Args:
        options: the command line; ``options.merge`` names the files.
        out: the file of the joint record.

    Returns:
        The joint record.

    Raises:
        ValueError: if the records are of another experiment, or of different ones.
    """
    merged = ledger.merge([ledger.read(path) for path in options.merge])
    if merged.name != options.name:
        raise ValueError(f"these are records of {merged.name!r}, not of {options.name!r}")
    ledger.write(merged, out)
    return ledger.read(out)


def command(options: argparse.Namespace) -> str:
    """Write the command for the record.

    Paths of one machine are left out, and so are seeds and arms, which each run states itself.

    Args:
        options: the command line.

    Returns:
        The command.
    """
    validation = " --validation" if options.validation else ""
    return f"python -m resnorm.experiments {options.name} --data DIR{validation}"


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
