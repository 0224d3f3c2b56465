"""Make PDFs of the built pages: one for each page, and one of the whole book.

Usage: ``python tools/pdf.py [--solutions] [PAGE ...]`` after ``make book``. A page is named by its
number or by a part of its address, such as ``2.2`` or ``glossary``, and ``book`` is the whole book;
without a name all are made. They land in ``_build/pdf``, with hints, answers and solutions only
if ``--solutions`` asks for them. It takes Chromium or Chrome, version 131 or newer.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from repository import forms, read_address
from usage import command_line

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Older ones print no numbers of pages.
OLDEST = 131
#: Milliseconds until a page stands; a whole book has thousands of formulas.
PATIENCE = 900_000
WHOLE = "book"


@dataclass(frozen=True)
class Source:
    """A page of the book.

    Args:
        address: from the root of the pages.
        title: as it is in the page's head.
        solutions: whether it has any.
    """

    address: str
    title: str
    solutions: bool

    @property
    def number(self) -> str:
        """The chapter's number, such as ``2.2``, or nothing."""
        found = re.match(r"(\d+\.\d+) ", self.title)
        return found[1] if found else ""

    @property
    def name(self) -> str:
        """Of the PDF, such as ``2.2-batch-norm-backward``."""
        stem = Path(self.address).stem
        if self.number:
            return f"{self.number}-{stem.partition('-')[2]}"
        return "front-page" if stem == "index" else stem

    def is_meant_by(self, word: str) -> bool:
        """Whether a reader means this page: by its number, or by a part of its address."""
        return word == self.number if re.fullmatch(r"[\d.]+", word) else word in self.address


