"""Figures that move: in a live kernel, in the built book, and as stored."""

import base64
import html.parser
import io
import itertools
import json
import re
import sys

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

import resnorm
from resnorm.figures import frames

matplotlib.use("agg")


def draw(**values):
    fig, ax = plt.subplots(figsize=(5, 1))
    ax.set_title(" ".join(f"{key}={value}" for key, value in values.items()))
    return fig


def alt(**values):
    return "A picture that states " + " and ".join(
        f"{key} is {value}" for key, value in values.items()
    )


GRID = {
    "eps": [0.1, 1.0, 10.0],
    "norm": ["batch", "layer"],
    "kind of data": ["a", "b", "c", "d", "e"],
}


@pytest.fixture(scope="module")
def page():
    """The HTML of one figure with each kind of control."""
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda data, **_: calls.append(data))
        resnorm.explore(draw, GRID, alt=alt, start={"eps": 1.0, "kind of data": "c"}, mode="page")
    return calls[0]["text/html"]


class Elements(html.parser.HTMLParser):
    """Every start tag with its attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def __call__(self, tag, **wanted):
        return [
            a for t, a in self.found if t == tag and all(a.get(k) == v for k, v in wanted.items())
        ]


# --- in the book ------------------------------------------------------------------------------


def payload(text):
    return json.loads(re.search(r'class="rn-data">(.*?)</script>', text, re.DOTALL).group(1))


def test_the_book_has_a_picture_a_text_and_a_label_for_every_state(page):
    data = payload(page)
    states = [
        ",".join(map(str, state)) for state in itertools.product(range(3), range(2), range(5))
    ]
    for part in ("src", "alt", "label"):
        assert list(data[part]) == states
        assert len(set(data[part].values())) == 30  # no two states look or read alike
    assert (
        data["alt"]["2,1,4"]
        == "A picture that states eps is 10.0 and norm is layer and kind_of_data is e"
    )
    assert data["label"]["2,1,4"] == "eps = 10, norm = layer, kind of data = e"
    encoded = data["src"]["0,0,0"].removeprefix("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.format == "WEBP"


def test_numbers_get_a_slider_few_words_buttons_and_many_words_a_menu(page):
    elements = Elements(page)
    (slider,) = elements("input", type="range")
    assert (slider["min"], slider["max"], slider["value"], slider["aria-valuetext"]) == (
        "0",
        "2",
        "1",
        "1",
    )
    radios = elements("input", type="radio")
    assert [radio["value"] for radio in radios] == ["0", "1"] and "checked" in radios[0]
    assert len({radio["name"] for radio in radios}) == 1
    (menu,) = elements("select")
    assert [("selected" in option) for option in elements("option")] == [
        False,
        False,
        True,
        False,
        False,
    ]
    labelled = {label.get("for") for label in elements("label")}
    assert {slider["id"], menu["id"]} <= labelled
    assert len(elements("fieldset")) == len(elements("legend")) == 1


def test_the_page_opens_on_the_start_state(page):
    (image,) = Elements(page)("img")
    data = payload(page)
    assert image["src"] == data["src"]["1,0,2"] and image["alt"] == data["alt"]["1,0,2"]
    assert int(image["width"]) > 0 and int(image["height"]) > 0  # nothing jumps when it loads


def test_two_figures_of_a_page_have_ids_of_their_own(displayed):
    for _ in range(2):
        resnorm.explore(draw, {"eps": [1, 2]}, alt=alt, mode="page")
    ids = [
        attributes["id"]
        for data, _ in displayed
        for _, attributes in Elements(data["text/html"]).found
        if "id" in attributes
    ]
    assert len(ids) == len(set(ids)) == 4


def test_nothing_in_a_name_or_value_or_text_becomes_markup(displayed):
    evil = ['"><script>alert(1)</script>', "</script><img src=x onerror=alert(2)>"]
    resnorm.explore(
        lambda word: draw(),
        {"word": evil},
        alt=lambda word: f"Now it shows {word} & more of it",
        mode="page",
    )
    text = displayed[0][0]["text/html"]
    elements = Elements(text)
    scripts = [attributes.get("class") for attributes in elements("script")]
    # With the book's style, which another test may have set, there are frames for a phone as well.
    assert sorted(set(scripts) - {"rn-narrow"}, key=str) == [None, "rn-data"]
    assert scripts.count(None) == 1 and len(elements("img")) == 1
    assert payload(text)["alt"]["1"] == f"Now it shows {evil[1]} & more of it"
    assert elements("img")[0]["alt"] == f"Now it shows {evil[0]} & more of it"


def test_the_book_needs_no_other_file_and_no_host(page):
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)


# --- on a phone ---------------------------------------------------------------------------------


def panels(left="a", right="b"):
    with plt.rc_context():
        resnorm.figures.use_style()
        fig, axes = plt.subplots(1, 2, figsize=(7.2, 2.4))
        for ax, title in zip(axes, (left, right)):
            ax.plot([0, 1], [0, 1])
            ax.set_title(title)
    return fig


def on_a_phone(displayed, draw, grid, **options):
    """The element of the first frame, and the frames for a phone by state."""
    resnorm.explore(draw, grid, alt=alt, mode="page", **options)
    text = displayed[-1][0]["text/html"]
    found = re.search(r'class="rn-narrow">(.*?)</script>', text)
    return Elements(text), json.loads(found[1]) if found else {}


def picture_of(address):
    data = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    return Image.open(io.BytesIO(data))


def test_a_wide_figure_has_a_narrow_frame_for_every_state(displayed):
    grid = {"left": ["a", "a longer title of a panel"], "right": ["b", "c", "d"]}
    elements, frames_ = on_a_phone(displayed, panels, grid, start={"right": "c"})
    (source,) = elements("source")
    (image,) = elements("img")
    assert source["media"] == "(max-width: 600px)" and source["srcset"] == frames_["0,1"]
    assert list(frames_) == list(payload(displayed[-1][0]["text/html"])["src"])
    assert len(set(frames_.values())) == 6
    sizes = {picture_of(address).size for address in frames_.values()}
    assert len(sizes) == 1, "a figure whose size changes moves the text below it"
    ((width, height),) = sizes
    assert width == 2 * int(source["width"]) == 2 * 336 and height > width
    assert float(source["data-smallest"]) * 336 / 343 >= 11
    assert "--rn-least-narrow:" in image["style"]


def test_a_figure_that_fits_a_phone_has_one_frame_per_state(displayed):
    def small(size):
        with plt.rc_context():
            resnorm.figures.use_style()
            fig, ax = plt.subplots(figsize=(3.2, 2.4))
        ax.plot([0, size], [0, 1])
        return fig

    elements, frames_ = on_a_phone(displayed, small, {"size": [1, 2]})
    assert not elements("source") and not frames_


def test_one_state_that_cannot_be_narrow_leaves_all_wide(displayed):
    def row(step):
        fig, ax = plt.subplots(figsize=(8.4, 2), layout="constrained")
        for number in range(0, 8, step):
            ax.text(number, 0, "convolution", ha="center", size=10)
        ax.set(xlim=(-1.2, 8.2), ylim=(-1, 1))
        ax.set_axis_off()
        return fig

    assert len(on_a_phone(displayed, row, {"step": [4, 5]})[1]) == 2
    elements, frames_ = on_a_phone(displayed, row, {"step": [4, 1]})
    assert not elements("source") and not frames_
    (image,) = elements("img")
    assert int(re.search(r"--rn-least:(\d+)px", image["style"])[1]) > 343


def test_a_figure_is_no_higher_than_leaves_the_controls_in_sight(displayed):
    def many(count):
        with plt.rc_context():
            resnorm.figures.use_style()
            fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.4))
        axes[0].plot([0, count], [0, 1])
        return fig

    elements, _ = on_a_phone(displayed, many, {"count": [1, 2]})
    assert int(elements("source")[0]["height"]) <= 500


def test_a_live_figure_draws_nothing_for_a_phone(monkeypatch):
    monkeypatch.setattr(
        "resnorm.figures.narrow.arranged", lambda *_: pytest.fail("it was arranged")
    )
    live(draw=panels, grid={"left": ["a", "b"]})


# --- in a notebook --------------------------------------------------------------------------


def test_beside_the_frames_stands_the_start_state_as_png_with_its_text(displayed):
    resnorm.explore(draw, GRID, alt=alt, start={"eps": 10.0}, mode="page", caption="The takeaway.")
    (data, metadata), (caption, _) = displayed
    assert metadata["image/png"]["alt"] == alt(eps=10.0, norm="batch", kind_of_data="a")
    assert metadata["image/png"]["width"] > 0
    assert "eps = 10, norm = batch, kind of data = a" in data["text/plain"]
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        assert picture.format == "PNG"
    assert caption["text/markdown"] == "*The takeaway.*"


def test_a_page_draws_each_state_once(displayed):
    drawn = []

    def count(**values):
        drawn.append(tuple(values.values()))
        return draw(**values)

    resnorm.explore(count, GRID, alt=alt, mode="page")
    assert sorted(drawn) == sorted(itertools.product(*GRID.values()))


def test_the_state_that_is_shown_first_is_drawn_like_the_others(displayed):
    """So that nothing jumps when a reader comes back to it."""

    def with_legend(size):  # which a second layout moves
        fig, ax = plt.subplots(figsize=(4.0, 4.0), layout="constrained")
        ax.plot([0, size], [0, 1], label=f"a label of some length, {size}")
        ax.set(aspect="equal", xlim=(-2.4, 1.8), ylim=(-0.9, 3.3))
        ax.set(xlabel="first coordinate", ylabel="second coordinate")
        ax.legend(loc="upper left")
        return fig

    def text(size):
        return f"A line from 0 to {size} and 1."

    def first_frame(start):
        options = {"start": {"size": start}, "mode": "page"}
        resnorm.explore(with_legend, {"size": [1, 2]}, alt=text, **options)
        ((data, _),) = displayed[-1:]
        return payload(data["text/html"])["src"]["0"]

    assert first_frame(1) == first_frame(2)


def test_the_environment_chooses_the_mode(displayed, monkeypatch):
    monkeypatch.setenv("RESNORM_FIGURES", "page")
    resnorm.explore(draw, {"eps": [1, 2]}, alt=alt)
    assert {"text/html", "image/png", "text/plain"} == displayed[0][0].keys()


# --- in a live kernel ---------------------------------------------------------------------------


def live(**options):
    """Display a live figure in an IPython shell; returns the controls and the picture's widget."""
    boxes = []
    InteractiveShell.instance()
    with capture_output() as captured, pytest.MonkeyPatch.context() as patch:
        make = ipywidgets.VBox
        patch.setattr(
            ipywidgets, "VBox", lambda children: boxes.append(make(children)) or boxes[-1]
        )
        drawing, grid = options.pop("draw", draw), options.pop("grid", GRID)
        resnorm.explore(drawing, grid, alt=alt, mode="live", **options)
    InteractiveShell.clear_instance()
    views = [
        output
        for output in captured.outputs
        if "application/vnd.jupyter.widget-view+json" in output.data
    ]
    assert len(views) == 1  # it was displayed, once
    assert (
        views[0].data["application/vnd.jupyter.widget-view+json"]["model_id"] == boxes[0].model_id
    )
    *controls, picture = boxes[0].children
    return controls, picture


