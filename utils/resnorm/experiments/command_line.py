"""The command line of ``python -m resnorm.experiments``: what it reads, and what it refuses."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import torch

from . import (
    cifar,
    generated_blocks,
    generated_border,
    generated_boxes,
    generated_branches,
    generated_cells,
    generated_chains,
    generated_depth,
    generated_equal_cost,
    generated_fine_tuning,
    generated_lesions,
    generated_masks,
    generated_skips,
    generated_votes,
)

#: Experiments on generated images, which need no data.
GENERATED: Mapping[str, ModuleType] = {
    "branches-generated": generated_branches,
    "lesions-generated": generated_lesions,
    "cells-generated": generated_cells,
    "skips-generated": generated_skips,
    "votes-generated": generated_votes,
    "border-generated": generated_border,
    "chains-generated": generated_chains,
    "equal-cost-generated": generated_equal_cost,
    "degradation-generated": generated_depth,
    "masks-generated": generated_masks,
    "blocks-generated": generated_blocks,
    "boxes-generated": generated_boxes,
    "fine-tuning-generated": generated_fine_tuning,
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, whose help lists the experiments."""
    described = {"segmentation": "U-Net on electron-microscopy slices, with and without skips"}
    described |= {
        name: f"{experiment.question} ({experiment.scale})"
        for name, experiment in cifar.EXPERIMENTS.items()
    }
    described |= {
        name: f"{experiment.QUESTION} ({experiment.TIME})" for name, experiment in GENERATED.items()
    }
    described["record"] = "What no record has yet, the most valuable runs first, within --budget"
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
        type=a_path,
        metavar="DIR",
        help=(
            "CIFAR-10: the archive, or train/<class>/*.png; "
            "segmentation: image/N.png and label/N.png; those on generated images need none"
        ),
    )
    parser.add_argument(
        "--download", action="store_true", help="download CIFAR-10 into DIR if it is not there"
    )
    parser.add_argument(
        "--seeds", type=a_seed, nargs="+", metavar="N", help="default: 0 1 2 3 4; record: 0 1 2"
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="run only these; default: all")
    parser.add_argument(
        "--validation",
        action="store_true",
        help=(
            "CIFAR-10: hold 500 images per class out of the training set and measure on them; "
            "use it to choose settings"
        ),
    )
    parser.add_argument(
        "--tuned",
        type=a_path,
        metavar="FILE",
        help=(
            "CIFAR-10: of arms that differ only in the learning rate, run the one that did best "
            "in this record of the validation split"
        ),
    )
    parser.add_argument("--device", type=a_device, help="default: a GPU if there is one")
    parser.add_argument(
        "--budget",
        type=minutes,
        metavar="MINUTES",
        help="record: begin no run that would not be finished by then",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="record: these experiments, the first one first; default: a list for the device",
    )
    parser.add_argument(
        "--processes",
        type=a_number_of_processes,
        metavar="N",
        help=(
            "record: train N networks at a time, each in a process that loads the images; "
            "default: 1. Small networks keep a large GPU busy when there are about ten"
        ),
    )
    parser.add_argument(
        "--runs",
        type=a_path,
        metavar="DIR",
        help=(
            "the folder of your records and of the states of unfinished runs, for example on a "
            "mounted drive; default: the variable RESNORM_RUNS, else resnorm-runs here"
        ),
    )
    parser.add_argument(
        "--checkpoints",
        type=a_path,
        metavar="DIR",
        help=(
            "CIFAR-10: keep the state of unfinished runs here, and resume from it; "
            "default: checkpoints in the folder of the record"
        ),
    )
    parser.add_argument(
        "--weights",
        type=a_path,
        metavar="DIR",
        help=(
            "CIFAR-10: keep the weights of each trained network here, in half precision; "
            "resnorm.experiments.cifar.trained loads them"
        ),
    )
    parser.add_argument(
        "--out",
        type=a_path,
        metavar="FILE",
        help="the record; default: NAME.json, or NAME.validation.json, in the folder of --runs",
    )
    parser.add_argument(
        "--merge",
        type=a_path,
        nargs="+",
        metavar="FILE",
        help=(
            "join these records, of other seeds or machines, into the file of --out; "
            "of two runs with the same arm and seed the first is kept"
        ),
    )
    return parser


def a_path(text: str) -> Path:
    """Read a path. An empty one, such as a variable that is not set, would mean this folder.

    Args:
        text: the word of the command line.

    Raises:
        argparse.ArgumentTypeError: if it is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text).expanduser()


def a_seed(text: str) -> int:
    """Read a seed.

    Args:
        text: the word of the command line.

    Raises:
        argparse.ArgumentTypeError: if it is not a number that torch takes as a seed.
    """
    if not (text.isdecimal() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"a seed is {text!r}; it must be a number from 0 to 2^63")
    return int(text)


def a_number_of_processes(text: str) -> int:
    """Read a number of processes.

    Args:
        text: the word of the command line.

    Raises:
        argparse.ArgumentTypeError: if it is not a whole number above 0.
    """
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes, such as 4")
    return int(text)


def minutes(text: str) -> float:
    """Read a number of minutes.

    Args:
        text: the word of the command line.

    Raises:
        argparse.ArgumentTypeError: if it is not a finite number above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0, such as 10")
    return value


def a_device(text: str) -> torch.device:
    """Read a device, and try it.

    Args:
        text: the word of the command line.

    Raises:
        argparse.ArgumentTypeError: if this machine, or this build of torch, has no such device.
    """
    try:
        device = torch.device(text)
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        reason = str(problem).splitlines()[0]
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used: {reason}") from None
    return device


def refuse_unused(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with an error if an option is given that the command would not read, or one is missing.

    Args:
        parser: reports the error.
        options: the command line.
    """
    job, read = options.name, {"data", "seeds", "device", "runs"}
    if options.merge:
        job, read = "--merge", {"merge", "out", "runs"}
    elif options.name == "record":
        read |= {"budget", "download", "checkpoints", "weights", "only", "processes"}
    elif options.name == "segmentation":
        read |= {"arms", "out"}
    elif options.name in GENERATED:
        read = {"seeds", "device", "runs", "arms", "out"}
    else:
        read |= {"arms", "out", "download", "validation", "tuned", "checkpoints", "weights"}
    given = {key for key, value in vars(options).items() if value not in (None, False)} - {"name"}
    if unused := given - read:
        flags, allowed = (
            ", ".join(f"--{key}" for key in sorted(keys)) for keys in (unused, read - {"merge"})
        )
        parser.error(f"{job} does not use {flags}; leave it out (it uses {allowed})")
    if options.out is not None and options.runs is not None:
        parser.error("--out names the record itself; leave --runs out, or --out")
    if "budget" in read and options.budget is None:
        parser.error("record needs --budget MINUTES: how long it may run")
    if options.tuned and (options.arms or options.validation):
        parser.error(
            "--tuned chooses the arms, and for the test set; leave out the other of the two"
        )
    if "data" in read and options.data is None:
        parser.error("--data DIR is needed to run an experiment (--merge needs none)")
