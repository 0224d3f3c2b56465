"""A figure for a phone: the same panels below each other, all lettering legible and uncut."""

import base64
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.lines import Line2D

from resnorm import figures
from resnorm.figures import drawings, lettering, narrow

matplotlib.use("agg")
ALT = "A straight line rises from zero to one."


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.use_style()
        yield
    plt.close("all")


def side_by_side(count=3, **options):
    fig, axes = plt.subplots(1, count, figsize=(9.2, 3.1), squeeze=False, **options)
    for number, ax in enumerate(axes[0]):
        ax.plot([1, 2, 3], np.array([1, 4, 9]) * (number + 1), label=f"line {number}")
        ax.set(title=f"panel {number}", xlabel="step")
    axes[0, 0].set_ylabel("loss")
    return fig


def boxes_of(fig):
    fig.draw_without_rendering()
    return [ax.get_window_extent() for ax in fig.axes]


def test_panels_side_by_side_stand_below_each_other():
    fig = side_by_side()
    assert narrow.is_wide(fig) and narrow.narrowed(fig)
    assert fig.get_figwidth() == narrow.WIDTH and not narrow.is_wide(fig)
    boxes = boxes_of(fig)
    assert all(upper.y0 > lower.y1 for upper, lower in zip(boxes, boxes[1:]))
    assert all(box.width > 0.7 * fig.bbox.width for box in boxes)
    assert all(box.height >= 1.2 * fig.dpi for box in boxes)


def test_panels_apart_say_what_they_had_in_common():
    fig = side_by_side(sharey=True)
    assert [ax.get_ylabel() for ax in fig.axes] == ["loss", "", ""]
    assert narrow.narrowed(fig)
    fig.draw_without_rendering()
    assert [ax.get_ylabel() for ax in fig.axes] == ["loss"] * 3
    for ax in fig.axes:
        assert any(label.get_visible() and label.get_text() for label in ax.get_yticklabels())


def test_panels_whose_rows_continue_stay_side_by_side():
    fig, (ax, side) = plt.subplots(1, 2, figsize=(7.6, 4.3), sharey=True)
    ax.barh(["a", "b"], [1, 2])
    side.barh(["a", "b"], [2, 1])
    side.tick_params(labelleft=False, left=False)
    assert narrow.narrowed(fig)
    left, right = boxes_of(fig)
    assert left.x1 < right.x0 and left.y0 == pytest.approx(right.y0)


def test_small_pictures_stay_in_rows():
    fig, axes = plt.subplots(1, 8, figsize=(9, 1.4))
    for ax in axes:
        ax.imshow(np.eye(4))
        ax.set_axis_off()
    assert narrow.narrowed(fig)
    boxes = boxes_of(fig)
    assert boxes[0].y0 == pytest.approx(boxes[1].y0) and boxes[0].y0 > boxes[-1].y1


@pytest.mark.parametrize("wide", [True, False])
def test_no_lettering_is_smaller_than_eleven_pixels_on_a_phone(wide):
    fig, ax = plt.subplots(figsize=(8 if wide else 3.5, 3))
    ax.plot([0, 1], [0, 1], label="small")
    ax.text(0.5, 0.2, "tiny", size=5)
    ax.tick_params(labelsize=6)
    ax.legend(fontsize=6)
    assert lettering.smallest_text(fig) == 5
    assert narrow.narrowed(fig)
    shown = min(1, 343 / (96 * fig.get_figwidth()))
    assert lettering.smallest_text(fig) * 96 / 72 * shown >= 11


def test_a_long_title_is_broken_and_a_wide_legend_gets_fewer_columns():
    fig, ax = plt.subplots(figsize=(8, 3))
    for number in range(6):
        ax.plot([0, 1], [0, number], label=f"a curve with the number {number}")
    ax.set_title("A title that is far too long for a phone, but fits a desk very well")
    legend = fig.legend(loc="outside lower center", ncols=3)
    assert narrow.narrowed(fig)
    assert "\n" in ax.get_title(loc="left") and legend._ncols == 1


