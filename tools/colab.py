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
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat
import yaml

import repository
from notebooks import METADATA, all_notebooks, write
from plain_markdown import (
    UNCHANGED,
    Bibliography,
    Block,
    blocks,
    displayed,
    folded,
    inline,
    options,
    tokens,
)
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
EDITION = ROOT / "colab"
#: What a reader of one notebook has to know.
HOW_TO = (
    "Run the cells from the top; the first one installs the course's package. Answers and hints "
    "open with a click on their line, each solution with the arrow beside its heading, and folded "
    "code with *Show code*. Colab forgets what you write unless you save a copy in your drive "
    "(*File*, *Save a copy in Drive*)."
)


@dataclass
class Piece:
    """A cell of the edition.

    Args:
        id: of the cell.
        text: blocks of Markdown, in order.
        code: the chapter's cell, if this is one.
        closed: whether it is a heading whose section is closed at first.
        named: whether its id is a label.
    """

    id: str
    text: list[str] = field(default_factory=list)
    code: nbformat.NotebookNode | None = None
    closed: bool = False
    named: bool = False


class Chapter:
    """A chapter as pieces, and what its labels mean.

    Args:
        path: of the notebook.
        book: to which it belongs.
    """

    def __init__(self, path: Path, book: Book) -> None:
        self.path, self.book = path, book
        self.name = path.relative_to(ROOT / "notebooks").as_posix()
        self.cells = nbformat.read(path, as_version=4).cells
        self.title = re.search(r"^# (.*)$", self.cells[0].source, re.MULTILINE)[1]
        self.number = self.title.split()[0]
        self.places: dict[str, str] = {}
        self.equations: dict[str, str] = {}
        self.exercises: dict[str, str] = {}

    def collect(self) -> None:
        """Find the places and numbers of all labels."""
        self.pieces(resolved=False)

    def pieces(self, resolved: bool = True) -> list[Piece]:
        """The cells of the edition.

        Args:
            resolved: whether to resolve citations and links, for which all chapters must have been
                collected.
        """
        writer = Writer(self, resolved)
        for cell in self.cells:
            writer.add(cell)
        return writer.finished()


