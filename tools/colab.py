"""Write the edition of the chapters for Colab: notebooks without the book's own markup.

python tools/colab.py          write the folder colab
python tools/colab.py check    exit with 1 if it is not what the chapters say

The notebooks in ``notebooks`` are written in MyST, which Colab and JupyterLab show as text. In this
edition hints and answers are closed ``<details>``, each solution is a closed section, citations,
numbers of equations and links are those of the book, and each section and exercise has a cell of
its own. Code cells are those of the chapter, without outputs.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from pathlib import Path

import nbformat
import yaml

import repository
from notebooks import METADATA, all_notebooks, write
from pieces import Chapter, Piece
from plain_markdown import Bibliography, tokens
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
EDITION = ROOT / "colab"
#: What a reader of one notebook has to know.
HOW_TO = (
    "Run the cells from the top as far as the exercises; the first code cell installs the course's "
    "package. Write your answer in a new code cell below its exercise, and run the solution only "
    "afterwards, because it defines the same names. Answers and hints open with a click on their "
    "line, each solution with the arrow beside its heading, and folded code with *Show code*. A "
    "line that begins with `!` is a command; copy it into a code cell of its own. Colab forgets "
    "what you write unless you save a copy in your drive (*File*, *Save a copy in Drive*), and it "
    "deletes the files on its disk when the session ends."
)


class Book:
    """All chapters with their labels, and the addresses of the published pages and notebooks.

    Args:
        url: of the repository, instead of the one in ``_config.yml``.
    """

    def __init__(self, url: str = "") -> None:
        config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
        self.branch = config["repository"]["branch"]
        url = url or config["repository"]["url"]
        self.title = config["title"]
        _, self.colab, self.site = (*repository.forms(url), "", "")[:3]
        self.bibliography = Bibliography(
            ROOT / "book" / "references.bib", self.page("book/bibliography")
        )
        self.chapters = [Chapter(path, self) for path in all_notebooks()]
        for chapter in self.chapters:
            chapter.collect()
        self.labels = {label: each for each in self.chapters for label in each.places}
        self.equations = {
            label: number for each in self.chapters for label, number in each.equations.items()
        }

    @cached_property
    def pages(self) -> dict[str, str]:
        """Label -> name of the page, for the pages that are no chapters."""
        return {
            each.content: path.relative_to(ROOT).with_suffix("").as_posix()
            for path in sorted((ROOT / "book").rglob("*.md"))
            if "slides" not in path.parts
            for each in tokens(path.read_text("utf-8"))
            if each.type == "myst_target"
        }

    def page(self, name: str, anchor: str = "") -> str:
        """The address of a published page; empty where the repository's host publishes none.

        Args:
            name: of the source below the root, without its ending.
            anchor: on the page.
        """
        if not self.site:
            return ""
        return f"{self.site}/{name}.html" + (f"#{anchor}" if anchor else "")

    def notebook(self, chapter: Chapter, seen_from: Chapter) -> str:
        """The address of another chapter's notebook: in Colab if Colab can open it.

        Args:
            chapter: the other one.
            seen_from: the one that has the link.
        """
        if not self.colab:
            return f"../{chapter.name}"
        return f"https://{self.colab}/blob/{self.branch}/colab/{chapter.name}"

    def link(self, label: str, chapter: Chapter) -> str | None:
        """Where a link to a label leads.

        Args:
            label: of a section, an exercise, an equation or a page.
            chapter: that has the link.
        """
        if label in self.labels:
            there = self.labels[label]
            place = f"#scrollTo={there.places[label]}"
            if there is chapter:
                return place
            address = self.notebook(there, chapter)
            return address if label.startswith("ch-") else address + place
        if label not in self.pages:
            raise ValueError(f"nothing has the label {label}")
        return self.page(self.pages[label], label) or None

    def role(self, name: str, content: str, chapter: Chapter) -> str:
        """A role as Markdown.

        Args:
            name: of the role.
            content: of the role.
            chapter: that has it.
        """
        if name in ("cite:t", "cite:p"):
            return self.bibliography.cited(name, content)
        if name == "eq":
            if content not in self.equations:
                raise ValueError(f"no equation has the label {content}")
            return f"[({self.equations[content]})]({self.link(content, chapter)})"
        if name == "term":
            anchor = "term-" + re.sub(r"[^\w]+", "-", content).strip("-")
            address = self.page("book/glossary", anchor)
            return f"[{content}]({address})" if address else content
        raise ValueError(f"no form for the role {name}")

    def head(self, chapter: Chapter) -> str:
        """The cell above a chapter, which says where the reader is.

        Args:
            chapter: below it.
        """
        at = self.chapters.index(chapter)
        page = self.page(f"notebooks/{chapter.name.removesuffix('.ipynb')}")
        front = self.page("index")
        name = f"[{self.title}]({front})" if front else self.title
        lines = [f"This is chapter {chapter.number} of {name}."]
        if page:
            lines.append(f"It can also be read [as a page]({page}).")
        for word, index in (("Previous", at - 1), ("Next", at + 1)):
            if 0 <= index < len(self.chapters):
                other = self.chapters[index]
                lines.append(f"{word}: [{other.title}]({self.notebook(other, chapter)}).")
        return f"{' '.join(lines)}\n\n{HOW_TO}"


def folded_on_the_page(cell: nbformat.NotebookNode) -> bool:
    """Whether the page folds the code of a cell: it says so, or it is the setup cell.

    Args:
        cell: of a chapter.
    """
    return "hide-input" in cell.metadata.get("tags", []) or cell.source.startswith("# Setup.")


def cell_of(piece: Piece) -> nbformat.NotebookNode:
    """A piece as a cell; Colab finds links and closed sections by the id in its metadata.

    Args:
        piece: of a chapter.
    """
    if piece.code is None:
        cell = nbformat.v4.new_markdown_cell("\n\n".join(piece.text), id=piece.id)
        if piece.closed:
            cell.metadata["jp-MarkdownHeadingCollapsed"] = True
    else:
        cell = nbformat.v4.new_code_cell(piece.code.source, id=piece.id)
        cell.metadata = nbformat.from_dict(piece.code.metadata)
        if folded_on_the_page(piece.code):
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["cellView"] = "form"
    cell.metadata["id"] = piece.id
    return cell


def edition(url: str = "") -> dict[Path, nbformat.NotebookNode]:
    """Path below ``EDITION`` -> notebook.

    Args:
        url: of the repository, instead of the one in ``_config.yml``.
    """
    book = Book(url)
    written = {}
    for chapter in book.chapters:
        pieces = [Piece("this-notebook", [book.head(chapter)]), *chapter.pieces()]
        closed = [piece.id for piece in pieces if piece.closed]
        metadata = METADATA | {"colab": {"collapsed_sections": closed, "toc_visible": True}}
        notebook = nbformat.v4.new_notebook(cells=list(map(cell_of, pieces)), metadata=metadata)
        written[EDITION / chapter.name] = notebook
    return written


def stale(wanted: dict[Path, nbformat.NotebookNode]) -> list[Path]:
    """The notebooks of the folder that are missing or not as they should be.

    Args:
        wanted: what ``edition`` returns.
    """
    return [
        path
        for path, notebook in wanted.items()
        if not path.exists()
        or path.read_text("utf-8") != nbformat.writes(notebook, indent=1) + "\n"
    ]


def left_over(wanted: dict[Path, nbformat.NotebookNode]) -> list[Path]:
    """The notebooks of the folder that belong to no chapter, such as one that was renamed.

    Args:
        wanted: what ``edition`` returns.
    """
    return [
        path
        for path in sorted(EDITION.rglob("*.ipynb"))
        if path not in wanted and ".ipynb_checkpoints" not in path.parts
    ]


def has_been_run(path: Path) -> bool:
    """Whether somebody ran the notebook and stored it, so that it may hold work of theirs.

    Args:
        path: of a notebook, which need not exist.
    """
    if not path.exists():
        return False
    cells = nbformat.read(path, as_version=4).cells
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def names(paths: list[Path]) -> str:
    """Paths in a message."""
    return ", ".join(path.relative_to(ROOT).as_posix() for path in paths)


def main(arguments: list[str]) -> None:
    """Write the edition, or compare the folder with it."""
    parser = command_line(__doc__)
    parser.add_argument("action", nargs="?", choices=("check",))
    action = parser.parse_args(arguments).action
    try:
        wanted = edition()
    except ValueError as wrong:
        sys.exit(f"The edition for Colab was not written. {wrong}")
    old, others = stale(wanted), left_over(wanted)
    if action == "check":
        if old:
            sys.exit(f"not what the chapters say: {names(old)}; run make colab")
        if others:
            sys.exit(f"of no chapter: {names(others)}; delete or move what is no longer needed")
        return
    if run := [path for path in old if has_been_run(path)]:
        sys.exit(
            f"Somebody may work in {names(run)}, which hold outputs. Move them out of the folder, "
            "or discard them with git checkout, then run make colab. Nothing was written."
        )
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(wanted[path], path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
