"""What is done to every page when Sphinx has written it.

The theme offers no option for any of this, and most of it concerns elements that extensions write.
"""

from __future__ import annotations

import html
import re
import struct
from pathlib import Path
from urllib.parse import urlencode

from . import dark_pictures, drawings, frames, heads, icons, printed, references, tables, weight

#: Files of the theme that no page asks for any more.
UNUSED = (
    "scripts/fontawesome.js",
    "scripts/fontawesome.js.LICENSE.txt",
    "scripts/*.map",
    "styles/*.map",
    "vendor/fontawesome",
    "locales",
    "sphinx-thebe.*",
    "searchtools.js",
    "language_data.js",
    "sphinx_highlight.js",
    "images/logo_[bdj]*.svg",
)
FORMULA = re.compile(
    r"([(\[“‘]{1,3})?(<span class=\"math notranslate nohighlight\">[^<]*</span>)"
    r"([^\s<]{1,12}(?=[\s<]))?"
)
#: Text, or what is no text: tags, and elements whose text stays as it is.
WORDS = re.compile(
    r"<(pre|code|script|style|svg|option)\b.*?</\1>|<a class=\"rn-self.*?</a>"
    r'|<span class="math\b[^>]*>[^<]*</span>|<div class="math\b.*?</div>|<[^>]*>|(?P<text>[^<]+)',
    re.DOTALL,
)
TIMES = re.compile(r"(?<=[\w²½]) × (?=\w)")
PERCENT = re.compile(r"(?<=\d) %")
NUMBERED = re.compile(
    r"(?:(?<=[Cc]hapter)|(?<=[Ss]ection)|(?<=[Ee]xercise)|(?<=[Ee]quation)|(?<=[Ff]igure)|(?<=[Tt]able))"
    r" (?=\d)"
)
STAR = re.compile(r"(?<=★) ")
HYPHEN = re.compile(r"\b[A-Za-z]+-\d+\w{0,2}\b(?![-./]\w)")
#: What a report of an error asks for.
REPORT = "The sentence or cell:\n\nWhat it should say:\n"
MATHJAX = re.compile(r'<script [^>]*src="([^"]*tex-chtml\.js[^"]*)"[^>]*></script>')
SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex|sphinx_highlight)\.js'
    r"[^>]*></script>|<script>\s*// Activate the search field.*?</script>",
    re.DOTALL,
)
SHARED = re.compile(r'<(style|script) class="rnc-shared">.*?</\1>', re.DOTALL)
#: The theme's button, which prints the page while formulas and pictures are still missing.
PRINT = re.compile(
    r'<li>\s*<button onclick="window\.print\(\)"\s*(class="[^"]*btn-download-pdf-button[^"]*")'
    r'.*?(<span class="btn__icon-container">.*?</span>\s*)<span class="btn__text-container">'
    r"[^<]*</span>\s*</button>\s*</li>",
    re.DOTALL,
)
#: The first cell of a notebook, which installs the package.
SETUP = re.compile(
    r'<div class="cell docutils container">\s*(<div class="cell_input docutils container">\s*'
    r'<div class="highlight-(?:(?!</pre>).)*# Setup\. If resnorm is installed(?:(?!</pre>).)*'
    r"</pre></div>\s*</div>\s*</div>)\s*</div>",
    re.DOTALL,
)
#: The rocket's link to a chapter.
IN_COLAB = re.compile(
    r'(<a href="https://colab\.research\.google\.com/github/[^"]+?/)notebooks(/[^"]+\.ipynb"'
    r"[^>]*\bdropdown-item\b)"
)
PICTURE = re.compile(r'<img\b[^>]*\bsrc="([^"]+\.png)"[^>]*>')


def without_dead_buttons(page: str) -> str:
    """Names the contents buttons as they work; the theme's own come from its empty upper bar."""
    page = re.sub(
        r'(<header id="pst-header"[^>]*>).*?(</header>)', r"\1\2", page, count=1, flags=re.DOTALL
    )
    for old, new in (
        ("Toggle primary sidebar", "Contents of the book"),
        ("Toggle secondary sidebar", "Contents of this page"),
    ):
        page = page.replace(f'title="{old}"', f'title="{new}" aria-label="{new}"')
    return page


def named_as_they_read(page: str) -> str:
    """A fold's name is its text, *Show the code*, instead of a label that says something else."""
    return page.replace('<summary aria-label="Toggle hidden content">', "<summary>")


def with_folded_setup(page: str) -> str:
    """The cell that installs the package is folded: a reader of the page has no use for it."""
    return SETUP.sub(
        '<div class="cell tag_hide-input docutils container">\n'
        '<details class="admonition hide above-input">\n<summary>\n'
        '<p class="collapsed admonition-title">Show the setup</p>\n'
        '<p class="expanded admonition-title">Hide the setup</p>\n'
        r"</summary>\n\1\n</details>\n</div>",
        page,
        count=1,
    )


def with_colab_edition(page: str) -> str:
    """The rocket opens the edition for Colab, which tools/colab.py writes from the notebook."""
    return IN_COLAB.sub(r"\1colab\2", page)


def few_stops(page: str) -> str:
    """The tab key passes over the links of headings to themselves: the contents hold the same."""
    return page.replace('<a class="headerlink" ', '<a tabindex="-1" class="headerlink" ')


def glued(page: str) -> str:
    """A formula stays on one line with the comma behind it and the parenthesis before it."""

    def glue(found: re.Match[str]) -> str:
        before, formula, after = found[1] or "", found[2], found[3] or ""
        if not before and not after:
            return formula
        return f'<span class="rn-glued">{before}{formula}{after}</span>'

    return FORMULA.sub(glue, page)


