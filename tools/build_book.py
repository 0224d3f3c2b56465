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
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"


def digest(*names: str) -> str:
    """A digest of files and folders below the root, with their names.

    Args:
        *names: relative to the root; of a folder all that is in it.
    """
    found = hashlib.sha256(sys.version.encode())
    for name in names:
        for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(path.relative_to(ROOT).as_posix().encode())
                found.update(path.read_bytes())
    return found.hexdigest()


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
            notebook.metadata.language_info.pygments_lexer = "ipython3"  # it colors !commands, too
            bundle = CacheBundleIn(notebook, str(path))
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def render() -> bool:
    """Let Sphinx render the pages; whether it did so without a warning.

    Sphinx reads again only the sources that changed, and it knows nothing of the outputs, which
    live elsewhere, nor of the style. What it read before serves only if the last run succeeded and
    all of that is still the same. Otherwise warnings would be lost, and old pages kept.
    """
    stamp = BUILD / "rendered"
    executed_chapters = executed.EXECUTED.relative_to(ROOT).as_posix()
    state = digest(executed_chapters, "book/static", "book/extensions", "_config.yml", "_toc.yml")
    if not stamp.exists() or stamp.read_text() != state:
        for stale in (".doctrees", "html"):
            shutil.rmtree(BUILD / stale, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "-n", "-W", "--keep-going", "-q"]
    if subprocess.run(command, cwd=ROOT).returncode:
        return False
    stamp.write_text(state)
    return True


def main(arguments: list[str]) -> None:
    """Build the book, or exit with a sentence that says what to do."""
    command_line(__doc__).parse_args(arguments)
    start = time.perf_counter()
    chapters = all_notebooks()
    executed.apply_settings()
    BUILD.mkdir(exist_ok=True)
    print("Executing the chapters that are not executed yet: minutes the first time.", flush=True)
    number = execute_missing(chapters, jobs=min(os.cpu_count() or 1, 4))
    print(f"Chapters: {number} executed now, {len(chapters) - number} before.", flush=True)
    fill_cache(chapters)
    if not render():
        sys.exit(
            "\nThe book was not built: fix the warnings and errors above "
            "(each names its file), then run make book again."
        )
    print(
        f"Built in {time.perf_counter() - start:.0f} s. "
        "Open _build/html/index.html in a browser, or run: make serve"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
