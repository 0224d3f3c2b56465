"""The page's form of an interactive figure: controls over frames that were drawn beforehand.

Plain HTML with a short script (``assets/explore.js``), so a page moves without a kernel and without
a network.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple

from .drawings import PHONE, least_width
from .phone_frames import DPI as PHONE_DPI
from .phone_frames import PhoneFrames

#: Label of a control -> its values.
Grid = dict[str, tuple]


class Picture(NamedTuple):
    """One state of a figure.

    Attributes:
        data: the picture (WebP).
        text: its alternative text.
        smallest: size of its smallest lettering in points, if that was measured.
    """

    data: bytes
    text: str
    smallest: float = float("inf")


#: Draws one state, or takes it from memory.
Frame = Callable[[tuple], Picture]

#: Pixels per inch of the frames.
DPI = 100
_counter = itertools.count()  # numbers the figures of a page


def is_numeric(values: tuple) -> bool:
    """Tell whether all values are numbers; booleans count as words.

    Args:
        values: the values of one control.
    """
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def format_value(value: Any) -> str:
    """Write a value as a reader sees it: floats in short form, the rest as text.

    Args:
        value: a number or a word.
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe(grid: Grid, values: tuple) -> str:
    """Name a state, such as ``eps = 0.1, norm = batch``.

    Args:
        grid: the controls and their values.
        values: one value per control.
    """
    return ", ".join(
        f"{name} = {format_value(value)}" for name, value in zip(grid, values, strict=True)
    )


def kind_of_control(values: tuple) -> str:
    """Choose ``"slider"`` for numbers, ``"buttons"`` for up to four words, or else ``"menu"``.

    Args:
        values: the values of one control.
    """
    if is_numeric(values):
        return "slider"
    return "buttons" if len(values) <= 4 else "menu"


def static_html(grid: Grid, state: tuple, frame: Frame, phone: PhoneFrames) -> str:
    """Draw every state and put the frames into HTML that needs nothing else.

    Args:
        grid: the controls and their values.
        state: the values that are shown first, one per control.
        frame: draws a state.
        phone: has the frames for a phone, if there are any, when all states are drawn.

    Returns:
        HTML with style, controls, pictures and script.
    """
    identifier = f"rn-explore-{next(_counter)}"
    states = {}
    for indices in itertools.product(*(range(len(values)) for values in grid.values())):
        values = tuple(v[i] for v, i in zip(grid.values(), indices, strict=True))
        states[",".join(map(str, indices))] = values
    payload = {
        "src": {key: _address(frame(values).data) for key, values in states.items()},
        "alt": {key: frame(values).text for key, values in states.items()},
        "label": {key: describe(grid, values) for key, values in states.items()},
    }
    start = [values.index(value) for values, value in zip(grid.values(), state, strict=True)]
    controls = "".join(
        _control(identifier, i, name, values, start[i])
        for i, (name, values) in enumerate(grid.items())
    )
    assets = files("resnorm") / "assets"
    style = (assets / "explore.css").read_text()
    script = (assets / "explore.js").read_text()
    # "<" is escaped in the JSON, so no text can end the script element early.
    frames_json = json.dumps(payload).replace("<", "\\u003c")
    narrow_json = ""
    if phone.pictures:
        addresses = {key: _address(phone.pictures[values]) for key, values in states.items()}
        narrow_json = (
            f'<script type="application/json" class="rn-narrow">{json.dumps(addresses)}</script>'
        )
    return (
        f"<style>{style}</style>"
        f'<div class="rn-explore" id="{identifier}" role="group" aria-label="Interactive figure">'
        f'<div class="rn-controls">{controls}</div>'
        f'<div class="rn-frame">{_picture(frame(state), phone, state)}</div>'
        f'<p class="rn-label" role="status" aria-live="polite">'
        f"{html.escape(describe(grid, state))}</p>"
        "<noscript><p>The controls of this figure need JavaScript; "
        "the first state is shown.</p></noscript>"
        f'<script type="application/json" class="rn-data">{frames_json}</script>{narrow_json}'
        f"<script>{script}({json.dumps(identifier)});</script></div>"
    )


def _picture(first: Picture, phone: PhoneFrames, state: tuple) -> str:
    """The first state, in a box that scrolls where its lettering would become illegible."""
    width, height = css_size(first.data)
    smallest = first.smallest * 96 / 72
    source, least = "", f"--rn-least:{least_width(width, smallest)}px"
    if phone.pictures:
        small_width, small_height = css_size(phone.pictures[state], PHONE_DPI)
        small = phone.smallest * 96 / 72
        least += f";--rn-least-narrow:{least_width(small_width, small)}px"
        source = (
            f'<source media="(max-width: {PHONE}px)" width="{small_width}" '
            f'height="{small_height}" data-smallest="{small:.1f}" '
            f'srcset="{_address(phone.pictures[state])}">'
        )
    return (
        f'<picture>{source}<img class="rn-image" width="{width}" height="{height}" '
        f'data-smallest="{smallest:.1f}" style="{least}" src="{_address(first.data)}" '
        f'alt="{html.escape(first.text, quote=True)}"></picture>'
    )


def _address(webp: bytes) -> str:
    """A picture as an address that carries it."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


def css_size(webp: bytes, dpi: int = DPI) -> tuple[int, int]:
    """Width and height in CSS pixels, which a page reserves before it has decoded the picture.

    Args:
        webp: the picture.
        dpi: its pixels per inch.
    """
    from PIL import Image

    with Image.open(io.BytesIO(webp)) as picture:
        width, height = picture.size
        return round(width * 96 / dpi), round(height * 96 / dpi)


def _control(identifier: str, index: int, name: str, values: tuple, start: int) -> str:
    element = f"{identifier}-{index}"
    label = html.escape(name)
    texts = [html.escape(format_value(value), quote=True) for value in values]
    if kind_of_control(values) == "slider":
        return (
            f'<div class="rn-control"><label for="{element}">{label}</label>'
            f'<input type="range" id="{element}" data-axis="{index}" '
            f'min="0" max="{len(values) - 1}" step="1" '
            f'value="{start}" aria-valuetext="{texts[start]}" data-texts="{"|".join(texts)}">'
            f'<output for="{element}">{texts[start]}</output></div>'
        )
    if kind_of_control(values) == "menu":
        options = "".join(
            f'<option value="{i}"{" selected" if i == start else ""}>{text}</option>'
            for i, text in enumerate(texts)
        )
        return (
            f'<div class="rn-control"><label for="{element}">{label}</label>'
            f'<select id="{element}" data-axis="{index}">{options}</select></div>'
        )
    radios = "".join(
        '<label class="rn-button">'
        f'<input type="radio" name="{element}" data-axis="{index}" value="{i}"'
        f"{' checked' if i == start else ''}><span>{text}</span></label>"
        for i, text in enumerate(texts)
    )
    return f'<fieldset class="rn-control"><legend>{label}</legend>{radios}</fieldset>'
