"""Figures that move, with a kernel and without one.

In a live kernel :func:`explore` makes ipywidgets controls. Where the course itself is executed, it
emits two forms at once: sliders, buttons and drop-down menus over frames that were drawn beforehand
(plain HTML and a short script, for the built pages), and the first frame as a picture (for the
notebook in the repository). One execution of a chapter therefore serves both.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from .display import check_alt, display_caption, display_mode, image_tag, to_bytes
from .frames import (
    DPI,
    Frame,
    Grid,
    Picture,
    css_size,
    describe,
    format_value,
    kind_of_control,
    static_html,
)
from .lettering import smallest_text
from .phone_frames import PhoneFrames

#: More frames than this make a page slow to load.
MAX_FRAMES = 120


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

    Numbers become a slider, up to four words become buttons, and more words a drop-down menu.

    Args:
        draw: called with one value for each entry, by keyword; returns a new matplotlib figure.
        grid: maps the label of each control to its values, in order. Labels that are not Python
            names are passed to ``draw`` with underscores in place of spaces and hyphens.
        alt: called as ``draw`` is; returns the alternative text of that state, four words or more.
        caption: what the figure shows, in one or two sentences of Markdown.
        start: the state that is shown first; by default the first value of each entry.
        mode: ``"live"`` or ``"page"``; by default :func:`resnorm.figures.display_mode`.

    Raises:
        ValueError: if a control has no values or repeats one, if the grid has more than
            ``MAX_FRAMES`` states, if ``start`` is not in the grid, or if an alternative text is
            shorter than four words.
        TypeError: if ``grid`` is not a mapping of sequences, or ``draw`` returns no figure.
        ImportError: if ``mode="live"`` was asked for and ipywidgets is missing.
    """
    grid = _checked_grid(grid)
    state = tuple(_start(grid, start))
    chosen = _mode(mode)
    drawn: dict[tuple, Picture] = {}
    phone = PhoneFrames()

    def frame(values: tuple) -> Picture:
        """Picture and alternative text of one state, drawn when first asked for."""
        if values not in drawn:
            arguments = {_identifier(name): value for name, value in zip(grid, values, strict=True)}
            fig = draw(**arguments)
            if not isinstance(fig, Figure):
                raise TypeError(
                    f"draw({describe(grid, values)}) returned {type(fig).__name__}; "
                    "it must return a matplotlib Figure"
                )
            text = check_alt(alt(**arguments), f"the state {describe(grid, values)}")
            fig.set_dpi(DPI)  # places of labels are kept in pixels
            data = to_bytes(fig, "webp", DPI)
            # Another layout would shift this state against the others.
            smallest = smallest_text(fig, laid_out=True) if values == state else float("inf")
            drawn[values] = Picture(data, text, smallest)
            if chosen == "page":
                phone.add(values, fig)
        return drawn[values]

    if chosen == "live":
        _display_live(grid, state, frame)
    else:
        _display_page(grid, state, frame, phone)
    if caption:
        display_caption(caption)


# --- what both modes share -------------------------------------------------------------


def _mode(asked: str | None) -> str:
    """The mode that was asked for, or the one that is possible here."""
    mode = asked or display_mode()
    if mode == "live":
        try:
            import ipywidgets  # noqa: F401
        except ImportError as missing:
            if asked == "live":
                raise ImportError(
                    "explore(mode='live') needs ipywidgets: pip install 'ipywidgets>=7.7', "
                    "then restart the kernel"
                ) from missing
            return "page"  # frames drawn beforehand need nothing but a browser
    return mode


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
                f"grid[{name!r}] has {len(values)} value(s): "
                "a control needs two or more to move between"
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
            f"the grid has {sizes} = {frames} states; a page carries at most {MAX_FRAMES}: "
            "leave some values out"
        )
    return checked


def _start(grid: Grid, start: Mapping[str, Any] | None) -> Iterator[Any]:
    given = dict(start or {})
    for name, values in grid.items():
        value = given.pop(name, values[0])
        if value not in values:
            raise ValueError(f"start[{name!r}] is {value!r}, which is not among {list(values)}")
        yield value
    if given:
        raise ValueError(f"start names {sorted(given)}, but the grid has {sorted(grid)}")


def _identifier(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")


# --- in a live kernel -----------------------------------------------------------------------


def _display_live(grid: Grid, state: tuple, frame: Frame) -> None:
    """Show ipywidgets controls, by traits and classes that versions 7.7 and 8 share.

    ``IPython.display.display`` finds the right protocol by itself: version 7 widgets bring
    ``_ipython_display_``, version 8 ``_repr_mimebundle_``.
    """
    import ipywidgets
    from IPython.display import display

    controls = []
    for (name, values), value in zip(grid.items(), state, strict=True):
        options = [(format_value(v), v) for v in values]
        kind = {
            "slider": ipywidgets.SelectionSlider,
            "buttons": ipywidgets.ToggleButtons,
            "menu": ipywidgets.Dropdown,
        }[kind_of_control(values)]
        controls.append(
            kind(
                options=options,
                value=value,
                description=name,
                style={"description_width": "initial"},
            )
        )
    picture = ipywidgets.HTML()

    def update(_change: Any = None) -> None:
        values = tuple(control.value for control in controls)
        data, text, _ = frame(values)
        picture.value = image_tag(data, text)

    for control in controls:
        control.observe(update, names="value")
    update()
    display(ipywidgets.VBox([*controls, picture]))


# --- in a notebook and in the built book ----------------------------------------------------


def _display_page(grid: Grid, state: tuple, frame: Frame, phone: PhoneFrames) -> None:
    from IPython.display import display

    data, text, _ = frame(state)
    png, width, height = _as_png(data)
    display(
        {
            "text/html": static_html(grid, state, frame, phone),
            "image/png": base64.b64encode(png).decode(),
            "text/plain": f"<Interactive figure at {describe(grid, state)}: {text} "
            "Run the cell to move it.>",
        },
        metadata={"image/png": {"alt": text, "width": width, "height": height}},
        raw=True,
    )


def _as_png(webp: bytes) -> tuple[bytes, int, int]:
    """Convert a frame for GitHub and old viewers, which show PNG only.

    Returns:
        The PNG, and its width and height in CSS pixels.
    """
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(webp)) as picture:
        picture.convert("RGB").save(buffer, "PNG", optimize=True)
    return buffer.getvalue(), *css_size(webp)
