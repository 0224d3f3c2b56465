"""What the book needs of Sphinx and no published extension provides.

- Alternative text: myst-nb passes on the size of an output image, but not its ``alt``. Pictures
  shown through ``resnorm.figures.show`` carry one in their metadata. A picture without alternative
  text is a warning, which stops the build.
- Thebe: sphinx-thebe emits its inline script twice, and a browser reports the second ``const`` as
  a SyntaxError. The book has no thebe button, so both scripts are removed.
- Accessibility, found by axe-core: the bibliography has the role of a list, but no list items, so
  the role is removed.
- A page without code shows a figure that computes by the directive ``computing``.
- Numbers by chapter: see ``numbering``.
- The pages are finished after Sphinx has written them: see ``finishing`` and ``heads``.
- The front page shows pictures of the chapters: see ``gallery``.
- Pages are light: see ``weight`` and ``frames``.
- What a reader downloads as a notebook is the edition without the book's markup.
- Search and previews read what ``sections`` and ``previews`` write; Sphinx's own index is left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from resnorm.figures.computing import computing_html

from . import finishing, gallery, heads, numbering, previews, sections, weight

logger = logging.getLogger(__name__)


RenderImage = Callable[[NbElementRenderer, MimeData], list[nodes.Element]]


def with_alternative_text(render_image: RenderImage) -> RenderImage:
    """Wrap myst-nb's ``render_image`` so that ``alt`` in the output's metadata reaches the page."""

    def render(self: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
        rendered = render_image(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        for node in rendered:
            if alt:
                node["alt"] = alt
            elif not node.get("alt"):
                logger.warning(
                    "this figure has no alternative text: end the cell with "
                    "resnorm.figures.show(fig, alt='what the figure shows')",
                    location=(self.renderer.document["source"], data.line),
                    type="resnorm",
                    subtype="alt",
                )
        return rendered

    return render


class Computing(SphinxDirective):
    """A figure that computes: its name as argument, ``alt`` as option, its caption as content."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """The figure and its caption, in the form of a cell's output, so that both are numbered."""
        try:
            figure = computing_html(self.arguments[0], self.options.get("alt", ""))
        except ValueError as wrong:
            raise self.error(str(wrong)) from wrong
        output = nodes.container(classes=["cell_output"])
        output += nodes.raw("", figure, format="html")
        if self.content:
            parsed = nodes.Element()
            self.state.nested_parse(self.content, self.content_offset, parsed)
            if len(parsed) != 1 or not isinstance(parsed[0], nodes.paragraph):
                raise self.error("the caption of a figure that computes must be one paragraph")
            output += nodes.paragraph("", "", nodes.emphasis("", "", *parsed[0].children))
        return [output]


def without_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Remove the scripts of sphinx-thebe from a page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", "") or "")
        and "thebe" not in str(getattr(script, "attributes", {}).get("body", ""))
    ]


def accessible(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Take the role of a list from the bibliography."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def book_of(app: Sphinx) -> heads.Book:
    """What the pages say of the book."""
    return heads.Book(
        title=app.config.html_title or app.config.project,
        repository=app.config.html_theme_options["repository_url"],
        version=heads.version_in(Path(app.confdir)),
        folder=Path(app.outdir),
    )


def without_index(app: Sphinx) -> None:
    """Sphinx writes no index of single words and no page for it; see ``extra_pages``."""
    app.builder.search = False
    app.config.html_baseurl = book_of(app).site


def extra_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page of the search, with the theme's template, and the one for missing addresses."""
    yield "search", {}, "search.html"
    yield "404", {"title": "No such page", "body": heads.MISSING}, "page.html"


def offer_edition(root: Path, folder: Path) -> None:
    """Let readers download the chapters without MyST, which Jupyter would show as text.

    Args:
        root: of the repository.
        folder: in which the pages lie.
    """
    for path in (root / "colab").rglob("*.ipynb"):
        source = folder / "_sources/notebooks" / path.relative_to(root / "colab")
        if source.is_file():
            shutil.copyfile(path, source)


def lighten(folder: Path) -> None:
    """Give all pages one short style sheet, and keep the theme from measuring their code.

    Args:
        folder: in which the pages lie.
    """
    static = folder / "_static"
    files = [path for path in folder.rglob("*.html") if path.relative_to(folder).parts[0][0] != "_"]
    before = {path: path.read_text("utf-8") for path in files}
    for path, page in weight.one_sheet(before, static).items():
        if page != before[path]:
            path.write_text(page, "utf-8")
    script = static / "scripts/pydata-sphinx-theme.js"
    script.write_text(weight.without_measuring(script.read_text("utf-8")), "utf-8")


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Finish the pages, write what they look up, and remove what the theme brings and none uses."""
    if exception or app.builder.name != "html":
        return
    book, folder = book_of(app), Path(app.outdir)
    for path in folder.rglob("*.html"):
        address = path.relative_to(folder).as_posix()
        if not address.startswith(("_static/", "_sources/")):
            before = path.read_text("utf-8")
            after = finishing.finished(before, address, book)
            if after != before:
                path.write_text(after, "utf-8")
    addresses = [f"{name}.html" for name in app.env.collect_relations()]
    pages = {each: sections.parsed((folder / each).read_text("utf-8")) for each in addresses}
    for address in addresses:
        before = (folder / address).read_text("utf-8")
        after = gallery.filled(before, address, pages, folder)
        if after != before:
            (folder / address).write_text(after, "utf-8")
    (folder / "_static/previews-data.js").write_text(previews.script(pages), "utf-8")
    (folder / "_static/sections.js").write_text(sections.script(pages.items()), "utf-8")
    lighten(folder)
    offer_edition(Path(app.srcdir), folder)
    if book.site:
        (folder / "sitemap.xml").write_text(heads.sitemap(addresses, book), "utf-8")
    for pattern in finishing.UNUSED:
        for unused in (folder / "_static").glob(pattern):
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the changes with Sphinx."""
    NbElementRenderer.render_image = with_alternative_text(NbElementRenderer.render_image)
    app.add_directive("computing", Computing)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", accessible, priority=900)
    app.connect("builder-inited", without_index)
    app.connect("html-collect-pages", extra_pages)
    app.connect("build-finished", finish, priority=900)  # the theme writes its colors of code first
    numbering.install()
    gallery.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
