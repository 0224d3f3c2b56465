"""Figures that move, with a kernel and without one.

In a live kernel :func:`explore` makes ipywidgets controls. In the built book it makes sliders,
buttons and drop-downs over frames that were drawn beforehand: plain HTML and a short script,
so a page moves without a kernel and without a network. A notebook in the repository stores the
first frame as a picture.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from .display import check_alt, display_caption, display_mode, image_tag, to_bytes

#: More frames than this make a page slow to load.
MAX_FRAMES = 120
_DPI = 100
_counter = itertools.count()  # ids of the figures of one page


def explore(
    draw: Callable[..., Figure],
    grid: Mapping[str, Sequence[Any]],
    *,
    alt: Callable[..., str],
    caption: str = "",
    start: Mapping[str, Any] | None = None,
    mode: str | None = None,
) -> None:
    """Display a figure with one control for each entry of ``grid``.

    Numbers become a slider, up to four words become buttons, more become a drop-down.

    Args:
        draw: called with one value for each entry, by keyword; returns a matplotlib figure.
        grid: label of the control -> its values, in order. Labels that are not Python names are
            passed to ``draw`` with spaces and hyphens as underscores.
        alt: called as ``draw`` is; returns the alternative text of that state.
        caption: the takeaway, in Markdown.
        start: the first state shown; by default the first value of each entry.
        mode: ``live``, ``book`` or ``stored``; by default :func:`resnorm.figures.display_mode`.

    Raises:
        ValueError: an empty or repeated value, more than ``MAX_FRAMES`` states, an unknown start,
            alternative text of a few words.
        TypeError: ``grid`` is no mapping of sequences, or ``draw`` returns no figure.
        ImportError: ``mode="live"`` was asked for and ipywidgets is missing.
    """
    grid = _checked_grid(grid)
    state = tuple(_start(grid, start))
    drawn: dict[tuple, tuple[bytes, str]] = {}

    def frame(values: tuple) -> tuple[bytes, str]:
        """Picture and alternative text of one state, drawn when first asked for."""
        if values not in drawn:
            arguments = {_identifier(name): value for name, value in zip(grid, values)}
            fig = draw(**arguments)
            if not isinstance(fig, Figure):
                raise TypeError(
                    f"draw({_describe(grid, values)}) returned {type(fig).__name__}; it must return a matplotlib Figure"
                )
            text = check_alt(alt(**arguments), f"the state {_describe(grid, values)}")
            drawn[values] = (to_bytes(fig, "webp", _DPI), text)
        return drawn[values]

    chosen = mode or display_mode()
    if chosen == "live":
        try:
            import ipywidgets  # noqa: F401
        except ImportError as missing:
            if mode == "live":
                raise ImportError(
                    "explore(mode='live') needs ipywidgets: pip install 'ipywidgets>=7.7', then restart the kernel"
                ) from missing
            chosen = "book"  # precomputed frames need nothing but a browser
    {"live": _display_live, "book": _display_book, "stored": _display_stored}[chosen](
        grid, state, frame
    )
    if caption:
        display_caption(caption)


# --- what the three modes share -------------------------------------------------------------


def _checked_grid(grid: Mapping[str, Sequence[Any]]) -> dict[str, tuple]:
    if not isinstance(grid, Mapping) or not grid:
        raise TypeError(f"grid is {grid!r}; it must map the name of each control to its values")
    checked = {}
    for name, values in grid.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise TypeError(
                f"grid[{name!r}] is {values!r}; it must be a sequence of values, such as [1, 2, 4]"
            )
        values = tuple(v.item() if hasattr(v, "item") else v for v in values)
        if len(values) < 2:
            raise ValueError(
                f"grid[{name!r}] has {len(values)} value(s): a control needs two or more to move between"
            )
        if len(set(values)) < len(values):
            raise ValueError(f"grid[{name!r}] repeats a value: {list(values)}")
        if not _identifier(name).isidentifier():
            raise ValueError(f"grid has the name {name!r}, which cannot become a keyword of draw")
        checked[name] = values
    frames = 1
    for values in checked.values():
        frames *= len(values)
    if frames > MAX_FRAMES:
        sizes = " x ".join(str(len(values)) for values in checked.values())
        raise ValueError(
            f"the grid has {sizes} = {frames} states; a page carries at most {MAX_FRAMES}: thin it out"
        )
    return checked


def _start(grid: dict[str, tuple], start: Mapping[str, Any] | None):
    start = dict(start or {})
    for name, values in grid.items():
        value = start.pop(name, values[0])
        if value not in values:
            raise ValueError(f"start[{name!r}] is {value!r}, which is not among {list(values)}")
        yield value
    if start:
        raise ValueError(f"start names {sorted(start)}, but the grid has {sorted(grid)}")


def _identifier(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")


def _is_numeric(values: tuple) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _describe(grid: dict[str, tuple], values: tuple) -> str:
    return ", ".join(f"{name} = {_format(value)}" for name, value in zip(grid, values))


def _kind(values: tuple) -> str:
    if _is_numeric(values):
        return "slider"
    return "buttons" if len(values) <= 4 else "menu"


# --- stored in the repository ---------------------------------------------------------------


def _display_stored(grid, state, frame) -> None:
    from IPython.display import display
    from PIL import Image

    data, text = frame(state)
    with Image.open(io.BytesIO(data)) as picture:  # GitHub and old viewers show PNG only
        width, height = picture.size
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "PNG", optimize=True)
    display(
        {
            "image/png": base64.b64encode(buffer.getvalue()).decode(),
            "text/plain": f"<Interactive figure at {_describe(grid, state)}: {text} Run the cell to move it.>",
        },
        metadata={
            "image/png": {
                "alt": text,
                "width": round(width * 96 / _DPI),
                "height": round(height * 96 / _DPI),
            }
        },
        raw=True,
    )


# --- in a live kernel -----------------------------------------------------------------------


def _display_live(grid, state, frame) -> None:
    """Ipywidgets controls; only traits and classes that versions 7.7 and 8 share.

    ``IPython.display.display`` finds the right protocol by itself: version 7 widgets bring
    ``_ipython_display_``, version 8 ``_repr_mimebundle_``.
    """
    import ipywidgets
    from IPython.display import display

    controls = []
    for (name, values), value in zip(grid.items(), state):
        options = [(_format(v), v) for v in values]
        kind = {
            "slider": ipywidgets.SelectionSlider,
            "buttons": ipywidgets.ToggleButtons,
            "menu": ipywidgets.Dropdown,
        }[_kind(values)]
        controls.append(
            kind(
                options=options,
                value=value,
                description=name,
                style={"description_width": "initial"},
            )
        )
    picture = ipywidgets.HTML()

    def update(_change=None) -> None:
        values = tuple(control.value for control in controls)
        data, text = frame(values)
        picture.value = image_tag(data, text)

    for control in controls:
        control.observe(update, names="value")
    update()
    display(ipywidgets.VBox([*controls, picture]))


# --- in the built book ----------------------------------------------------------------------


def _display_book(grid, state, frame) -> None:
    from IPython.display import display

    display(
        {"text/html": _static_html(grid, state, frame), "text/plain": "<Interactive figure>"},
        raw=True,
    )


def _static_html(grid, state, frame) -> str:
    identifier = f"rn-explore-{next(_counter)}"
    frames = {}
    for indices in itertools.product(*(range(len(values)) for values in grid.values())):
        values = tuple(v[i] for v, i in zip(grid.values(), indices))
        data, text = frame(values)
        frames[",".join(map(str, indices))] = (data, text, _describe(grid, values))

    start = [values.index(value) for values, value in zip(grid.values(), state)]
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
    width, height = _css_size(first_data)
    assets = files("resnorm") / "assets"
    style = (assets / "explore.css").read_text()
    script = (assets / "explore.js").read_text()
    # "<" is escaped in the JSON, so no text can end the script element early.
    data = json.dumps(payload).replace("<", "\\u003c")
    return (
        f"<style>{style}</style>"
        f'<div class="rn-explore" id="{identifier}" role="group" aria-label="Interactive figure">'
        f'<div class="rn-controls">{controls}</div>'
        f'<div class="rn-frame"><img class="rn-image" width="{width}" height="{height}" '
        f'src="data:image/webp;base64,{base64.b64encode(first_data).decode()}" alt="{html.escape(first_alt, quote=True)}"></div>'
        f'<p class="rn-label" role="status" aria-live="polite">{html.escape(first_label)}</p>'
        "<noscript><p>The controls of this figure need JavaScript; the first state is shown.</p></noscript>"
        f'<script type="application/json" class="rn-data">{data}</script>'
        f"<script>{script}({json.dumps(identifier)});</script></div>"
    )


def _css_size(webp: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels, reserved before the picture is decoded: nothing jumps."""
    from PIL import Image

    with Image.open(io.BytesIO(webp)) as picture:
        return tuple(round(side * 96 / _DPI) for side in picture.size)