def test_a_live_figure_has_a_control_of_the_same_kind_for_each_entry():
    controls, _ = live(start={"eps": 10.0})
    assert [type(c) for c in controls] == [
        ipywidgets.SelectionSlider,
        ipywidgets.ToggleButtons,
        ipywidgets.Dropdown,
    ]
    assert [c.value for c in controls] == [10.0, "batch", "a"]
    assert [c.description for c in controls] == list(GRID)


def test_moving_a_live_control_changes_the_picture_and_its_text():
    controls, picture = live()
    seen = {picture.value}
    for control, value in zip(controls, [10.0, "layer", "e"]):
        control.value = value
        assert picture.value not in seen
        seen.add(picture.value)
    assert f'alt="{alt(eps=10.0, norm="layer", kind_of_data="e")}"' in picture.value
    controls[0].value = 0.1
    controls[0].value = 10.0
    assert picture.value in seen  # back at a state: the same picture


def test_a_live_figure_draws_only_what_is_looked_at():
    drawn = []

    def count(**values):
        drawn.append(values["eps"])
        return draw(**values)

    controls, _ = live(draw=count)
    assert drawn == [0.1]
    controls[0].value = 10.0
    assert drawn == [0.1, 10.0]


def test_without_ipywidgets_a_reader_gets_the_precomputed_figure(displayed, monkeypatch):
    monkeypatch.delenv("RESNORM_FIGURES", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    resnorm.explore(draw, {"eps": [1, 2]}, alt=alt)
    assert "rn-explore" in displayed[0][0]["text/html"]


def test_without_ipywidgets_asking_for_a_live_figure_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match=r"pip install 'ipywidgets>=7\.7'"):
        resnorm.explore(draw, {"eps": [1, 2]}, alt=alt, mode="live")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid, error, words",
    [
        ({}, TypeError, "must map the name of each control"),
        ([1, 2], TypeError, "must map the name of each control"),
        ({"eps": 3}, TypeError, r"grid\['eps'\] is 3; it must be a sequence"),
        ({"eps": "abc"}, TypeError, "it must be a sequence"),
        ({"eps": []}, ValueError, r"has 0 value\(s\)"),
        ({"eps": [1]}, ValueError, r"has 1 value\(s\).*two or more"),
        ({"eps": [1, 2, 1]}, ValueError, "repeats a value"),
        ({"2 eps": [1, 2]}, ValueError, "'2 eps'.*keyword"),
        (
            {"a": range(11), "b": range(11)},
            ValueError,
            "11 x 11 = 121 states; a page carries at most 120",
        ),
    ],
)
def test_a_grid_that_cannot_work_is_refused_with_the_reason(displayed, grid, error, words):
    with pytest.raises(error, match=words):
        resnorm.explore(draw, grid, alt=alt, mode="page")
    assert not displayed