def sources(site: Path, contents: Path) -> list[Source]:
    """The pages of the book in their order.

    Args:
        site: folder of the built pages.
        contents: ``_toc.yml``.

    Raises:
        FileNotFoundError: the book is not built, or not all of it.
    """
    toc = yaml.safe_load(contents.read_text("utf-8"))
    names = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    found = []
    for name in names:
        path = site / f"{name}.html"
        if not path.is_file():
            raise FileNotFoundError(f"the page {name}.html is not built: run make book first")
        page = path.read_text("utf-8")
        title = html.unescape(re.search(r'<meta property="og:title" content="([^"]*)"', page)[1])
        found.append(Source(f"{name}.html", title, 'class="solution ' in page))
    return found


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window.

    Raises:
        RuntimeError: there is none, or it is too old.
    """
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        raise RuntimeError(
            f"there is no browser: install Chromium or Chrome so that one of {', '.join(BROWSERS)} "
            "is on the PATH"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = "--no-sandbox --disable-gpu --no-first-run --allow-file-access-from-files"
        started = playwright.chromium.launch(executable_path=executable, args=options.split())
        try:
            if int(started.version.split(".")[0]) < OLDEST:
                raise RuntimeError(
                    f"{executable} is version {started.version}, and {OLDEST} or newer is needed: "
                    "update the browser"
                )
            yield started
        finally:
            started.close()


#: Links to other pages lead to the published book, or, where none is published, nowhere.
OUTWARD = """site => {
  const here = location.href.split("#")[0];
  document.querySelectorAll("article a[href]").forEach(link => {
    if (link.protocol !== "file:" || link.href.split("#")[0] === here) return;
    if (site) link.href = site + "/" + link.href.slice(ROOT.length);
    else link.removeAttribute("href");
  });
}"""
#: Makes articles of one page out of many: their names and links get the number of their page.
GATHER = """pages => {
  const home = document.querySelector("article");
  const indices = new Map(pages.map((page, k) => [ROOT + page.address, k]));
  const added = pages.map((page, k) => {
    const parsed = new DOMParser().parseFromString(page.markup, "text/html");
    const found = parsed.querySelector("article");
    found.querySelectorAll("script, style").forEach(each => each.remove());
    const base = ROOT + page.address;
    found.querySelectorAll("[id]").forEach(each => { each.id = `p${k}-${each.id}`; });
    found.querySelectorAll("[src]").forEach(each => {
      each.src = new URL(each.getAttribute("src"), base).href;
    });
    found.querySelectorAll("a[href]").forEach(each => {
      const target = new URL(each.getAttribute("href"), base);
      const index = indices.get(target.href.split("#")[0]);
      each.setAttribute("href", index === undefined ? target.href
        : "#" + (target.hash ? `p${index}-${target.hash.slice(1)}` : `p${index}`));
    });
    found.id = `p${k}`;
    found.style.page = `p${k}`;
    found.style.breakBefore = k ? "page" : "auto";
    return found;
  });
  home.replaceWith(...added);
  const formulas = [...document.querySelectorAll("article .math")];
  return window.resnorm.typesetNow(formulas).then(() => true);
}"""


def running_head(title: str, name: str = "") -> str:
    """Style that puts a title above each page.

    Args:
        title: of a chapter.
        name: of the pages that it is for; all of them without one.
    """
    words = json.dumps(title, ensure_ascii=False)
    return (
        f"@page {name} {{ @top-left {{ content: {words}; font: 9pt system-ui, sans-serif; "
        "color: #4b5563; } }\n"
    )


def write(page: Page, target: Path, solutions: bool, site: str) -> None:
    """Print what a browser shows.

    Args:
        page: of the browser, with a chapter.
        target: the PDF.
        solutions: whether they are printed.
        site: address of the published book, or nothing.
    """
    page.evaluate("() => window.resnorm.complete().then(() => true)")
    page.evaluate(OUTWARD.replace("ROOT", json.dumps(HTML.as_uri() + "/")), site)
    page.evaluate(
        f"document.documentElement.dataset.print = '{'solutions' if solutions else 'text'}'"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    page.pdf(path=part, prefer_css_page_size=True, outline=True, tagged=True, print_background=True)
    part.replace(target)


def opened(started: Browser, address: str) -> Page:
    """A new page of the browser, on paper's width.

    Args:
        started: the browser.
        address: from the root of the pages.
    """
    page = started.new_page(viewport={"width": 1000, "height": 1200}, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.goto((HTML / address).as_uri(), wait_until="load")
    return page


def make_page(started: Browser, source: Source, solutions: bool, site: str) -> Path:
    """The PDF of one page.

    Args:
        started: the browser.
        source: the page.
        solutions: whether they are printed.
        site: address of the published book, or nothing.
    """
    with_them = solutions and source.solutions
    target = PDF / f"{source.name}{'-with-solutions' if with_them else ''}.pdf"
    page = opened(started, source.address)
    page.add_style_tag(content=running_head(source.title))
    write(page, target, with_them, site)
    page.close()
    return target


def make_book(started: Browser, pages: list[Source], solutions: bool, site: str) -> Path:
    """The PDF of the whole book, in which links between the pages lead to pages of the PDF.

    Args:
        started: the browser.
        pages: in their order.
        solutions: whether they are printed.
        site: address of the published book, or nothing.
    """
    target = PDF / f"book{'-with-solutions' if solutions else ''}.pdf"
    page = opened(started, pages[0].address)
    texts = [
        {"address": each.address, "markup": (HTML / each.address).read_text("utf-8")}
        for each in pages
    ]
    page.evaluate(GATHER.replace("ROOT", json.dumps(HTML.as_uri() + "/")), texts)
    heads = (running_head(each.title, f"p{k}") for k, each in enumerate(pages))
    page.add_style_tag(content="".join(heads))
    write(page, target, solutions, site)
    page.close()
    return target


def main(arguments: list[str]) -> None:
    """Make the PDFs, or say what is missing."""
    parser = command_line(__doc__)
    parser.add_argument("--solutions", action="store_true", help="with hints and solutions")
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    given = parser.parse_args(arguments)
    try:
        pages = sources(HTML, ROOT / "_toc.yml")
        words = [word for word in given.pages if word != WHOLE]
        unknown = [word for word in words if not any(p.is_meant_by(word) for p in pages)]
        if unknown:
            parser.error(f"the book has no page {', '.join(unknown)}")
        chosen = [p for p in pages if not given.pages or any(map(p.is_meant_by, words))]
        address = forms(read_address(ROOT))
        site = address[2] if len(address) > 2 else ""
        with browser() as started:
            for source in chosen:
                print(
                    make_page(started, source, given.solutions, site).relative_to(ROOT), flush=True
                )
            if not given.pages or WHOLE in given.pages:
                print(
                    make_book(started, pages, given.solutions, site).relative_to(ROOT), flush=True
                )
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(f"No PDF was made: {error}.")


if __name__ == "__main__":
    main(sys.argv[1:])
