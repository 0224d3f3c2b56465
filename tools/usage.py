"""The tools' command lines. Standard library only, for Python 3.6 as well: see setup_venv.py."""

import argparse


def command_line(description):
    """A parser that shows the text at the top of a tool for ``--help``, and refuses what it lacks.

    Args:
        description: the tool's ``__doc__``.
    """
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
