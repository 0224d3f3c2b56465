"""What the book needs of Sphinx and no published extension provides.

- Alternative text: myst-nb passes on the size of an output image, but not its ``alt``. Pictures
  shown through ``resnorm.figures.show`` carry one in their metadata. A picture without alternative
  text is a warning, which stops the build.
- Thebe: sphinx-thebe emits its inline script twice, and a browser reports the second ``const`` as
  a SyntaxError. The book has no thebe button, so both scripts are removed.
- Accessibility, found by axe-core: the bibliography has the role of a list, but no list items, so
  the role is removed.
- Numbers by chapter: see ``numbering``.
- The pages are finished after Sphinx has written them: see ``finishing``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.util import logging

from . import finishing, numbering

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


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Finish the pages, and remove what the theme brings and no page uses."""
    if exception or app.builder.name != "html":
        return
    folder, repository = Path(app.outdir), app.config.html_theme_options["repository_url"]
    for page in folder.rglob("*.html"):
        if page.relative_to(folder).parts[0] not in ("_static", "_sources"):
            before = page.read_text("utf-8")
            after = finishing.finished(before, page.parent, repository)
            if after != before:
                page.write_text(after, "utf-8")
    for pattern in finishing.UNUSED:
        for unused in (folder / "_static").glob(pattern):
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the changes with Sphinx."""
    NbElementRenderer.render_image = with_alternative_text(NbElementRenderer.render_image)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("html-page-context", accessible, priority=900)
    app.connect("build-finished", finish)
    numbering.install()
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