class Writer:
    """Turns the cells of a chapter into pieces.

    Args:
        chapter: whose labels are noted on the way.
        resolved: whether to resolve citations and links.
    """

    def __init__(self, chapter: Chapter, resolved: bool) -> None:
        self.chapter, self.resolved = chapter, resolved
        self.done: list[Piece] = []
        self.level = 1
        self.equations = self.exercises = 0
        self.after = ""

    def add(self, cell: nbformat.NotebookNode) -> None:
        """Append a cell of the chapter.

        Args:
            cell: of the notebook.
        """
        if cell.cell_type == "code":
            self.done.append(Piece(cell.id, code=cell))
            return
        self.cell, self.parts = cell.id, 1
        self.done.append(Piece(cell.id))
        try:
            for block in blocks(cell.source):
                self.place(block)
        except ValueError as wrong:
            raise ValueError(f"{self.chapter.path.name}, cell {cell.id}: {wrong}") from wrong

    def finished(self) -> list[Piece]:
        """All pieces that hold something."""
        return [piece for piece in self.done if piece.code or piece.text]

    @property
    def current(self) -> Piece:
        """The piece that grows."""
        return self.done[-1]

    def begin(self, name: str = "") -> None:
        """Begin a piece, unless the present one is still empty.

        Args:
            name: its id, instead of that of the cell with a number. The first name stays.
        """
        if self.current.text:
            self.parts += 1
            self.done.append(Piece(name or f"{self.cell}-{self.parts}", named=bool(name)))
        elif name and not self.current.named:
            self.current.id, self.current.named = name, True

    def note(self, label: str) -> None:
        """Remember that a label stands in the present piece.

        Args:
            label: of a section, an equation or an exercise.
        """
        self.chapter.places[label] = self.current.id

    def place(self, block: Block) -> None:
        """Put a block of the chapter's text into the present piece or a new one.

        Args:
            block: of a Markdown cell.
        """
        directive = block.directive
        last, self.after = self.after, ""
        if block.kind not in ("heading_open", "myst_target") and not (
            directive and directive[0] in ("exercise", "solution-start")
        ):
            if last == "solution":
                raise ValueError("text after a solution would be folded with it")
            if last == "exercise":
                self.current.text.append("---")  # the exercise ends here
        if block.kind == "myst_target":
            label = block.tokens[0].content
            self.begin(label)
            self.note(label)
        elif block.kind == "heading_open":
            self.begin()
            self.level = int(block.tokens[0].tag[1:])
            self.current.text.append(self.resolved_text(block))
        elif directive and directive[0] == "exercise":
            self.exercise(block, directive[1])
        elif directive and directive[0] == "solution-start":
            self.solution(directive[1])
        elif directive and directive[0] == "solution-end":
            self.after = "solution"
        else:
            self.current.text.extend(self.converted(block))

    def exercise(self, block: Block, title: str) -> None:
        """An exercise has a cell of its own, behind which a reader can add others.

        Args:
            block: the directive.
            title: with its stars.
        """
        named, body = options(block.tokens[0].content)
        label = named["label"]
        self.exercises += 1
        number = f"{self.chapter.number}.{self.exercises}"
        self.begin(label)
        self.note(label)
        self.chapter.exercises[label] = f"{number} ({title})"
        self.current.text.append(f"{'#' * (self.level + 1)} Exercise {number} ({title})")
        for each in blocks(body):
            self.current.text.extend(self.converted(each))
        self.current.text.append(f"[Solution](#scrollTo=solution-{label})")
        self.begin()
        self.after = "exercise"

    def solution(self, label: str) -> None:
        """The heading of a solution, whose section is closed.

        Args:
            label: of the exercise.
        """
        if label not in self.chapter.exercises:
            raise ValueError(f"the solution of {label} comes before the exercise")
        self.begin(f"solution-{label}")
        self.current.closed = True
        self.current.text.append(
            f"{'#' * (self.level + 1)} Solution to exercise {self.chapter.exercises[label]}"
        )
        self.begin()

    def converted(self, block: Block) -> list[str]:
        """A block that begins no new piece, as blocks of plain Markdown.

        Args:
            block: of a cell, an exercise or a dropdown.
        """
        first = block.tokens[0]
        if block.kind == "math_block":
            return [displayed(first.content)]
        if block.kind == "math_block_label":
            self.equations += 1
            number = f"{self.chapter.number}.{self.equations}"
            self.chapter.equations[first.info] = number
            self.note(first.info)
            return [displayed(first.content, number)]
        if block.directive and block.directive[0] == "dropdown":
            _, body = options(first.content)
            inner = [line for each in blocks(body) for line in self.converted(each)]
            return [folded(block.directive[1], "\n\n".join(inner))]
        if block.kind in UNCHANGED and not block.directive:
            return [block.source]
        if not re.fullmatch(
            "(paragraph|heading|bullet_list|ordered_list|table|blockquote)_open", block.kind
        ):
            raise ValueError(f"no form for {block.directive or block.kind}: {block.source[:60]!r}")
        return [self.resolved_text(block)]

    def resolved_text(self, block: Block) -> str:
        """A block with its roles and links resolved.

        Args:
            block: of text.
        """
        book = self.chapter.book
        if not self.resolved:
            return block.source
        return inline(
            block,
            lambda name, content: book.role(name, content, self.chapter),
            lambda label: book.link(label, self.chapter),
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
        return f"https://{self.site.removeprefix('https://')}/{name}.html" + (
            f"#{anchor}" if anchor else ""
        )

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
        if "hide-input" in cell.metadata.get("tags", []):
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
    """Files of the folder that are missing, different or left over.

    Args:
        wanted: what ``edition`` returns.
    """
    different = [
        path
        for path, notebook in wanted.items()
        if not path.exists()
        or path.read_text("utf-8") != nbformat.writes(notebook, indent=1) + "\n"
    ]
    return different + [path for path in sorted(EDITION.rglob("*.ipynb")) if path not in wanted]


def main(arguments: list[str]) -> None:
    """Write the edition, or compare the folder with it."""
    parser = command_line(__doc__)
    parser.add_argument("action", nargs="?", choices=("check",))
    options = parser.parse_args(arguments)
    try:
        wanted = edition()
    except ValueError as wrong:
        sys.exit(f"The edition for Colab was not written. {wrong}")
    old = stale(wanted)
    if options.action == "check":
        if old:
            names = ", ".join(path.relative_to(ROOT).as_posix() for path in old)
            sys.exit(f"not what the chapters say: {names}; run make colab")
        return
    for path in old:
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(wanted[path], path)
        else:
            path.unlink()
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
