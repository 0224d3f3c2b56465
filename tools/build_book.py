"""Build the book: execute what changed, render the pages, fail on any warning.

Usage: ``python tools/build_book.py``. The pages land in ``_build/html``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from traitlets.config import Config

from notebooks import TIMEOUT, all_notebooks

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"


def changed(stamp: str, *names: str) -> bool:
    """Whether files differ from the last time that this was asked with this stamp, or Python does.

    Args:
        stamp: file below ``BUILD`` that remembers.
        names: files, and folders with all that is in them, below the root.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in names:
        for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    file, now = BUILD / stamp, digest.hexdigest()
    if file.exists() and file.read_text() == now:
        return False
    BUILD.mkdir(exist_ok=True)
    file.write_text(now)
    return True


def execute_ahead(paths: list[Path], jobs: int) -> None:
    """Execute the chapters that the cache lacks, several at a time: Sphinx would take them one by one.

    A chapter that fails is left out of the cache. Sphinx meets it again and reports it.
    """
    cache = get_cache(BUILD / ".jupyter_cache")
    todo = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            todo.append((path, notebook))
    todo.sort(
        key=lambda pair: -sum(cell.cell_type == "code" for cell in pair[1].cells)
    )  # the longest first

    def execute(pair):
        path, notebook = pair
        with tempfile.TemporaryDirectory() as folder:
            sockets = {
                "transport": "ipc",
                "ip": f"{folder}/socket",
            }  # see the conftest.py of the root: no race for ports
            config = Config(KernelManager=sockets if sys.platform != "win32" else {})
            return (
                path,
                notebook,
                single_nb_execution(
                    notebook,
                    cwd=str(path.parent),
                    allow_errors=False,
                    timeout=TIMEOUT,
                    config=config,
                ),
            )

    with ThreadPoolExecutor(jobs) as pool:
        for path, notebook, result in pool.map(execute, todo):
            if result.err is None:
                bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def main() -> None:
    # jupyter-cache and Sphinx look at the notebooks alone: a change in the package must empty both by hand.
    package = sorted(
        f"utils/resnorm/{path.name}"
        for path in (ROOT / "utils/resnorm").iterdir()
        if path.name != "course"
    )  # no chapter grades
    if changed("fingerprint", *package, "requirements.txt"):
        for stale in (".jupyter_cache", ".doctrees"):
            shutil.rmtree(BUILD / stale, ignore_errors=True)
        print("Executing every chapter: minutes the first time, seconds afterwards.", flush=True)
    # Sphinx copies the style with a page that changed, and with none stops before that.
    if changed("look", "book/static", "book/extensions"):
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)

    start = time.perf_counter()
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "-n", "-W", "--keep-going", "-q"]
    os.environ["RESNORM_FIGURES"] = "book"
    os.environ.setdefault("RESNORM_SCALE", "page")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # kernels inherit it: a chapter a core
    execute_ahead(all_notebooks(), jobs=min(os.cpu_count() or 1, 4))
    if subprocess.run(command, cwd=ROOT).returncode:
        # Sphinx would read only changed pages next time, and the warnings of the others would be lost.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        sys.exit(
            "\nThe book was not built: mend the warnings and errors above (each names its file), then run make book again."
        )
    print(
        f"Built in {time.perf_counter() - start:.0f} s. Open _build/html/index.html in a browser, or run: make serve"
    )


if __name__ == "__main__":
    main()
