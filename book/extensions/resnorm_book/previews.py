"""What a link leads to, shown beside it: equations, figures, exercises, terms, works and sections.

All figures, and what else a link of the book leads to, stand in ``_static/previews-data.js``, which
previews.js loads when the pointer or the keyboard first rests on a link.
"""

from __future__ import annotations

import copy
import json
import posixpath
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

#: What a preview leaves out.
LEFT_OUT = ".headerlink, .rn-to-solution, details, script, button, .cell_input, svg"
#: Letters of a section that a preview shows.
LONGEST = 700


def targets(address: str, article: Tag) -> Iterator[tuple[str, str]]:
    """Page and id of each place of the book to which a page links.

    Args:
        address: of the page, from the root.
        article: the element that holds the text of the page.
    """
    for link in article.select('a[href*="#"]:not(.headerlink, .rn-self)'):
        parts = urlsplit(link["href"])
        if not parts.scheme and parts.fragment:
            path = posixpath.join(posixpath.dirname(address), unquote(parts.path))
            yield posixpath.normpath(path) if parts.path else address, unquote(parts.fragment)


def parts_of(target: Tag) -> list[Tag]:
    """The elements that show what an address names; none if it names nothing of these kinds.

    Args:
        target: the element with the id.
    """
    classes = target.get("class", [])
    if target.name == "div" and {"math", "exercise", "citation"} & set(classes):
        return [target]
    if target.get("id", "").startswith("figure-"):
        cell = target if "cell_output" in classes else target.find_parent(class_="cell_output")
        picture = cell and cell.select_one('img:not(.only-dark, [src^="data:"])')
        caption = target if target.name == "p" else target.find(class_="rn-caption")
        return [each for each in (picture, caption) if each]
    if target.name == "dt":
        meaning = target.find_next_sibling("dd")
        return [target, meaning] if meaning else []
    if target.name == "span":  # a label in front of a heading
        target = target.find_parent("section") or target
    if target.name == "section":
        heading = target.find(["h1", "h2", "h3", "h4"])
        first = target.find("p", recursive=False)
        return [each for each in (heading, first) if each] if heading else []
    return []


def preview(address: str, parts: list[Tag]) -> str:
    """HTML of a preview, whose addresses count from the root and whose ids are gone.

    Args:
        address: of the page, from the root.
        parts: what is shown, as ``parts_of`` returns it.
    """
    pieces = []
    for part in parts:
        part = copy.copy(part)
        for each in part.select(LEFT_OUT):
            each.decompose()
        for each in [part, *part.find_all(True)]:
            del each["id"]
            for attribute in ("src", "href"):
                value = each.get(attribute)
                if value and not urlsplit(value).scheme:
                    base = address if value.startswith("#") else posixpath.dirname(address)
                    joined = f"{base}{value}" if value.startswith("#") else f"{base}/{value}"
                    path, mark, fragment = joined.partition("#")
                    each[attribute] = posixpath.normpath(path) + mark + fragment
        if part.name in ("h1", "h2", "h3", "h4", "dt"):
            part.name, part.attrs = "p", {"class": "rn-preview-title"}
        elif part.name == "dd":
            part.name = "div"
        pieces.append(str(part))
    return "".join(pieces)


def script(pages: dict[str, BeautifulSoup]) -> str:
    """The script that hands the previews to the pages.

    Args:
        pages: elements of each page by its address from the root.
    """
    wanted = {
        target
        for address, soup in pages.items()
        for article in soup.find_all("article")
        for target in targets(address, article)
    }
    found = {}
    for address, soup in pages.items():
        names = {name for page, name in wanted if page == address}
        names |= {each["id"] for each in soup.select(".cell_output[id^=figure-]")}
        for target in soup.find_all(id=names.__contains__):
            parts = parts_of(target)
            if parts and sum(len(part.get_text()) for part in parts) <= 4 * LONGEST:
                found[f"{address}#{target['id']}"] = preview(address, parts)
    return f"window.resnormPreviews = {json.dumps(found, ensure_ascii=False, sort_keys=True)};\n"
