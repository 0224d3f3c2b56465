"""Recorded runs: what was run, on what, and what came out. They are never edited by hand.

A record is one JSON file with the finished runs of one experiment. ``record`` holds, reads and
writes it, one process at a time (``lock``), ``files`` opens and merges records, ``stamp`` says on
what a run was made, and ``table`` summarizes a record over its seeds.
"""

from .files import merge, open_record, own, own_folder, recorded
from .lock import claimed
from .record import RECORD_FIELDS, RUN_FIELDS, Record, difference, read, write
from .stamp import RESULTS, commit, hardware, versions
from .table import Line, leaderboard, summary

__all__ = [
    "Line",
    "RECORD_FIELDS",
    "RESULTS",
    "RUN_FIELDS",
    "Record",
    "claimed",
    "commit",
    "difference",
    "hardware",
    "leaderboard",
    "merge",
    "open_record",
    "own",
    "own_folder",
    "read",
    "recorded",
    "summary",
    "versions",
    "write",
]
