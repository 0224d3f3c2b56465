"""``python -m resnorm.experiments NAME``: run a named experiment and record it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import data, ledger
from . import segmentation


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, say where the record is. 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m resnorm.experiments",
        description="Run a named experiment and record it as JSON. A run that the record has is not run again, "
        "so that a command that was stopped can be given once more.",
    )
    parser.add_argument("name", choices=["segmentation"], help="segmentation: U-Net on electron-microscopy slices")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with image/N.png and label/N.png")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], metavar="N", help="default: 0 1 2 3 4")
    parser.add_argument("--out", metavar="FILE", help="default: NAME.json among the package's results")
    options = parser.parse_args(arguments)
    out = Path(options.out or ledger.RESULTS / f"{options.name}.json")
    try:
        slices = data.microscopy(options.data)
        command = f"python -m resnorm.experiments {options.name} --data DIR --seeds {' '.join(map(str, options.seeds))}"
        record = ledger.open_record(out, options.name, command, slices.source, segmentation.configuration())
        segmentation.run(record, slices, options.seeds)
    except (FileNotFoundError, ValueError) as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    for run in record.runs:
        print(f"{run['arm']}, seed {run['seed']}: {run['results']}")
    print(f"Recorded in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