def test_crowded_words_are_slanted_and_crowded_numbers_thinned_out():
    fig, (ax, numbers) = plt.subplots(2, 1, figsize=(8, 4))
    ax.bar(["group norm", "layer norm", "batch norm", "instance norm", "weight norm"], range(5))
    numbers.plot(range(0, 24_000, 1_000), range(24))
    numbers.set_xticks(range(0, 24_000, 2_000))
    numbers.set_xlim(0, 23_000)
    assert narrow.narrowed(fig)
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {35}
    assert [label.get_text() for label in numbers.get_xticklabels()][:3] == ["0", "4000", "8000"]
    assert numbers.get_xlim() == (0, 23_000)


def test_numbers_within_a_decade_are_thinned_out_too():
    """There all numbers of a logarithmic axis stand at minor ticks."""
    fig = side_by_side(2)
    for ax in fig.axes:
        ax.set(xscale="log", xlim=(2.2, 9.5))
        ax.set_xticks([2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9], minor=True)
        ax.xaxis.set_minor_formatter("{x:.4f}")
    narrow.narrowed(fig)
    for ax in fig.axes:
        shown = [float(label.get_text()) for label in lettering.labels_in_view(ax.xaxis)]
        assert shown and set(shown) < {2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9}
    assert not lettering.collisions(fig)


def test_a_diagram_whose_labels_would_cover_each_other_is_left_to_scroll():
    fig, ax = plt.subplots(figsize=(8.4, 2))
    for number in range(8):
        ax.text(number, 0, "convolution", ha="center")
    ax.set(xlim=(-0.7, 7.7), ylim=(-1, 1))
    ax.set_axis_off()
    assert lettering.collisions(fig) == [] and not narrow.narrowed(fig)
    fig = plt.figure(figsize=(8, 2), layout="none")  # nobody arranges it
    fig.add_axes((0, 0, 1, 1))
    assert not narrow.narrowed(fig)


def test_cut_and_covered_lettering_is_found():
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.text(0.95, 0.5, "goes over the edge", transform=ax.transAxes).set_in_layout(False)
    ax.text(0.2, 0.5, "below", transform=ax.transAxes)
    ax.text(0.2, 0.52, "above", transform=ax.transAxes)
    assert lettering.outside(fig) == ["goes over the edge"]
    assert lettering.collisions(fig) == [("below", "above")]


