"""Execute notebooks, store their outputs.

``python tools/notebooks.py execute [PATH ...]`` runs each notebook from the top and writes it back
with its outputs; without a path, all of them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
#: The only metadata that a notebook keeps: nothing that changes with the machine.
METADATA = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
#: Seconds after which a cell is taken to hang.
TIMEOUT = 600
CELL_METADATA = {"tags", "jupyter", "mystnb", "nbgrader", "cellView", "deletable", "editable"}


def all_notebooks() -> list[Path]:
    """Every notebook of the course, assignments aside, in reading order."""
    return sorted(
        path
        for path in (ROOT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts and "assignments" not in path.parts
    )


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Drop what differs from run to run: times, widget state, random cell ids."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in CELL_METADATA}
        )
        identifier = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        while identifier in seen:  # equal cells: number them by hashing on
            identifier = hashlib.sha256(identifier.encode()).hexdigest()[:8]
        seen.add(identifier)
        cell.id = identifier
        if "solution" in cell.metadata.get("tags", []):  # folded in JupyterLab and Colab, too
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["cellView"] = "form"


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write to a temporary name, then rename: an interruption leaves the old file whole."""
    temporary = path.with_suffix(".ipynb.part")
    nbformat.validate(notebook)
    temporary.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def execute(path: Path) -> None:
    """Run ``path`` as its reader would, at page scale, and store what it prints."""
    notebook = nbformat.read(path, as_version=4)
    os.environ |= {"RESNORM_FIGURES": "stored", "RESNORM_SCALE": "page"}
    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(f"{path}: a cell failed; nothing was stored.\n{error}")
    normalise(notebook)
    write(notebook, path)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    print(f"{shown}: {time.perf_counter() - start:.0f} s", flush=True)


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] != "execute":
        sys.exit(__doc__)
    paths = [Path(name).resolve() for name in arguments[1:]] or all_notebooks()
    for path in paths:
        if not path.is_file():
            sys.exit(f"{path} is no file; give the path of a notebook, or none for all of them")
        execute(path)


if __name__ == "__main__":
    main(sys.argv[1:])
