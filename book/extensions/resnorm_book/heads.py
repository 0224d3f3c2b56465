"""What machines read of a page, and the line at its foot: description, preview, edition.

Sites that show a link as a card read the Open Graph tags. They need absolute addresses, which the
book has where its repository is on GitHub, whose Pages publish it.
"""

from __future__ import annotations

import html
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import sections

#: Letters of a description; search engines show about 160.
LONGEST = 200
FIRST = re.compile(r"</h1>.*?<p>((?:(?!</p>).)+)</p>", re.DOTALL)
OPENING = re.compile(r"^(The question|Predict|Task)\. ")


@dataclass(frozen=True)
class Book:
    """What the pages say of the book.

    Args:
        title: of the book.
        repository: address on GitHub or elsewhere.
        version: as ``pyproject.toml`` has it.
        folder: in which the pages lie.
    """

    title: str
    repository: str
    version: str
    folder: Path

    @property
    def site(self) -> str:
        """Address of the published pages with a slash behind it; nothing outside of GitHub."""
        host, _, path = self.repository.removeprefix("https://").partition("/")
        owner, _, name = path.partition("/")
        return f"https://{owner.lower()}.github.io/{name}/" if host == "github.com" else ""


def version_in(root: Path) -> str:
    """The version of the package and the book.

    Args:
        root: folder of ``pyproject.toml``.
    """
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def description(page: str) -> str:
    """The first paragraph of a page as text, cut behind a sentence or a word.

    Args:
        page: HTML.
    """
    found = FIRST.search(page)
    if not found:
        return ""
    text = OPENING.sub("", sections.words_of(sections.parsed(f"<p>{found[1]}</p>")))
    if len(text) <= LONGEST:
        return text
    sentences = re.match(rf"(.{{60,{LONGEST - 1}}}[.?!]) ", text)
    return sentences[1] if sentences else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def tags(page: str, address: str, book: Book) -> str:
    """The elements of the head that describe a page.

    Args:
        page: HTML.
        address: of the page, from the root.
        book: to which it belongs.
    """
    title = html.unescape(re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]).strip()
    title = re.split(r" (?:—|-) " + re.escape(book.title), title)[0].strip()
    text = description(page)
    named = {
        "og:type": "website" if address == "book/index.html" else "article",
        "og:site_name": book.title,
        "og:title": title,
        "og:description": text,
    }
    if book.site:
        named |= {
            "og:url": book.site + address,
            "og:image": f"{book.site}_static/page.png",
            "og:image:alt": "A page of the book: a formula, code and a figure",
        }
    lines = [
        f'<meta property="{name}" content="{html.escape(value)}">'
        for name, value in named.items()
        if value
    ]
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    if text:
        lines.append(f'<meta name="description" content="{html.escape(text)}">')
    return "\n".join(lines)


def described(page: str, address: str, book: Book) -> str:
    """A page with its description in the head, and with edition and version at its foot.

    Args:
        page: HTML.
        address: of the page, from the root.
        book: to which it belongs.
    """
    page = page.replace("</title>", f"</title>\n{tags(page, address, book)}", 1)
    changes = os.path.relpath("book/changes.html", os.path.dirname(address) or ".")
    line = (
        f'<p class="rn-version">Second edition, version {html.escape(book.version)}. '
        f'<a href="{changes}">What has changed</a></p>\n'
    )
    return page.replace('<p class="copyright">', f'{line}<p class="copyright">', 1)


#: Links of the page for missing addresses count from the site's folder, wherever it is shown. (A
#: browser may ask for some of its styles in vain before it runs this, and asks again.)
BASE = """<script>if (location.protocol !== "file:") {{
  const root = location.pathname.startsWith("{path}") ? "{path}" : "/";
  document.write(`<base href="${{root}}404.html">`);
}}</script>
"""
MISSING = """<section id="no-such-page"><h1>There is no such page</h1>
<p>The address leads to no page of this book. Pages and sections move when the book is revised.</p>
<ul><li><a href="search.html">Search the book</a> for the words of the address.</li>
<li>Begin on the <a href="book/index.html">front page</a>, which lists all chapters.</li>
<li>If a link of the book brought you here, please report it with the flag above.</li></ul>
</section>
"""


def anywhere(page: str, book: Book) -> str:
    """The page for missing addresses, which a server shows below any folder.

    Args:
        page: HTML.
        book: to which it belongs.
    """
    path = urlsplit(book.site).path or "/"
    return page.replace("<meta charset", BASE.format(path=path) + "<meta charset", 1)


def sitemap(addresses: list[str], book: Book) -> str:
    """The pages of the book, for search engines.

    Args:
        addresses: of the pages, from the root.
        book: to which they belong.
    """
    lines = "".join(
        f"<url><loc>{html.escape(book.site + each)}</loc></url>\n" for each in addresses
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{lines}</urlset>\n'
    )