class Part:
    """A part of a model, as ``draw_model`` takes it."""

    def __init__(self, number):
        self.name, self.parameters = f"part {number}", 1000 * number
        self.output_shape = (16 * 2**number, 256 // 2**number, 256 // 2**number)


def test_a_row_of_slabs_becomes_a_column():
    parts = [Part(number) for number in range(8)]
    skips = [("part 0", "part 7", "concatenate"), ("part 2", "part 5", "add")]
    fig, ax = plt.subplots(figsize=(8.4, 3))
    figures.draw_model(ax, parts, skips, title="A title that is far too long for a phone, too")
    assert narrow.narrowed(fig)
    assert fig.get_figwidth() == narrow.WIDTH and len(fig.axes) == 1
    (ax,) = fig.axes
    names = [text for text in ax.texts if text.get_text().startswith("part")]
    assert [text.get_text() for text in names] == [part.name for part in parts]
    boxes = [text.get_window_extent() for text in names]
    assert all(upper.y0 > lower.y1 for upper, lower in zip(boxes, boxes[1:]))
    slabs = [patch.get_window_extent() for patch in ax.patches]
    assert len(slabs) == 8 and all(box.x0 >= word.x1 for box, word in zip(slabs, boxes))
    assert slabs[0].width > 3 * slabs[-1].width, "the resolution now lies across"
    assert "\n" in ax.get_title(loc="left") and not lettering.outside(fig)


def test_a_row_of_slabs_beside_another_panel_keeps_its_place():
    fig, (ax, other) = plt.subplots(1, 2, figsize=(8.4, 3))
    figures.draw_model(ax, [Part(1), Part(2)])
    other.plot([0, 1], [0, 1])
    narrow.narrowed(fig)
    assert len(fig.axes) == 2 and len(other.lines) == 1


def test_a_legend_beside_its_axes_goes_below_with_its_marks():
    fig, ax = plt.subplots(figsize=(7, 3))
    for number in range(3):
        ax.errorbar([0, 1], [number, 1], [0.1, 0.1], fmt="os^"[number], label=f"arm {number}")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    assert narrow.narrowed(fig)
    (legend,) = fig.legends
    assert ax.get_legend() is None
    fig.draw_without_rendering()
    assert legend.get_window_extent().y1 < ax.get_window_extent().y0
    assert {line.get_marker() for line in legend.findobj(Line2D)} >= set("os^")


# --- the page's form ----------------------------------------------------------------------------


def elements(fig, alt=ALT):
    return BeautifulSoup(drawings.drawings_html(fig, alt), "html.parser")


def content(address):
    kind, data = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", address).groups()
    return kind, base64.b64decode(data)


def test_a_wide_figure_has_a_second_drawing_for_phones():
    soup = elements(side_by_side())
    image, source = soup.img, soup.source
    assert image["alt"] == ALT and image["width"] == str(round(9.2 * 96))
    assert source["width"] == "336" and source["media"] == "(max-width: 600px)"
    assert int(source["height"]) > int(image["height"])
    for address, width in ((image["src"], 9.2), (source["srcset"], 3.5)):
        kind, data = content(address)
        root = ElementTree.fromstring(data)
        assert kind == "svg+xml" and root.get("width") == f"{72 * width:g}pt"
        assert not list(root.iter("{http://www.w3.org/2000/svg}text")), "letters are outlines"


def test_a_figure_that_fits_a_phone_has_one_drawing():
    soup = elements(small())
    assert soup.source is None and content(soup.img["src"])[0] == "svg+xml"


def small():
    fig, ax = plt.subplots(figsize=(3.5, 2.4))
    ax.plot([0, 1], [0, 1])
    return fig


def test_a_figure_that_cannot_be_narrowed_keeps_a_legible_width():
    fig, ax = plt.subplots(figsize=(8.4, 2))
    for number in range(8):
        ax.text(number, 0, "convolution", ha="center", size=10)
    ax.set(xlim=(-0.7, 7.7), ylim=(-1, 1))
    ax.set_axis_off()
    soup = elements(fig)
    assert soup.source is None
    least = int(re.search(r"min-width: (\d+)px", soup.img["style"])[1])
    assert 10.99 <= 10 * 96 / 72 * least / (8.4 * 96) < 11.1


def test_pictures_and_heavy_drawings_are_png_of_twice_the_resolution():
    def crowd(points):
        fig, ax = plt.subplots(figsize=(3.5, 2.4))
        ax.scatter(*np.random.default_rng(0).normal(size=(2, points)), s=2)
        return fig

    assert content(elements(crowd(30)).img["src"])[0] == "svg+xml"
    for soup in (elements(crowd(6_000)), elements(small(), "Images: a line on paper")):
        kind, data = content(soup.img["src"])
        assert kind == "png" and int.from_bytes(data[16:20], "big") == round(3.5 * 220)
        assert soup.img["width"] == "336"


def test_equal_figures_are_equal_drawings():
    assert drawings.drawings_html(side_by_side(), ALT) == drawings.drawings_html(
        side_by_side(), ALT
    )


def test_the_text_of_a_drawing_becomes_no_markup():
    soup = elements(small(), 'Less < more, "quoted" & <b>bold</b>')
    assert soup.img["alt"] == 'Less < more, "quoted" & <b>bold</b>' and soup.b is None


@pytest.mark.parametrize("mode, forms", [("page", 3), ("live", 2)])
def test_only_pages_get_drawings(monkeypatch, mode, forms):
    monkeypatch.setenv("RESNORM_FIGURES", mode)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    figures.show(small(), alt=ALT)
    assert len(shown[0]) == forms and ("text/html" in shown[0]) == (mode == "page")
