"""The chapters' MyST as Markdown that Colab and JupyterLab show.

Blocks are found by the parser that the book uses, so a directive in a listing is none. Inside of a
block only roles, links to labels and formulas change. All other text stays as its author wrote it.
Whatever has no form here is refused with an error instead of being left as it is.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import parse_file
from pybtex.richtext import String, Tag
from pybtex.style.sorting.author_year_title import SortingStyle
from sphinxcontrib.bibtex.style.referencing import format_references
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle
from sphinxcontrib.bibtex.style.template import SphinxReferenceInfo, SphinxReferenceText

ROOT = Path(__file__).resolve().parent.parent
#: Code and formulas, in which nothing is a role or a link; then roles, and links to labels.
INLINE = re.compile(
    r"(?P<role>\{(?P<name>[\w:-]+)\}`(?P<content>[^`]+)`)"
    r"|(?P<code>(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?<![\\$])\$(?P<math>(?:\\.|[^$\\])+)\$(?!\$)"
    r"|\]\(#(?P<link>[\w-]+)\)",
    re.DOTALL,
)
#: Blocks that hold no text of their own and need no change.
UNCHANGED = {"fence", "code_block", "hr"}
#: What may stand in a line of text; attributes such as ``{.class}`` would be shown as text.
WORDS = re.compile(
    "text|softbreak|hardbreak|code_inline|math_inline|myst_role|(em|strong|link)_(open|close)"
)
#: Address of a link that leads nowhere, until its brackets are removed.
NOWHERE = "\0"


@cache
def parser():
    """The parser of the book, with the extensions that ``_config.yml`` names."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    extensions = set(config["parse"]["myst_enable_extensions"])
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


@cache
def tokens(text: str) -> list[Token]:
    """The tokens of a text.

    Args:
        text: MyST.
    """
    return parser().parse(text)


