"""Put the built pages into one zip, which opens from the file system after unzipping.

Usage: ``python tools/site_zip.py`` after ``make book``. It lands in ``_build/site.zip``. The same
pages give the same file, byte by byte.
"""

import sys
import zipfile
from pathlib import Path

from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
ZIP = ROOT / "_build" / "site.zip"
#: The folder that unzipping makes.
FOLDER = "normalization-and-residual-networks"
#: The earliest time that a zip can hold: when a page was built is not part of it.
TIME = (1980, 1, 1, 0, 0, 0)
#: What only the next build or other books need.
LEFT_OUT = {".buildinfo", ".buildinfo.bak", "objects.inv", ".nojekyll"}


def pack(site: Path, target: Path) -> int:
    """Write the zip.

    Args:
        site: folder of the built pages.
        target: the zip; it appears when it is complete.

    Returns:
        How many files it holds.

    Raises:
        FileNotFoundError: the book is not built.
    """
    if not (site / "index.html").is_file():
        raise FileNotFoundError("the book is not built: run make book first")
    files = sorted(path for path in site.rglob("*") if path.is_file() and path.name not in LEFT_OUT)
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in files:
            name = f"{FOLDER}/{path.relative_to(site).as_posix()}"
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes(), compresslevel=9)
    part.replace(target)
    return len(files)


def main(arguments: list[str]) -> None:
    """Write the zip, or say what is missing."""
    command_line(__doc__).parse_args(arguments)
    try:
        number = pack(HTML, ZIP)
    except FileNotFoundError as error:
        sys.exit(f"No zip was made: {error}.")
    print(f"_build/site.zip holds {number} files, {ZIP.stat().st_size / 1e6:.0f} MB.")


if __name__ == "__main__":
    main(sys.argv[1:])
