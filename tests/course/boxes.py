"""Run cells in the sandbox, as the user of these tests or as an ordinary one."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import nbformat

from resnorm.course.sandbox import bubblewrap
from resnorm.course.sandbox.incidents import Incident, Trace
from resnorm.course.sandbox.limits import GiB, Limits, MiB
from resnorm.course.sandbox.runner import run

LIMITS = Limits(
    memory=GiB, processes=120, disk=100 * MiB, cell_seconds=90, notebook_seconds=300, output=300_000
)
NOBODY = 65534
#: The users as whom an attack is tried. Root becomes an ordinary user, not the other way around.
USERS = ["root", "ordinary"] if os.geteuid() == 0 else ["ordinary"]
#: What an ordinary user's process does: a notebook and limits in, the notebook and the trace out.
SCRIPT = """
import dataclasses, json, sys
import nbformat
from resnorm.course.sandbox.limits import Limits
from resnorm.course.sandbox.runner import run
cells, limits = json.load(sys.stdin)
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
trace = run(notebook, limits=Limits(**limits))
json.dump([notebook, dataclasses.asdict(trace)], sys.stdout)
"""


def go(*cells, files=(), user="", **changes):
    """Run cells within limits. Return the notebook and the trace."""
    cells = [dedent(cell) for cell in cells]
    limits = Limits(**{**vars(LIMITS), **changes})
    if user == "ordinary" and os.geteuid() == 0:
        text = json.dumps([cells, vars(limits)])
        result = ordinary([sys.executable, "-P", "-c", SCRIPT], input=text)
        assert result.returncode == 0, result.stderr[-2000:]
        notebook, trace = json.loads(result.stdout)
        trace["incidents"] = [Incident(**fields) for fields in trace["incidents"]]
        return nbformat.from_dict(notebook), Trace(**trace)
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=made)
    return notebook, run(notebook, files, limits)


def ordinary(command, env=None, **options):
    """Run a command as an ordinary user; from root, as the user nobody."""
    environment = {
        "HOME": "/tmp",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(bubblewrap.PACKAGE.parent),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = {"capture_output": True, "text": True, "timeout": 300} | options
    return subprocess.run(
        [*_becoming_ordinary(), *command], env=environment | (env or {}), cwd="/tmp", **options
    )


@functools.cache
def _becoming_ordinary():
    """What stands before a command that is to run as nobody.

    Root's Python may lie in a folder that only root can enter. Such folders are replaced by ones
    that hold nothing but what the tests need.
    """
    if os.geteuid() != 0:
        return []
    python = [os.path.realpath(sys.base_prefix), sys.prefix, str(bubblewrap.PACKAGE)]
    closed = {
        folder
        for path in python
        for folder in Path(path).parents
        if folder != Path("/") and not folder.stat().st_mode & 0o001
    }
    box = [shutil.which("bwrap"), "--dev-bind", "/", "/"]
    for folder in sorted(closed):
        box += ["--perms", "0755", "--tmpfs", str(folder)]
    for path in python:
        for folder in reversed(Path(path).parents):
            if closed & {folder, *folder.parents} and folder not in closed:
                box += ["--perms", "0755", "--dir", str(folder)]
        if closed & set(Path(path).parents):
            box += ["--ro-bind", path, path]
    user = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs"]
    return [*box, "--", "setpriv", *user, "--"]


def said(notebook):
    """Text and errors of all cells."""
    parts = []
    for cell in notebook.cells:
        for output in cell.outputs:
            parts.append(output.get("text") or output.get("evalue") or str(output.get("data")))
    return "\n".join(parts)


def kinds(trace):
    """The kinds of incidents."""
    return {incident.kind for incident in trace.incidents}