@dataclass(frozen=True)
class Block:
    """A block of Markdown that stands in no other block.

    Args:
        kind: type of its first token.
        source: its lines.
        tokens: all of them, in order.
    """

    kind: str
    source: str
    tokens: list[Token]

    @property
    def directive(self) -> tuple[str, str] | None:
        """Name and argument, if this is a directive."""
        found = re.match(r"\{([\w-]+)\} *(.*)", self.tokens[0].info)
        return (found[1], found[2].strip()) if found and "fence" in self.kind else None


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text, one after the other.

    Args:
        text: MyST.
    """
    lines, found = text.split("\n"), tokens(text)
    starts = [i for i, each in enumerate(found) if each.level == 0 and each.nesting >= 0]
    for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
        first, last = found[start].map
        source = "\n".join(lines[first:last]).rstrip("\n")
        yield Block(found[start].type, source, found[start:end])


def options(content: str) -> tuple[dict[str, str], str]:
    """The options of a directive, and what stands below them.

    Args:
        content: of the directive.
    """
    named = re.match(r"(?::[\w-]+:.*\n?)*", content)[0]
    return dict(re.findall(r"^:([\w-]+): *(.*)$", named, re.MULTILINE)), content[len(named) :]


def without_tags(formula: str) -> str:
    """A formula in which no ``<`` looks like the start of an HTML element.

    Args:
        formula: LaTeX.
    """
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\lt ", formula)


def displayed(formula: str, number: str = "") -> str:
    r"""A displayed equation.

    Args:
        formula: LaTeX.
        number: shown beside it, such as ``2.1.3``.
    """
    tag = f"\n\\tag{{{number}}}" if number else ""
    return f"$$\n{without_tags(formula.strip())}{tag}\n$$"


def folded(summary: str, body: str) -> str:
    """A closed block that opens with a click. Blank lines make its content Markdown again.

    Args:
        summary: what is visible, as plain text.
        body: Markdown.
    """
    if re.search(r"[`$*_\[]", summary):
        raise ValueError(f"{summary!r} is no plain text, but no markup works in a summary")
    return (
        f"<details>\n<summary>{html.escape(summary, quote=False)}</summary>\n\n"
        f"{body.strip()}\n\n</details>"
    )


def inline(block: Block, role: Callable[[str, str], str], link: Callable[[str], str | None]) -> str:
    """A block of text with its roles and links resolved.

    Args:
        block: a paragraph, heading, list or table.
        role: from name and content to Markdown.
        link: from label to address; None leaves only the words of the link.
    """
    children = [child for each in block.tokens for child in each.children or ()]
    nested = [each.type for each in block.tokens[1:] if each.map and each.nesting >= 0]
    strange = {
        *(kind for kind in nested if re.search("fence|math|target|html|comment", kind)),
        *(child.type for child in children if not WORDS.fullmatch(child.type)),
        *(f"attributes of {child.type}" for child in children if set(child.attrs) - {"href"}),
    }
    pairs = itertools.pairwise(children)
    if any((a.type, b.type) == ("link_open", "link_close") for a, b in pairs):
        strange.add("a link without words")
    if strange:
        raise ValueError(f"no form for {', '.join(sorted(strange))} in {block.source[:60]!r}")
    count = {"role": 0, "link": 0}

    def replaced(found: re.Match[str]) -> str:
        if found["role"]:
            count["role"] += 1
            return role(found["name"], found["content"])
        if found["math"]:
            return f"${without_tags(found['math'])}$"
        if found["link"]:
            count["link"] += 1
            address = link(found["link"])
            return f"]({address or NOWHERE})"
        return found[0]

    text = re.sub(rf"\[([^\[\]]*)\]\({NOWHERE}\)", r"\1", INLINE.sub(replaced, block.source))
    for kind, type_ in (("role", "myst_role"), ("link", "link_open")):
        wanted = sum(
            child.type == type_ and (kind == "role" or child.attrs["href"].startswith("#"))
            for child in children
        )
        if count[kind] != wanted:
            raise ValueError(f"{wanted} {kind}s, but {count[kind]} replaced: {block.source[:60]!r}")
    return text


class Bibliography:
    """Citations in the style of the book, each with a link to what is cited.

    Args:
        path: a BibTeX file.
        fallback: address for what is not on the web; empty where there is none.
    """

    def __init__(self, path: Path, fallback: str) -> None:
        self.entries = parse_file(str(path)).entries
        self.fallback = fallback
        self.style = AuthorYearReferenceStyle()
        self.sorting = SortingStyle()  # that of the book's bibliography

    def address(self, key: str) -> str:
        """Where to read it: on arXiv if it is there, because that is free.

        Args:
            key: of an entry.
        """
        fields = self.entries[key].fields
        if "eprint" in fields:
            return f"https://arxiv.org/abs/{fields['eprint']}"
        if "doi" in fields:
            return f"https://doi.org/{fields['doi']}"
        return fields.get("url", self.fallback)

    def cited(self, role: str, keys: str) -> str:
        """A citation as Markdown.

        Args:
            role: ``cite:t`` for *He et al. [2016]*, ``cite:p`` for *[He et al., 2016]*.
            keys: of the entries, with commas between them.
        """
        wanted = [key.strip() for key in keys.split(",")]
        if unknown := [key for key in wanted if key not in self.entries]:
            raise ValueError(f"book/references.bib has no {', '.join(unknown)}")
        entries = self.sorting.sort(self.entries[key] for key in wanted)
        references = [
            (each, None, SphinxReferenceInfo(None, "", self.address(each.key), "", None, "", ""))
            for each in entries
        ]
        return self.markdown(format_references(self.style, role.partition(":")[2], references))

    def markdown(self, text) -> str:
        """Rich text of pybtex as Markdown.

        Args:
            text: with names in emphasis and references.
        """
        if isinstance(text, String):
            return str(text)
        inner = "".join(map(self.markdown, text.parts))
        if isinstance(text, Tag):
            return f"*{inner}*"
        if isinstance(text, SphinxReferenceText) and text.info[0].todocname:
            return f"[{inner}]({text.info[0].todocname})"
        return inner
