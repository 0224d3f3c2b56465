"""The sections of the book as text, for the search.

A browser may not fetch files from the file system, but it may load scripts. So the text of every
section is written into a script, ``_static/sections.js``, which search.js loads when somebody
searches. Exercises, solutions and the terms of the glossary are sections of their own.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, NavigableString, Tag

#: TeX commands, each with the character that an excerpt shows for it.
COMMANDS = (
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ kappa κ lambda λ "
    "mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ "
    "Theta Θ Lambda Λ Sigma Σ Phi Φ Psi Ψ Omega Ω times × cdot · le ≤ leq ≤ ge ≥ geq ≥ approx ≈ "
    "ne ≠ neq ≠ to → infty ∞ sum ∑ prod ∏ sqrt √ partial ∂ pm ± mid | odot ⊙ in ∈ dots … ldots … "
    "cdots … propto ∝ equiv ≡"
)
SYMBOLS = dict(re.findall(r"(\w+) (\S)", COMMANDS))
#: What holds nothing that a reader would search for.
SKIPPED = {"script", "style", "svg", "button", "img", "nav", "summary"}
PRE = re.compile(r"<pre\b[^>]*>(.*?)</pre>", re.DOTALL)
#: A name in code, with those before its dots.
NAME = re.compile(r"[A-Za-z_][\w.]*\w{2}")
#: Words of the language itself, which stand everywhere.
COMMON = {*keyword.kwlist, *dir(builtins)}
#: Every chapter begins with this cell.
SETUP = "# Setup. If resnorm is installed"


@dataclass
class Section:
    """A place of the book that has an address.

    Args:
        name: id of the place; nothing for the page itself.
        title: its heading.
        text: its prose, in pieces.
        code: its cells of code, in pieces.
    """

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)

    def as_data(self) -> list[str]:
        """Id, title, text and the names in the code, each once, without Python's own."""
        text = re.sub(r" (?=[.,;:)])", "", " ".join(" ".join(self.text).split()))
        names = dict.fromkeys(NAME.findall(" ".join(self.code)))
        own = [name for name in names if name not in COMMON]
        return [self.name, self.title, text, " ".join(own)]


def parsed(page: str) -> BeautifulSoup:
    """The elements of a page; what colors its code, most of all elements, is left out.

    Args:
        page: HTML.
    """
    return BeautifulSoup(
        PRE.sub(lambda found: f"<pre>{re.sub('<[^>]*>', '', found[1])}</pre>", page), "html.parser"
    )


def readable(tex: str) -> str:
    """A formula as a line of text: Greek letters and signs as characters, the rest bare.

    Args:
        tex: what stands between the delimiters of a formula.
    """
    tex = re.sub(r"\\(?:begin|end)\{[^}]*\}(\{[^}]*\})?|\\label\{[^}]*\}", " ", tex)
    tex = re.sub(r"\\[td]?frac(?:\s*(\w)(\w)|\s*\{([^{}]*)\}\{([^{}]*)\})", r"\1\3/\2\4", tex)
    tex = re.sub(r"\\[,;:! ]|\\\\|&|~|\\q?quad\b|\\[()\[\]]", " ", tex)
    tex = re.sub(r"\\([A-Za-z]+)", lambda found: SYMBOLS.get(found[1], ""), tex)
    return re.sub(r"[{}$\\]|(?<=\w)_(?=\w)|\^(?=2)", "", tex)


def words_of(element: Tag) -> str:
    """The text of an element on one line, with readable formulas.

    Args:
        element: of a page.
    """
    pieces: list[str] = []
    for node in element.descendants:
        if isinstance(node, NavigableString) and type(node) is NavigableString:
            parent = node.parent
            if not parent or parent.name in SKIPPED or "headerlink" in parent.get("class", []):
                continue
            pieces.append(readable(node) if "math" in parent.get("class", []) else node)
        elif isinstance(node, Tag) and node.name in ("p", "li", "td", "th", "br", "div", "dd"):
            pieces.append(" ")
    return " ".join("".join(pieces).split())


def heading_of(element: Tag) -> tuple[str, str] | None:
    """Id and title of the section that begins with an element, if one does.

    Args:
        element: of a page.
    """
    classes = element.get("class", [])
    if element.name in ("h1", "h2", "h3") and element.parent and element.parent.get("id"):
        return "" if element.name == "h1" else element.parent["id"], words_of(element)
    if {"exercise", "solution"} & set(classes) and "admonition" in classes and element.get("id"):
        return element["id"], words_of(element.find(class_="admonition-title"))
    if element.name == "dt" and element.get("id"):
        return element["id"], words_of(element)
    return None


def sections_of(article: Tag) -> list[Section]:
    """The sections of a page, in its order.

    Args:
        article: the element that holds the text of the page.
    """
    found = [Section("", "")]

    def walk(element: Tag, section: Section) -> Section:
        """Add the text below an element; returns the section that goes on behind it."""
        for child in list(element.children):
            if isinstance(child, NavigableString):
                if type(child) is NavigableString and child.strip():
                    section.text.append(child.strip())
                continue
            if not isinstance(child, Tag) or child.name in SKIPPED:
                continue
            classes = child.get("class", [])
            heading = heading_of(child)
            if heading and child.name in ("h1", "h2", "h3", "dt"):
                if heading[0] == "" and not found[0].title:
                    section, found[0].title = found[0], heading[1]
                else:
                    section = Section(*heading)
                    found.append(section)
            elif heading:  # an exercise ends where its element ends
                found.append(Section(*heading))
                child.find(class_="admonition-title").decompose()
                walk(child, found[-1])
            elif "cell_input" in classes:
                code = child.get_text()
                if SETUP not in code:
                    section.code.append(code)
            elif "cell_output" in classes:
                section.text.extend(words_of(each) for each in child.select(".rn-caption"))
            elif child.name in ("section", "div", "dl", "details", "ul", "ol", "blockquote"):
                math = "math" in classes
                section = section if math else walk(child, section)
                if math:
                    section.text.append(words_of(child))
            else:
                section.text.append(words_of(child))
        return section

    walk(article, found[0])
    return [each for each in found if each.title]


def script(pages: Iterable[tuple[str, BeautifulSoup]]) -> str:
    """The script that hands the sections of all pages to search.js.

    Args:
        pages: address from the root and elements of each page, in the order of the contents.
    """
    index = []
    for address, soup in pages:
        article = soup.find("article")
        if not article:
            continue
        sections = [each.as_data() for each in sections_of(article)]
        index.append([address, sections[0][1] if sections else "", sections])
    data = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    return f"window.resnormSections = {data};\n"
