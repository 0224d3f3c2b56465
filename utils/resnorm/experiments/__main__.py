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
from . import cifar, segmentation


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, say where the record is. 2 for bad input, 1 for a run that failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    keep_freed_memory()
    out = Path(options.out or ledger.RESULTS / f"{options.name}.json")
    try:
        if options.merge:
            record = _merge(options, out)
        elif options.data is None:
            parser.error("--data DIR is needed to run an experiment (--merge needs none)")
        elif options.name == "segmentation":
            slices = data.microscopy(options.data)
            record = ledger.open_record(
                out, options.name, _command(options), slices.source, segmentation.configuration()
            )
            segmentation.run(record, slices, options.seeds)
        else:
            record = _cifar(options, out)
    except (FileNotFoundError, ValueError, ConnectionError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    except (DivergedError, torch.OutOfMemoryError) as problem:
        print(
            f"{parser.prog}: {problem}\nThe runs before are recorded in {out}; the same command goes on after them.",
            file=sys.stderr,
        )
        return 1
    for run in record.runs:
        shown = {
            key: value for key, value in run["results"].items() if isinstance(value, (int, float))
        }
        print(f"{run['arm']}, seed {run['seed']}: {shown}")
    print(f"Recorded in {out}")
    return 0


def _parser() -> argparse.ArgumentParser:
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
        description="Run a named experiment and record it as JSON. A run that the record has is not run again,\n"
        "so that a command that was stopped can be given once more.",
        epilog=f"experiments:\n{experiments}",
    )
    parser.add_argument(
        "name", choices=list(described), metavar="NAME", help="one of the experiments below"
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="CIFAR-10: the archive, or train/<class>/*.png; segmentation: image/N.png, label/N.png",
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch CIFAR-10 into DIR if it is not there"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3, 4],
        metavar="N",
        help="default: 0 1 2 3 4",
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these; default: all")
    parser.add_argument(
        "--validation",
        action="store_true",
        help="hold 500 images a class out of the training set and measure on them: for choices",
    )
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="default: a GPU if there is one",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="DIR",
        help="keep the state of unfinished runs here, and go on from it",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="default: NAME.json among the package's results"
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        metavar="FILE",
        help="join these records, of other seeds or machines, into FILE of --out",
    )
    return parser


def _command(options: argparse.Namespace) -> str:
    """What was typed, without the paths of one machine and without what the runs say themselves (seeds, arms)."""
    return f"python -m resnorm.experiments {options.name} --data DIR" + (
        " --validation" if options.validation else ""
    )


def _cifar(options: argparse.Namespace, out: Path) -> ledger.Record:
    experiment = cifar.EXPERIMENTS[options.name]
    images = data.cifar10(options.data, download=options.download)
    split = images.split("validation" if options.validation else "test").to(options.device)
    record = ledger.open_record(
        out, options.name, _command(options), split.source, experiment.configuration()
    )
    cifar.run(
        record,
        experiment,
        split,
        options.seeds,
        arms=options.arms,
        checkpoints=options.checkpoints,
        progress=sys.stderr.isatty(),
    )
    return record


def _merge(options: argparse.Namespace, out: Path) -> ledger.Record:
    merged = ledger.merge([ledger.read(path) for path in options.merge])
    if merged.name != options.name:
        raise ValueError(f"these are records of {merged.name!r}, not of {options.name!r}")
    ledger.write(merged, out)
    return ledger.read(out)


if __name__ == "__main__":
    sys.exit(main())