def unbroken(page: str) -> str:
    """Keeps ``16 × 16``, ``9 %``, ``chapter 3.2`` and ``plain-56`` on one line.

    On a phone a line has about thirty letters, so that many of them would end inside of these.

    Args:
        page: HTML.
    """

    def bound(found: re.Match[str]) -> str:
        text = found["text"]
        if text is None:
            return found[0]
        text = STAR.sub("\u00a0", text)
        text = NUMBERED.sub("\u00a0", PERCENT.sub("\u00a0%", TIMES.sub("\u00a0×\u00a0", text)))
        return HYPHEN.sub(r'<span class="rn-glued">\g<0></span>', text)

    start, article, rest = page.partition("<article")
    article, end, rest = rest.partition("</article>") if article else ("", "", "")
    return start + ("<article" + WORDS.sub(bound, article) + end + rest if end else "")


def shared_once(page: str) -> str:
    """Figures that compute bring their style and library along; a page needs these once.

    Args:
        page: HTML.
    """
    seen: set[str] = set()

    def first(found: re.Match[str]) -> str:
        if found[0] in seen:
            return ""
        seen.add(found[0])
        return found[0]

    return SHARED.sub(first, page)


def size_of(file: Path) -> tuple[int, int]:
    """Width and height of a PNG, in pixels.

    Args:
        file: to be read.
    """
    return struct.unpack(">II", file.read_bytes()[16:24])


def lazy_pictures(page: str, folder: Path) -> str:
    """Pictures are loaded when they come near, and their place is kept free until then.

    Args:
        page: HTML.
        folder: of the page.
    """

    def lazy(found: re.Match[str]) -> str:
        tag, source = found[0], found[1]
        if "logo" in source or "loading=" in tag:
            return tag
        styled = re.search(r"width: (\d+)px; height: (\d+)px", tag)
        width, height = styled.groups() if styled else size_of(folder / source)
        return tag.replace(
            "<img ", f'<img loading="lazy" decoding="async" width="{width}" height="{height}" ', 1
        )

    return PICTURE.sub(lazy, page)


def printable(page: str) -> str:
    """Two buttons that print the page, without solutions and with them; see print.js."""

    def buttons(found: re.Match[str]) -> str:
        kinds = {"text": "Print", "solutions": "Print with solutions"}
        return "\n".join(
            f'<li><button type="button" data-print="{kind}" {found[1]}>{found[2]}'
            f'<span class="btn__text-container">{words}</span></button></li>'
            for kind, words in kinds.items()
            if kind == "text" or 'class="solution ' in page
        )

    return PRINT.sub(buttons, page, count=1)


def with_report(page: str, repository: str) -> str:
    """A button that opens an issue with the page filled in; resnorm.js adds the section.

    Args:
        page: HTML.
        repository: address of the repository on GitHub.
    """
    title = html.unescape(re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]).split(" — ")[0]
    query = urlencode({"title": f"Error in {title.strip()}", "body": REPORT})
    button = (
        f'<a class="btn btn-sm rn-report" href="{html.escape(f"{repository}/issues/new?{query}")}" '
        'target="_blank" rel="noopener" title="Report an error" aria-label="Report an error">'
        '<i class="fas fa-flag"></i></a>\n'
    )
    return page.replace(
        '<button class="btn btn-sm nav-link pst-navbar-icon theme-switch',
        button + '<button class="btn btn-sm nav-link pst-navbar-icon theme-switch',
        1,
    )


def light(page: str) -> str:
    """Scripts wait for the page. Those of Sphinx's search go: search.js takes their place.

    resnorm.js loads MathJax when a formula comes near.

    The values that two inline scripts set are those that the theme takes without them.
    """
    page = re.sub(r"\s*<!-- (?:So that users can add|Pre-loaded scripts)[^>]*-->", "", page)
    page = re.sub(r'\s*<script [^>]*src="[^"]*fontawesome\.js[^>]*></script>', "", page)
    page = re.sub(r'\s*<link rel="preload" as="script"[^>]*>', "", page)
    page = re.sub(r"\s*<script>DOCUMENTATION_OPTIONS\.[^<]*</script>", "", page)
    page = re.sub(r"\s*<script>kernelName = [^<]*</script>", "", page)
    page = re.sub(r'\s*<script type="text/x-thebe-config">.*?</script>', "", page, flags=re.DOTALL)
    page = re.sub(r"\s*<link [^>]*sphinx-thebe\.css[^>]*>", "", page)
    page = SEARCH.sub("", page)
    page = MATHJAX.sub(r'<meta name="rn-mathjax" content="\1">', page)
    return re.sub(r"<script (?![^>]*\bdefer)(?=[^>]*\bsrc=)", "<script defer ", page)


def finished(page: str, address: str, book: heads.Book) -> str:
    """A page as readers get it.

    Args:
        page: as Sphinx wrote it, or as this function returned it.
        address: of the page, from the root.
        book: to which it belongs.
    """
    if 'class="rn-icon"' in page or 'id="main-content"' not in page:
        return page  # finished before, or nothing but a redirection
    folder = (book.folder / address).parent
    page = printable(without_dead_buttons(page))
    page = drawings.stored(page, folder, book.folder / "_images")
    page = frames.stored(page, folder, book.folder / "_images")
    page = with_report(with_colab_edition(page), book.repository)
    page = with_folded_setup(named_as_they_read(light(page)))
    page = references.linked_equations(page)
    page = references.numbered_figures(page)
    page = references.linked_exercises(page)
    page = tables.finished(printed.flowing(page))
    page = shared_once(lazy_pictures(glued(few_stops(page)), folder))
    page = dark_pictures.with_dark_pictures(unbroken(page), folder)
    page = weight.set_aside(weight.plain_code(page))
    page = heads.described(page, address, book)
    return icons.drawn(heads.anywhere(page, book) if address == "404.html" else page)
