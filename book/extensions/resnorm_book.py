"""A few lines of Sphinx that the book needs and no published extension provides.

- Alternative text: myst-nb passes on the size of an output image but not its ``alt``; pictures
  shown through ``resnorm.figures.show`` carry one in their metadata. A picture without is refused.
- sphinx-thebe emits its inline script twice, and a browser reports the second ``const`` as a
  SyntaxError. The book has no thebe button, so both go.
- Accessibility, found by axe-core: displayed equations scroll on a phone, so the keyboard must reach
  them; the bibliography calls itself a list without having list items.
"""

from __future__ import annotations

from myst_nb.core.render import NbElementRenderer
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _with_alternative_text(render_image):
    """Wrap myst-nb's ``render_image`` so that ``alt`` in the output's metadata reaches the page."""

    def render(self, data):
        rendered = render_image(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        for node in rendered:
            if alt:
                node["alt"] = alt
            elif not node.get("alt"):
                logger.warning(
                    "a figure without alternative text: end the cell with "
                    "resnorm.figures.show(fig, alt='what the figure shows')",
                    location=(self.renderer.document["source"], data.line),
                    type="resnorm",
                    subtype="alt",
                )
        return rendered

    return render


def _without_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", "") or "")
        and "thebe" not in str(getattr(script, "attributes", {}).get("body", ""))
    ]


def _accessible(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = (
            context["body"]
            .replace('<div class="math notranslate', '<div tabindex="0" class="math notranslate')
            .replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        )


def setup(app):
    NbElementRenderer.render_image = _with_alternative_text(NbElementRenderer.render_image)
    app.connect("html-page-context", _without_thebe, priority=900)
    app.connect("html-page-context", _accessible, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
