"""The page's form of a static figure: a drawing that stays sharp, and a second one for a phone.

Line drawings are SVG with their letters as outlines, so they look the same on every machine.
Pictures whose brightness is their content, and drawings with so many marks that SVG would be heavy,
are PNG of twice the resolution.
"""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from . import lettering, narrow

#: An SVG of more bytes than this becomes a PNG.
HEAVY = 250_000
#: Pixels per inch of a PNG, and of the pictures in an SVG.
DPI = 220
#: Lettering that a reader can make out, in CSS pixels.
LEGIBLE = 11
#: Screens up to this width, in CSS pixels, get the drawing for a phone.
PHONE = 600


@dataclass(frozen=True)
class Drawing:
    """An encoded figure.

    Attributes:
        data: the file.
        kind: ``svg+xml`` or ``png``.
        width: in CSS pixels.
        height: in CSS pixels.
        smallest: size of the smallest lettering, in CSS pixels at this width.
    """

    data: bytes
    kind: str
    width: int
    height: int
    smallest: float

    @property
    def address(self) -> str:
        """The file as an address that carries it."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"


def least_width(width: int, smallest: float) -> int:
    """The width below which the smallest lettering of a figure cannot be read, in CSS pixels.

    Args:
        width: of the figure, in CSS pixels.
        smallest: size of its smallest lettering at this width, in CSS pixels.
    """
    return -int(-width * LEGIBLE // smallest)


def encoded(fig: Figure, format: str, dpi: float, **metadata: str | None) -> bytes:
    """Encode a figure, and leave its layout as it is.

    ``savefig`` sets the layout engine anew when it is done. For a figure without one it would take
    the engine of the settings, and the next drawing would be laid out differently.

    Args:
        fig: the figure.
        format: such as ``png``.
        dpi: pixels per inch.
        **metadata: of the file.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
        fig.savefig(buffer, format=format, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def svg_of(fig: Figure) -> bytes:
    """Draw a figure as SVG without a trace of time or place.

    Args:
        fig: the figure.
    """
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "resnorm"}):
        text = encoded(fig, "svg", DPI, Date=None, Creator=None).decode()
    text = text[text.index("<svg") :]
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL).encode()


def drawing_of(fig: Figure, picture: bool) -> Drawing:
    """Encode a figure for a page.

    Args:
        fig: the figure.
        picture: whether its brightness is its content, as in a photograph.
    """
    data, kind = b"" if picture else svg_of(fig), "svg+xml"
    if picture or len(data) > HEAVY:
        data, kind = encoded(fig, "png", DPI, Software=None), "png"
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    return Drawing(data, kind, width, height, lettering.smallest_text(fig) * 96 / 72)


def drawings_html(fig: Figure, alt: str) -> str:
    """HTML with a figure as it is, and with its form for a phone if that differs.

    Args:
        fig: the figure; it is of no further use.
        alt: its alternative text.
    """
    picture = alt.startswith("Images:")
    wide = drawing_of(fig, picture)
    if not narrow.narrowed(fig):
        return _element(wide, None, alt)
    small = drawing_of(fig, picture)
    return _element(wide, small, alt) if wide.width > small.width else _element(small, None, alt)


def _element(drawing: Drawing, small: Drawing | None, alt: str) -> str:
    """A ``<picture>`` in a box that scrolls where the drawing would become illegible."""
    source, least = "", f' style="min-width: {least_width(drawing.width, drawing.smallest)}px"'
    if small is not None:
        least = ""
        source = (
            f'<source media="(max-width: {PHONE}px)" width="{small.width}" '
            f'height="{small.height}" data-smallest="{small.smallest:.1f}" '
            f'srcset="{small.address}">'
        )
    return (
        f'<div class="rn-drawing"><picture>{source}<img width="{drawing.width}" '
        f'height="{drawing.height}" data-smallest="{drawing.smallest:.1f}"{least} '
        f'alt="{html.escape(alt, quote=True)}" src="{drawing.address}"></picture></div>'
    )