@pytest.mark.parametrize(
    "start, words", [({"eps": 5}, "is 5, which is not among"), ({"esp": 1}, "start names .'esp'.")]
)
def test_an_unknown_start_is_refused(start, words):
    with pytest.raises(ValueError, match=words):
        resnorm.explore(draw, {"eps": [1, 2]}, alt=alt, start=start, mode="page")


@pytest.mark.parametrize("mode", ["live", "page"])
def test_a_state_without_alternative_text_is_refused_and_named(displayed, mode):
    with pytest.raises(ValueError, match="the state eps = 1 needs alternative text"):
        resnorm.explore(draw, {"eps": [1, 2]}, alt=lambda eps: "a plot", mode=mode)


def test_the_book_refuses_a_text_that_is_missing_in_one_state_only(displayed):
    with pytest.raises(ValueError, match="the state eps = 2 needs alternative text"):
        resnorm.explore(
            draw, {"eps": [1, 2]}, alt=lambda eps: alt(eps=1) if eps == 1 else "", mode="page"
        )


def test_a_drawing_function_that_returns_no_figure_is_told_so(displayed):
    with pytest.raises(
        TypeError, match=r"draw\(eps = 1\) returned NoneType; it must return a matplotlib Figure"
    ):
        resnorm.explore(lambda eps: None, {"eps": [1, 2]}, alt=alt, mode="page")


@pytest.mark.parametrize(
    "values", [np.array([1.5, 2.5]), torch.tensor([1.5, 2.5])], ids=["NumPy", "torch"]
)
def test_arrays_and_tensors_give_plain_numbers(displayed, values):
    given = []
    resnorm.explore(lambda eps: given.append(eps) or draw(), {"eps": values}, alt=alt, mode="page")
    assert given == [1.5, 2.5] and all(type(value) is float for value in given)
    assert 'type="range"' in displayed[0][0]["text/html"]


def test_truth_values_are_words_not_numbers():
    assert frames.kind_of_control((False, True)) == "buttons"
