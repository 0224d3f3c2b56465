"""Execute notebooks, store their outputs, and copy the setup cell into them.

``python tools/notebooks.py execute [PATH ...]`` runs each notebook from the top and writes it back
with its outputs; without a path, all of them, several at a time. ``python tools/notebooks.py tidy
[PATH ...]`` only rewrites metadata and the identifiers of cells. ``python tools/notebooks.py
setup`` copies ``tools/bootstrap_cell.py.txt`` into every notebook and the sources of the
assignments, and leaves all else as it is; no output depends on that cell. ``tools/release.py`` and
``tools/colab.py`` carry it on.
"""

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError

import executed
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
#: The only metadata that a notebook keeps: nothing that changes with the machine.
METADATA = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
CELL_METADATA = {"tags", "jupyter", "mystnb", "nbgrader", "cellView", "deletable", "editable"}


def all_notebooks() -> list[Path]:
    """Every notebook of the course, assignments aside, in reading order."""
    return sorted(
        path
        for path in (ROOT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts and "assignments" not in path.parts
    )


def normalize(notebook: nbformat.NotebookNode) -> None:
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
    temporary = path.with_suffix(f".ipynb.{os.getpid()}.part")
    nbformat.validate(notebook)
    temporary.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def longest_first(paths: list[Path]) -> list[Path]:
    """Notebooks in the order in which to execute them, so that no long one is left for the end.

    The size of a file stands for its time: figures, of which a long chapter has many, fill both.
    """
    return sorted(paths, key=lambda path: -path.stat().st_size)


def execute(path: Path) -> None:
    """Run ``path`` as its reader would, at page scale, and store what it puts out.

    Raises:
        ValueError: a cell failed; the file is as it was.
    """
    start = time.perf_counter()
    try:
        notebook = executed.execute(path)
    except CellExecutionError as error:
        raise ValueError(f"{path}: a cell failed; nothing was stored.\n{error}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = executed.without_frames(cell.outputs)
    normalize(notebook)
    write(notebook, path)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    print(f"{shown}: {time.perf_counter() - start:.0f} s", flush=True)


def tidy(path: Path) -> None:
    """Rewrite ``path`` with the metadata that a notebook keeps, and identifiers from its cells."""
    notebook = nbformat.read(path, as_version=4)
    normalize(notebook)
    write(notebook, path)


def copy_setup(path: Path) -> None:
    """Make the first code cell of the notebook at ``path`` a copy of the setup cell.

    Raises:
        ValueError: the notebook does not begin with a setup cell.
    """
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if not cell.source.startswith("# Setup."):
        raise ValueError(f"{path}: the first code cell is no setup cell")
    setup = (ROOT / "tools" / "bootstrap_cell.py.txt").read_text("utf-8").rstrip("\n")
    if cell.source != setup:
        cell.source = setup
        write(notebook, path)


def main(arguments: list[str]) -> None:
    """Execute or tidy the notebooks that are named, or all of them."""
    parser = command_line(__doc__)
    parser.add_argument("action", choices=("execute", "tidy", "setup"))
    parser.add_argument("path", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.path] or all_notebooks()
    for path in paths:
        if not path.is_file():
            sys.exit(f"{path} is no file; give the path of a notebook, or none for all of them")
    if options.action == "setup":
        assignments = (ROOT / "notebooks" / "assignments" / "source").rglob("*.ipynb")
        for path in paths if options.path else [*paths, *sorted(assignments)]:
            copy_setup(path)
        return
    if options.action == "tidy":
        for path in paths:
            tidy(path)
        return
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        running = [pool.submit(execute, path) for path in longest_first(paths)]
    failures = [str(problem) for each in running if (problem := each.exception())]
    if failures:
        sys.exit("\n\n".join(failures))


if __name__ == "__main__":
    main(sys.argv[1:])
