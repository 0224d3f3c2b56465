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

from .drawings import least_width

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


def static_html(grid: Grid, state: tuple, frame: Frame) -> str:
    """Draw every state and put the frames into HTML that needs nothing else.

    Args:
        grid: the controls and their values.
        state: the values that are shown first, one per control.
        frame: draws a state.

    Returns:
        HTML with style, controls, pictures and script.
    """
    identifier = f"rn-explore-{next(_counter)}"
    frames = {}
    for indices in itertools.product(*(range(len(values)) for values in grid.values())):
        values = tuple(v[i] for v, i in zip(grid.values(), indices, strict=True))
        data, text, _ = frame(values)
        frames[",".join(map(str, indices))] = (data, text, describe(grid, values))

    start = [values.index(value) for values, value in zip(grid.values(), state, strict=True)]
    first_data, first_alt, first_label = frames[",".join(map(str, start))]
    payload = {
        "src": {
            key: "data:image/webp;base64," + base64.b64encode(data).decode()
            for key, (data, _, _) in frames.items()
        },
        "alt": {key: text for key, (_, text, _) in frames.items()},
        "label": {key: label for key, (_, _, label) in frames.items()},
    }
    controls = "".join(
        _control(identifier, i, name, values, start[i])
        for i, (name, values) in enumerate(grid.items())
    )
    width, height = css_size(first_data)
    smallest = frame(state).smallest * 96 / 72
    assets = files("resnorm") / "assets"
    style = (assets / "explore.css").read_text()
    script = (assets / "explore.js").read_text()
    # "<" is escaped in the JSON, so no text can end the script element early.
    frames_json = json.dumps(payload).replace("<", "\\u003c")
    return (
        f"<style>{style}</style>"
        f'<div class="rn-explore" id="{identifier}" role="group" aria-label="Interactive figure">'
        f'<div class="rn-controls">{controls}</div>'
        f'<div class="rn-frame"><img class="rn-image" width="{width}" height="{height}" '
        f'data-smallest="{smallest:.1f}" style="min-width: {least_width(width, smallest)}px" '
        f'src="data:image/webp;base64,{base64.b64encode(first_data).decode()}" '
        f'alt="{html.escape(first_alt, quote=True)}"></div>'
        f'<p class="rn-label" role="status" aria-live="polite">{html.escape(first_label)}</p>'
        "<noscript><p>The controls of this figure need JavaScript; "
        "the first state is shown.</p></noscript>"
        f'<script type="application/json" class="rn-data">{frames_json}</script>'
        f"<script>{script}({json.dumps(identifier)});</script></div>"
    )


def css_size(webp: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels, which a page reserves before it has decoded the picture.

    Args:
        webp: the picture.
    """
    from PIL import Image

    with Image.open(io.BytesIO(webp)) as picture:
        width, height = picture.size
        return round(width * 96 / DPI), round(height * 96 / DPI)


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
