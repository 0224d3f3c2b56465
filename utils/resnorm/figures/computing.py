"""Figures that compute in the page: the reader drags a point or a slider, and numbers follow.

Each figure is a script in ``assets/computing``, a pure function with a drawing and controls, and
shares ``library.js`` with the others. Its output is complete in itself, so it works in a notebook,
in Colab's frames, in the built page and without a network. Readers without scripts see the first
state, as SVG in the page and as PNG in the repository; ``tools/computing.py`` draws both with the
figure's own script.
"""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files

from .display import check_alt, display_caption

#: The figures, by the names of their scripts.
NAMES = (
    "normalize",
    "gradient",
    "running",
    "bowl",
    "chain",
    "paths",
    "receptive",
    "cardinality",
    "nms",
)


def compute(name: str, *, alt: str, caption: str = "") -> None:
    """Display a figure that computes, with alternative text and a caption.

    Args:
        name: one of :data:`NAMES`.
        alt: what the figure shows and what moves it, in four words or more.
        caption: the takeaway, one or two sentences of Markdown; empty for none.

    Raises:
        ValueError: there is no such figure, or the alternative text is too short.
    """
    from IPython.display import display

    markup = computing_html(name, alt)
    alt = check_alt(alt, f"the figure {name}")
    picture = _read(name, "png")
    width, height = (int.from_bytes(picture[at : at + 4], "big") // 2 for at in (16, 20))
    display(
        {
            "text/html": markup,
            "image/png": base64.b64encode(picture).decode(),
            "text/plain": f"<Figure that computes: {alt} Run the cell to move it.>",
        },
        metadata={"image/png": {"alt": alt, "width": width, "height": height}},
        raw=True,
    )
    if caption:
        display_caption(caption)


def computing_html(name: str, alt: str) -> str:
    """Return a figure as HTML that needs no other file.

    Args:
        name: one of :data:`NAMES`.
        alt: what the figure shows and what moves it, in four words or more.

    Returns:
        The drawing of the first state, and the scripts that make it move.

    Raises:
        ValueError: there is no such figure, or the alternative text is too short.
    """
    if name not in NAMES:
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(map(repr, NAMES))}")
    label = html.escape(check_alt(alt, f"the figure {name}"), quote=True)
    first = json.loads(_read(name, "json"))
    drawing = first["svg"].replace("<svg ", f'<svg aria-label="{label}" ', 1)
    return (
        f'<style class="rnc-shared">{_read("library", "css").decode()}</style>'
        f'<div class="rnc" data-figure="{name}">{drawing}'
        f'<p class="rnc-readout">{html.escape(first["readout"])}</p>'
        "<noscript><p>This figure needs JavaScript to move; its first state is shown.</p>"
        "</noscript></div>"
        f'<script class="rnc-shared">{_read("library", "js").decode()}</script>'
        f'<script class="rnc-shared">{_read(name, "js").decode()}</script>'
        f"<script>resnormFigures.start({json.dumps(name)});</script>"
    )


def _read(name: str, ending: str) -> bytes:
    return (files("resnorm") / "assets" / "computing" / f"{name}.{ending}").read_bytes()
