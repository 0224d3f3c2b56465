"""Tables of ratios: ``python -m benchmarks [ROUNDS]``.

The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys

import torch

from . import models, norms, training


def main(rounds: int = 11) -> int:
    """Run all benchmarks and print their tables.

    Args:
        rounds: how often each arm is timed; at least 2, because a spread needs two values.

    Returns:
        The exit status: 1 if a target was missed, 0 otherwise.
    """
    torch.set_num_threads(1)  # two threads on a busy machine measure the machine
    print(f"torch {torch.__version__}, {rounds} rounds")
    missed = norms.run(rounds) + models.run(rounds) + training.run(rounds)
    if missed:
        print("Missed: " + "; ".join(missed))
        print(
            "If a noise figure is far from 1 or a spread is large, the machine was busy. "
            "Run the benchmarks again."
        )
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=11, help="2 or more")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error(f"rounds is {options.rounds}; a spread needs 2 or more")
    sys.exit(main(options.rounds))
