"""Write the students' notebooks of the assignments, without solutions and hidden tests.

    python tools/release.py          write notebooks/assignments/release
    python tools/release.py check    exit with 1 if it is not what the sources say
"""

import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SOURCE, RELEASE = ROOT / "notebooks" / "assignments" / "source", ROOT / "notebooks" / "assignments" / "release"
sys.path.insert(0, str(ROOT / "utils"))

from resnorm.course import cli  # noqa: E402
from resnorm.course.folder import Course  # noqa: E402


def released() -> dict[Path, str]:
    """Path below ``RELEASE`` -> the text of the student's notebook."""
    texts = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "course")
        cli.make(root, SOURCE)
        course = Course(root)
        for name in course.assignments():
            path = course.release(name)
            notebook = nbformat.read(path, as_version=4)
            texts[RELEASE / name / path.name] = nbformat.writes(notebook, indent=1) + "\n"
    return texts


def secrets(path: Path) -> list[str]:
    """Every solution and every hidden test of a source notebook, without white space; short ones stand in any chapter."""
    blocks = [
        block
        for cell in nbformat.read(path, as_version=4).cells
        for kind in ("SOLUTION", "HIDDEN TESTS")
        for block in re.findall(rf"### BEGIN {kind}\n(.*?)\n\s*### END {kind}", cell.source, re.DOTALL)
    ]
    return [text for text in map(squeezed, blocks) if len(text) > 40]


def squeezed(text: str) -> str:
    """Without white space, and without the marks that HTML puts around and into code."""
    text = re.sub(r"<[^>]+>", "", text) if "</" in text else text
    for mark, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(mark, sign)
    return re.sub(r"\s+", "", text)


def told(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Files that hold a secret, with the assignment that it is of."""
    wanted = {secret: path.parent.name for path in sorted(SOURCE.glob("*/*.ipynb")) for secret in secrets(path)}
    found = []
    for path in paths:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        text = squeezed(text)
        found += [(path.name, name) for secret, name in wanted.items() if secret in text]
    return found


def main(arguments: list[str]) -> None:
    texts = released()
    if arguments == ["check"]:
        stale = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
        stale += [path for path in RELEASE.rglob("*.ipynb") if path not in texts]
        if stale:
            sys.exit(f"not what the sources say: {', '.join(path.name for path in stale)}; run make release")
        return
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
