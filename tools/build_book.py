"""Build the book: execute what has not been executed, render the pages, fail on any warning.

Usage: ``python tools/build_book.py``. The pages land in ``_build/html``.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient.exceptions import CellExecutionError, DeadKernelError

import executed
from notebooks import all_notebooks, longest_first

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


def execute_missing(paths: list[Path], jobs: int) -> int:
    """Execute the chapters that nobody has executed yet, several at a time.

    A chapter that fails stays without outputs. Sphinx meets it again and reports it.

    Returns:
        How many were executed.
    """

    def attempt(path: Path) -> None:
        with contextlib.suppress(CellExecutionError, DeadKernelError, TimeoutError):
            executed.execute(path)

    missing = longest_first([path for path in paths if executed.load(path) is None])
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(attempt, missing))
    return len(missing)


def fill_cache(paths: list[Path]) -> None:
    """Hand the executed chapters to Sphinx by way of jupyter-cache, and nothing older."""
    shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
    cache = get_cache(BUILD / ".jupyter_cache")
    for path in paths:
        notebook = executed.load(path)
        if notebook is not None:
            bundle = CacheBundleIn(notebook, str(path))
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def main() -> None:
    """Build the book, or exit with a sentence that says what to do."""
    # Sphinx looks at the notebooks alone: what else decides their outputs is watched here, as is
    # the style, which Sphinx copies with a page that changed, and with none stops before that.
    decisive = [path.relative_to(ROOT).as_posix() for path in executed.files_that_decide()]
    watched = [
        changed("fingerprint", *decisive),
        changed("look", "book/static", "book/extensions", "_config.yml"),
    ]
    if any(watched):
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)

    start = time.perf_counter()
    chapters = all_notebooks()
    os.environ |= executed.SETTINGS
    print("Executing the chapters that are not executed yet: minutes the first time.", flush=True)
    number = execute_missing(chapters, jobs=min(os.cpu_count() or 1, 4))
    print(f"Chapters: {number} executed now, {len(chapters) - number} before.", flush=True)
    fill_cache(chapters)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "-n", "-W", "--keep-going", "-q"]
    if subprocess.run(command, cwd=ROOT).returncode:
        # Sphinx would read only changed pages next time, and lose the warnings of the others.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        sys.exit(
            "\nThe book was not built: fix the warnings and errors above "
            "(each names its file), then run make book again."
        )
    print(
        f"Built in {time.perf_counter() - start:.0f} s. "
        "Open _build/html/index.html in a browser, or run: make serve"
    )


if __name__ == "__main__":
    main()
