"""The book's icons as inline drawings.

The theme draws about a dozen icons with a script of 543 kB (compressed) and its fonts. Here each is
a few strokes in a square of 24 units, in the color of the text around it.
"""

import re

#: By the theme's name of the icon: the strokes of a path.
STROKES = {
    "angle-left": "M15 5l-7 7 7 7",
    "angle-right": "M9 5l7 7-7 7",
    "arrow-up": "M12 20V4M5 11l7-7 7 7",
    "bars": "M4 6h16M4 12h16M4 18h16",
    "circle-half-stroke": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16M12 4v16M10 5v14M8 6v12M6 7.5v9",
    "download": "M12 4v11M7 10l5 5 5-5M4 20h16",
    "flag": "M6 21V4c5-3 7 3 12 0v10c-5 3-7-3-12 0",
    "expand": "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
    "file-pdf": "M7 8V3h10v5M7 17H4V8h16v9h-3M7 14h10v7H7z",
    "github": "M7 8v8M17 10c0 5-10 2-10 6M7 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4M7 20a2 2 0 1 0 0-4"
    " 2 2 0 0 0 0 4M17 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4",
    "list": "M9 6h11M9 12h11M9 18h11M4 6h.1M4 12h.1M4 18h.1",
    "magnifying-glass": "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13M15.2 15.2L21 21",
    "moon": "M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z",
    "rocket": "M9 16C7 11 8 6 12 2.5 16 6 17 11 15 16zM12 9h.1"
    "M8.5 12L5 16v4l4-3M15.5 12l3.5 4v4l-4-3M12 19v2.5",
    "sun": "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6"
    " 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
}
ICON = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"([^>]*)></\1>')


def drawing(name: str) -> str:
    """An icon as SVG, which a screen reader passes over.

    Args:
        name: a key of ``STROKES``.
    """
    return (
        '<svg class="rn-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
        f'<path d="{STROKES[name]}"/></svg>'
    )


def drawn(page: str) -> str:
    """A page whose icons are drawings.

    Args:
        page: HTML, in which an icon is an empty element with the classes of Font Awesome.

    Raises:
        ValueError: an icon has no drawing.
    """

    def draw(found: re.Match[str]) -> str:
        classes = found[2].split()
        names = [each[3:] for each in classes if each.startswith("fa-") and each[3:] in STROKES]
        if not names:
            raise ValueError(
                f"the page shows an icon of the classes {found[2]!r}, which has no drawing; "
                "add its strokes to STROKES in book/extensions/icons.py"
            )
        others = " ".join(each for each in classes if not re.match(r"fa[bsr]?$|fa-", each))
        return f'<span class="{others}"{found[3]}>{drawing(names[0])}</span>'

    return ICON.sub(draw, page)
