"""Show figures and tables with alternative text and captions."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from .drawings import drawings_html, encoded

#: How figures are displayed: ``live`` for somebody at a running kernel, ``page`` where a chapter is
#: executed for the repository and the built book.
MODES = ("live", "page")


def display_mode() -> str:
    """Return the mode named by the environment variable ``RESNORM_FIGURES``, or ``live``.

    Returns:
        One of :data:`MODES`.

    Raises:
        ValueError: the variable holds something else.
    """
    mode = os.environ.get("RESNORM_FIGURES", "live")
    if mode not in MODES:
        raise ValueError(
            f"RESNORM_FIGURES is {mode!r}; it must be one of {', '.join(MODES)}, or unset"
        )
    return mode


def check_alt(alt: str, what: str) -> str:
    """Return alternative text on one line, if it is a sentence.

    Args:
        alt: the alternative text.
        what: what it belongs to, for the message.

    Returns:
        ``alt`` with runs of white space replaced by single spaces.

    Raises:
        ValueError: there is no alternative text, or fewer than four words.
    """
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(
            f"{what} needs alternative text: alt={alt!r} must be a sentence that tells a reader "
            "who cannot see the figure what it shows (four words or more)"
        )
    return " ".join(alt.split())


def to_bytes(fig: Figure, format: str = "png", dpi: float = 110) -> bytes:
    """Render ``fig`` without a trace of time or place, so that equal figures are equal bytes.

    Args:
        fig: the figure; it is closed afterwards, so that pyplot does not keep it.
        format: ``png``, or ``webp`` for frames of which a page holds dozens. WebP keeps every pixel
            but only 96 colors, which no one notices in a plot and which halves the size.
        dpi: pixels per inch.

    Returns:
        The encoded picture.

    Raises:
        ValueError: the format is another one.
    """
    if format not in ("png", "webp"):
        raise ValueError(f"format is {format!r}; it must be png or webp")
    png = encoded(fig, "png", dpi, Software=None)
    plt.close(fig)
    if format == "png":
        return png
    with Image.open(io.BytesIO(png)) as picture:
        few_colors = picture.convert("RGB").quantize(96, dither=Image.Dither.NONE).convert("RGB")
    buffer = io.BytesIO()
    few_colors.save(buffer, "WEBP", lossless=True, method=6)
    return buffer.getvalue()


def show(fig: Figure, *, alt: str, caption: str = "") -> None:
    """Display ``fig`` with alternative text and a caption.

    Where the course itself is executed, drawings for the built pages stand beside the picture that
    the notebook stores (see :mod:`resnorm.figures.drawings`).

    The figure is closed, so that the inline backend does not display it again without them.

    Args:
        fig: a matplotlib figure.
        alt: what the figure shows, for a reader who cannot see it, in four words or more. Where it
            begins with ``Images:`` the book's dark theme does not invert the figure.
        caption: the takeaway, one or two sentences of Markdown; empty for none.

    Raises:
        ValueError: there is no alternative text, or fewer than four words.
    """
    from IPython.display import display

    alt = check_alt(alt, "a figure")
    width, height = fig.get_size_inches()
    data = {
        "image/png": base64.b64encode(to_bytes(fig)).decode(),
        "text/plain": f"<Figure: {alt}>",
    }
    if display_mode() == "page":
        data["text/html"] = drawings_html(fig, alt)
    display(
        data,
        metadata={
            "image/png": {"alt": alt, "width": round(width * 96), "height": round(height * 96)}
        },
        raw=True,
    )
    if caption:
        display_caption(caption)


def display_caption(caption: str) -> None:
    """Display a caption under the figure before it; the book's style sheet numbers it.

    Args:
        caption: one or two sentences of Markdown.
    """
    from IPython.display import display

    caption = " ".join(caption.split())
    display({"text/markdown": f"*{caption}*", "text/plain": caption}, raw=True)


def show_table(header: Sequence[str], *rows: Sequence[object]) -> None:
    """Display a small table, as Markdown where it is rendered and as text elsewhere.

    Args:
        header: titles of the columns, in Markdown.
        *rows: one sequence per row, as long as the header; every cell is turned into text.

    Raises:
        ValueError: a row has another length.
    """
    from IPython.display import display

    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"the row {list(row)} has {len(row)} cells, the header {len(header)}")
    lines = [
        "| " + " | ".join(map(str, row)) + " |" for row in (header, ["---"] * len(header), *rows)
    ]
    display({"text/markdown": "\n".join(lines), "text/plain": "\n".join(lines)}, raw=True)


def image_tag(data: bytes, alt: str, format: str = "webp") -> str:
    """Return an ``<img>`` element that carries its picture with it.

    Args:
        data: the encoded picture.
        alt: alternative text; it is escaped.
        format: of the encoded picture, such as ``webp``.

    Returns:
        HTML.
    """
    encoded = base64.b64encode(data).decode()
    return f'<img src="data:image/{format};base64,{encoded}" alt="{html.escape(alt, quote=True)}">'
