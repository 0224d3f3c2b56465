"""Draw the first state of each figure that computes, for readers without scripts.

``python tools/computing.py [NAME ...]`` writes ``NAME.json`` (the drawing as SVG and its sentence)
and ``NAME.png`` beside the figure's script. It needs Chromium.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from chromium import launched
from usage import command_line

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "utils" / "resnorm" / "assets" / "computing"
#: Widths in CSS pixels: a phone's for the SVG, which a page cannot lay out anew without a script.
NARROW, WIDE = 330, 640


def names() -> list[str]:
    """The figures, by the names of their scripts."""
    return sorted(path.stem for path in ASSETS.glob("*.js") if path.stem != "library")


def document(name: str) -> str:
    """A page in which the script of a figure is loaded, and nothing else.

    Args:
        name: of the figure.
    """
    style, *scripts = (
        (ASSETS / each).read_text("utf-8") for each in ("library.css", "library.js", f"{name}.js")
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{style} body {{ margin: 0; background: #fff; color: #1c2430 }}"
        ".rnc.rnc { border: 0; padding: 8px; margin: 0; max-width: none; "
        f'width: {WIDE + 16}px }}</style><div class="rnc"></div>'
        + "".join(f"<script>{script}</script>" for script in scripts)
    )


def first_state(page: Any, name: str) -> tuple[dict[str, str], bytes]:
    """Draw a figure as it stands before anybody moves it.

    Args:
        page: of Playwright, with two device pixels per CSS pixel.
        name: of the figure.

    Returns:
        The drawing and its sentence, and the picture as PNG.
    """
    page.set_content(document(name))
    draw = f"resnormFigures.picture({json.dumps(name)}, %d)"
    found = page.evaluate(draw % NARROW)
    page.evaluate(f"document.querySelector('.rnc').innerHTML = {draw % WIDE}.svg")
    with Image.open(io.BytesIO(page.locator(".rnc").screenshot())) as drawn:
        few_colors = drawn.convert("RGB").quantize(96, dither=Image.Dither.NONE)
    picture = io.BytesIO()
    few_colors.save(picture, "PNG", optimize=True)
    return found, picture.getvalue()


def main(arguments: list[str]) -> None:
    """Draw the figures that are named, or all of them."""
    parser = command_line(__doc__)
    parser.add_argument("name", nargs="*", help=f"of a figure: {', '.join(names())}")
    wanted = parser.parse_args(arguments).name or names()
    if unknown := sorted(set(wanted) - set(names())):
        parser.error(f"no figure {', '.join(unknown)}; there are {', '.join(names())}")
    with launched(missing=sys.exit) as browser:
        page = browser.new_page(device_scale_factor=2, viewport={"width": 800, "height": 900})
        for name in wanted:
            found, picture = first_state(page, name)
            (ASSETS / f"{name}.json").write_text(
                json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8"
            )
            (ASSETS / f"{name}.png").write_bytes(picture)


if __name__ == "__main__":
    main(sys.argv[1:])
