"""Write the students' notebooks of the assignments, without solutions and hidden tests.

python tools/release.py          write notebooks/assignments/release
python tools/release.py check    exit with 1 if it is not what the sources say
"""

import html
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat

from notebooks import write
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "notebooks" / "assignments" / "source"
RELEASE = ROOT / "notebooks" / "assignments" / "release"
sys.path.insert(0, str(ROOT / "utils"))

from resnorm.course.folder import Course, make  # noqa: E402
from resnorm.course.gradebook import Gradebook  # noqa: E402


def released() -> dict[Path, nbformat.NotebookNode]:
    """Path below ``RELEASE`` -> the student's notebook."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "course")
        make(root, SOURCE)
        course = Course(root)
        paths = [(name, Gradebook(course).release(name)) for name in course.assignments()]
        return {
            RELEASE / name / path.name: nbformat.read(path, as_version=4) for name, path in paths
        }


def secrets(path: Path) -> list[str]:
    """Every solution and hidden test of a source notebook, without white space.

    Short ones are left out: they may stand in any chapter.
    """
    blocks = [
        block
        for cell in nbformat.read(path, as_version=4).cells
        for kind in ("SOLUTION", "HIDDEN TESTS")
        for block in re.findall(
            rf"### BEGIN {kind}\n(.*?)\n\s*### END {kind}", cell.source, re.DOTALL
        )
    ]
    return [text for text in map(squeezed, blocks) if len(text) > 40]


def squeezed(text: str) -> str:
    """Without white space, which pages and editors change."""
    return re.sub(r"\s+", "", text)


def leaks(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Files that hold a secret, with the assignment that it is of."""
    wanted = {
        secret: path.parent.name
        for path in sorted(SOURCE.glob("*/*.ipynb"))
        for secret in secrets(path)
    }
    found = []
    for path in paths:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        elif path.suffix == ".html":  # which puts marks around words of code
            text = html.unescape(re.sub(r"<[^>]+>", "", text))
        text = squeezed(text)
        found += [(path.name, name) for secret, name in wanted.items() if secret in text]
    return found


def main(arguments: list[str]) -> None:
    """Write the released notebooks, or compare with them."""
    parser = command_line(__doc__)
    parser.add_argument("action", nargs="?", choices=("check",))
    options = parser.parse_args(arguments)
    wanted = released()
    if options.action == "check":
        stale = [
            path
            for path, notebook in wanted.items()
            if not path.exists()
            or path.read_text("utf-8") != nbformat.writes(notebook, indent=1) + "\n"
        ]
        stale += [path for path in RELEASE.rglob("*.ipynb") if path not in wanted]
        if stale:
            sys.exit(
                f"not what the sources say: {', '.join(path.name for path in stale)}; "
                "run make release"
            )
        return
    for path, notebook in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(notebook, path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
