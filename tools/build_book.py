"""Build the book: execute what changed, render the pages, fail on any warning.

Usage: ``python tools/build_book.py``. The pages land in ``_build/html``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"


def fingerprint() -> str:
    """A hash of all that a notebook's outputs depend on besides its own cells."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in ("utils/resnorm", "book/results"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    digest.update((ROOT / "requirements.txt").read_bytes())
    return digest.hexdigest()


def main() -> None:
    # jupyter-cache looks at the cells alone: a change in the package must empty it by hand.
    stamp, now = BUILD / "fingerprint", fingerprint()
    if not stamp.exists() or stamp.read_text() != now:
        shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        stamp.write_text(now)
        print("Executing every chapter: minutes the first time, seconds afterwards.", flush=True)

    start = time.perf_counter()
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ROOT, "-n", "-W", "--keep-going", "-q"]
    environment = os.environ | {"RESNORM_FIGURES": "book", "RESNORM_SCALE": os.environ.get("RESNORM_SCALE", "page")}
    if subprocess.run(command, env=environment, cwd=ROOT).returncode:
        # Sphinx would read only changed pages next time, and the warnings of the others would be lost.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        sys.exit("\nThe book was not built: mend the warnings and errors above (each names its file), then run make book again.")
    print(f"Built in {time.perf_counter() - start:.0f} s. Open _build/html/index.html in a browser, or run: make serve")


if __name__ == "__main__":
    main()
