"""Executed chapters in ``_build/executed``, which strict nbval, book and ``make notebooks`` share.

``python tools/executed.py COMMAND [ARGUMENT ...]`` gives a command their settings.

A chapter is executed by whoever needs it first. The others take its outputs from here, as long as
its code, the package, the pinned versions and the settings are the same: a fingerprint holds them.
"""

import argparse
import contextlib
import copy
import hashlib
import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
EXECUTED = ROOT / "_build" / "executed"
#: Seconds after which a cell is taken to hang.
TIMEOUT = 600
#: How a chapter is executed: with figures in the form of the page and experiments at page scale, by
#: one thread, and in the arithmetic that every x86 processor since 2013 has. A wider vector unit
#: adds in another order, and after some hundred training steps a printed percentage differs. For
#: MKL the arithmetic must be COMPATIBLE: on processors that are not Intel's it ignores AVX2 without
#: a warning. Its functions of single numbers are then the same everywhere. Its matrix products are
#: not, because MKL 2024.2 has kernels for AMD's Zen in this branch, too; so a cell that trains is
#: compared by its assertions (``nbval-ignore-output``), and its text may claim no single digit.
SETTINGS = {
    "RESNORM_FIGURES": "page",
    "RESNORM_SCALE": "page",
    "RESNORM_RUNS": os.devnull,  # a reader's own records are not part of a page
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's
    "PYTHONHASHSEED": "0",  # the order of sets
}
#: Distributions whose version decides an output: what is installed, not only what is pinned.
DISTRIBUTIONS = [
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "matplotlib",
    "pillow",
    "sympy",
    "ipykernel",
]


def apply_settings() -> None:
    """Give this process, and so its kernels, the settings of a shared execution.

    What torch compiles is kept apart as well: its cache does not tell by which vector unit a kernel
    was made, and a kernel for another one gives wrong results or crashes.
    """
    os.environ |= SETTINGS
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(ROOT / "_build" / "inductor")


def main(arguments: list[str]) -> None:
    """Run a command with the settings of a shared execution."""
    parser = command_line(__doc__)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="with its arguments")
    command = parser.parse_args(arguments).command
    if not command:
        parser.error("there is no COMMAND to run")
    apply_settings()
    os.execvp(command[0], command)


def is_set() -> bool:
    """Whether this process, and so its kernels, has the settings of a shared execution."""
    return all(os.environ.get(name) == value for name, value in SETTINGS.items())


def files_that_decide() -> list[Path]:
    """What a chapter's outputs depend on besides its own code: the package and the pinned versions.

    The tools of grading are left out, as no chapter uses them.
    """
    package = ROOT / "utils" / "resnorm"
    files = [
        path
        for path in package.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(package).parts[0] != "course"
    ]
    return sorted([*files, ROOT / "requirements.txt"])


def fingerprint(notebook: NotebookNode) -> str:
    """A digest of all that decides what the code of ``notebook`` puts out.

    Args:
        notebook: only its code cells count; prose may change without a new execution.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{name}=={importlib.metadata.version(name)}\n".encode())
    for name, value in sorted(SETTINGS.items()):
        digest.update(f"{name}={value}\n".encode())
    for path in files_that_decide():
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(f"{len(cell.source)}\n{cell.source}\n".encode())
            digest.update(str("raises-exception" in cell.metadata.get("tags", [])).encode())
    return digest.hexdigest()


def execute(path: Path) -> NotebookNode:
    """Execute the notebook at ``path`` from the top, in its folder, and keep what came out.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; nothing is kept.
    """
    apply_settings()
    notebook = nbformat.read(path, as_version=4)
    before = fingerprint(notebook)
    with tempfile.TemporaryDirectory() as folder:
        # See the conftest.py of the root: over files, no kernel takes the port of another.
        files = {"transport": "ipc", "ip": f"{folder}/socket"} if sys.platform != "win32" else {}
        NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            store_widget_state=False,
            coalesce_streams=True,  # one print may arrive in two pieces
            resources={"metadata": {"path": str(path.parent)}},
            config=Config(KernelManager=files),
        ).execute()
    save(path, notebook, before, by="nbclient")
    return notebook


def without_frames(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs as a notebook stores them: an interactive figure as a picture, without its frames."""
    kept = copy.deepcopy(outputs)
    for output in kept:
        data = output.get("data", {})
        if "image/png" in data:
            data.pop("text/html", None)
    return kept


def place(path: Path) -> Path | None:
    """Where the executed form of the notebook at ``path`` is kept; None for one from elsewhere."""
    path = path.resolve()
    return EXECUTED / path.relative_to(ROOT) if path.is_relative_to(ROOT) else None


def save(path: Path, notebook: NotebookNode, before: str, by: str) -> None:
    """Keep an executed notebook of this repository, unless what decides its outputs has changed.

    Args:
        path: of its source.
        notebook: with all of its outputs, every cell executed without an error.
        before: its fingerprint before the execution began.
        by: who executed it, for people who look.
    """
    kept = place(path)
    if kept is None or fingerprint(notebook) != before:
        return  # edited meanwhile: nobody knows which state the outputs are of
    kept.parent.mkdir(parents=True, exist_ok=True)
    notebook = copy.deepcopy(notebook)
    notebook.metadata["executed"] = {"by": by, "fingerprint": before}
    part = kept.with_suffix(f".{os.getpid()}.part")
    part.write_text(nbformat.writes(notebook), encoding="utf-8")
    part.replace(kept)


def load(path: Path) -> NotebookNode | None:
    """The executed form of the notebook at ``path``, with its present prose.

    Returns:
        None if the notebook has to be executed, also where what is kept cannot be read.
    """
    source = nbformat.read(path, as_version=4)
    kept = place(path)
    if kept is None:
        return None
    try:
        found = nbformat.read(kept, as_version=4)
        if found.metadata["executed"]["fingerprint"] != fingerprint(source):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
        return None
    code = iter([cell for cell in found.cells if cell.cell_type == "code"])
    for cell in source.cells:
        if cell.cell_type == "code":
            done = next(code)
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
    return source


if __name__ == "__main__":
    main(sys.argv[1:])
