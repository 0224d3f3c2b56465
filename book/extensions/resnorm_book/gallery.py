"""Pictures of the course on its front page, taken from the chapters that draw them.

In Markdown, one line for each picture: the chapter, the beginning of the picture's alternative
text, and what stands below the picture::

    ```{gallery}
    notebooks/2-normalization/1-batch-norm-forward | Points in the plane | Three spirals
    ```

A picture that no chapter draws any more stops the build.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from PIL import Image
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

#: Twice the largest size at which a picture is shown, in pixels.
WIDTH, HEIGHT = 480, 360
ITEM = re.compile(r'<li data-page="([^"]*)" data-words="([^"]*)">(.*?)</li>')


class Gallery(SphinxDirective):
    """Notes which pictures are wanted; ``filled`` puts them in when all pages are written."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """A list with an item for each picture.

        The page is read again in every build, because its pictures change with other pages.
        """
        self.env.note_reread()
        items = []
        for line in filter(str.strip, self.content):
            parts = [html.escape(part.strip()) for part in line.split("|")]
            if len(parts) != 3:
                raise self.error(f"{line!r} must be: chapter | alternative text | title")
            items.append('<li data-page="{}" data-words="{}">{}</li>'.format(*parts))
        return [nodes.raw("", f'<ul class="rn-gallery">{"".join(items)}</ul>', format="html")]


def pictures_that_begin(chapter: BeautifulSoup, words: str) -> list[Tag]:
    """The forms of one picture, the one for the light theme first.

    Args:
        chapter: elements of its page.
        words: with which its alternative text begins.
    """
    found = [
        image
        for image in chapter.select(".cell_output img[alt]")
        if " ".join(image["alt"].split()).startswith(words)
    ]
    return sorted(found, key=for_the_dark)


def for_the_dark(image: Tag) -> bool:
    """Whether a picture is shown in the dark theme only.

    Args:
        image: an ``img``, perhaps in a ``picture``.
    """
    return any("only-dark" in each.get("class", []) for each in (image, image.parent))


def reduced(picture: bytes, images: Path) -> Path:
    """Write a small form of a picture, and return its path.

    Args:
        picture: PNG or WebP.
        images: folder for the file.
    """
    file = images / f"gallery-{hashlib.sha256(picture).hexdigest()[:24]}.webp"
    if not file.exists():
        with Image.open(io.BytesIO(picture)) as large:
            small = large.convert("RGB")
        scale = max(WIDTH / small.width, HEIGHT / small.height)  # the page shows the upper part
        if scale < 1:
            size = (round(small.width * scale), round(small.height * scale))
            small = small.resize(size, Image.Resampling.LANCZOS)
        images.mkdir(parents=True, exist_ok=True)
        small.crop((0, 0, min(small.width, WIDTH), min(small.height, HEIGHT))).save(
            file, "WEBP", quality=82, method=6
        )
    return file


def filled(page: str, address: str, pages: dict[str, BeautifulSoup], site: Path) -> str:
    """A page with the pictures that its galleries name.

    Args:
        page: HTML.
        address: of the page, from the root.
        pages: elements of each page by its address from the root.
        site: folder of the pages.
    """
    start = posixpath.dirname(address) or "."

    def tag(image: Tag, name: str) -> str:
        source = image["src"]
        folder = (site / name).parent
        if source.startswith("data:"):
            file = reduced(base64.b64decode(source.partition(",")[2]), site / "_images")
        elif source.endswith(".svg"):
            file = folder / source
        else:
            file = reduced((folder / source).read_bytes(), site / "_images")
        where = posixpath.relpath(Path(os.path.relpath(file, site)).as_posix(), start)
        return (
            f'<img loading="lazy" decoding="async" width="{WIDTH}" height="{HEIGHT}" '
            f'src="{where}" alt="{html.escape(image["alt"], quote=True)}">'
        )

    def item(found: re.Match[str]) -> str:
        name, words, title = html.unescape(found[1]) + ".html", html.unescape(found[2]), found[3]
        forms = pictures_that_begin(pages[name], words) if name in pages else []
        kinds = [for_the_dark(image) for image in forms]
        if kinds not in ([False], [False, True]):
            raise ExtensionError(
                f"{address}: {len(forms)} pictures of {name} have an alternative text that begins "
                f"with {words!r}; the gallery needs exactly one"
            )
        shown = tag(forms[0], name)
        if len(forms) == 2:
            shown = shown.replace("<img ", '<img class="only-light" ', 1)
            shown += tag(forms[1], name).replace("<img ", '<img class="only-dark" ', 1)
        cell = forms[0].find_parent(class_="cell_output")
        figure = cell and (cell if cell.get("id") else cell.find(class_="rn-caption", id=True))
        place = posixpath.relpath(name, start) + (f"#{figure['id']}" if figure else "")
        moves = ' class="rn-moves"' if forms[0].find_parent(class_="rn-explore") else ""
        return f'<li><a href="{html.escape(place)}"{moves}>{shown}<span>{title}</span></a></li>'

    return ITEM.sub(item, page)


def setup(app: Any) -> None:
    """Register the directive.

    Args:
        app: Sphinx.
    """
    app.add_directive("gallery", Gallery)