def _control(identifier: str, index: int, name: str, values: tuple, start: int) -> str:
    element = f"{identifier}-{index}"
    label = html.escape(name)
    texts = [html.escape(_format(value), quote=True) for value in values]
    if _kind(values) == "slider":
        return (
            f'<div class="rn-control"><label for="{element}">{label}</label>'
            f'<input type="range" id="{element}" data-axis="{index}" min="0" max="{len(values) - 1}" step="1" '
            f'value="{start}" aria-valuetext="{texts[start]}" data-texts="{"|".join(texts)}">'
            f'<output for="{element}">{texts[start]}</output></div>'
        )
    if _kind(values) == "menu":
        options = "".join(
            f'<option value="{i}"{" selected" if i == start else ""}>{text}</option>'
            for i, text in enumerate(texts)
        )
        return (
            f'<div class="rn-control"><label for="{element}">{label}</label>'
            f'<select id="{element}" data-axis="{index}">{options}</select></div>'
        )
    radios = "".join(
        f'<label class="rn-button"><input type="radio" name="{element}" data-axis="{index}" value="{i}"'
        f"{' checked' if i == start else ''}><span>{text}</span></label>"
        for i, text in enumerate(texts)
    )
    return f'<fieldset class="rn-control"><legend>{label}</legend>{radios}</fieldset>'
