"""Figures: one look, alternative text, equal bytes."""

import base64
import io
import json
import os
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from resnorm import figures
from resnorm.figures import slabs

matplotlib.use("agg")
ALT = "A straight line rises from zero to one."


def a_figure():
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1], [0, 1])
    return fig


def test_a_figure_is_shown_with_its_alternative_text_and_size(displayed):
    figures.show(a_figure(), alt=f"  {ALT}\n")
    ((data, metadata),) = displayed
    assert metadata["image/png"] == {"alt": ALT, "width": 288, "height": 192}
    assert ALT in data["text/plain"]
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        assert picture.format == "PNG" and picture.size == (330, 220)


def test_a_caption_follows_as_markdown(displayed):
    figures.show(a_figure(), alt=ALT, caption="The line\n rises.")
    assert [data["text/plain"] for data, _ in displayed][1:] == ["The line rises."]
    assert displayed[1][0]["text/markdown"] == "*The line rises.*"


@pytest.mark.parametrize("alt", ["", "A plot", "plot.png", "three words only", None, 5])
def test_a_figure_without_a_sentence_of_alternative_text_is_refused(displayed, alt):
    with pytest.raises(ValueError, match="alternative text.*sentence"):
        figures.show(a_figure(), alt=alt)
    assert not displayed


@pytest.mark.parametrize("format", ["png", "webp"])
def test_equal_figures_are_equal_bytes_and_are_closed(format):
    plt.close("all")
    first, second = (figures.to_bytes(a_figure(), format) for _ in range(2))
    assert first == second
    assert not plt.get_fignums()


@pytest.mark.filterwarnings("error")
def test_a_figure_that_lays_itself_out_does_so_in_every_form(displayed, monkeypatch):
    monkeypatch.setenv("RESNORM_FIGURES", "page")  # drawn as PNG, as SVG and for a phone
    with matplotlib.rc_context():
        figures.use_style()
        fig = plt.figure(figsize=(3, 2), layout="none")
        fig.add_axes((0, 0, 1, 1)).text(0.5, 0.5, "in the middle")
        figures.show(fig, alt=ALT)
        assert fig.get_layout_engine() is None
    assert "svg" in displayed[0][0]["text/html"]


def test_an_image_tag_escapes_its_text():
    tag = figures.image_tag(b"x", 'a "quoted" <b> & more')
    assert 'alt="a &quot;quoted&quot; &lt;b&gt; &amp; more"' in tag
    assert tag.startswith('<img src="data:image/webp;base64,eA=="')


def test_the_mode_is_named_by_the_environment(monkeypatch):
    monkeypatch.delenv("RESNORM_FIGURES", raising=False)
    assert figures.display_mode() == "live"
    for mode in figures.MODES:
        monkeypatch.setenv("RESNORM_FIGURES", mode)
        assert figures.display_mode() == mode
    monkeypatch.setenv("RESNORM_FIGURES", "pdf")
    with pytest.raises(ValueError, match="'pdf'.*live, page"):
        figures.display_mode()


def luminance(color):
    channels = matplotlib.colors.to_rgb(color)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", figures.PALETTE)
def test_every_color_stands_out_from_white(name):
    contrast = 1.05 / (luminance(figures.PALETTE[name]) + 0.05)
    assert contrast >= 3  # WCAG 2.1, 1.4.11: graphical objects


def test_the_style_cycles_through_the_palette():
    with plt.rc_context():
        figures.use_style()
        cycle = [
            "#" + color.lstrip("#") for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]
        ]
    assert cycle == [
        figures.PALETTE[name] for name in ("blue", "orange", "green", "purple", "red", "gray")
    ]


INLINE = "module://matplotlib_inline.backend_inline"


@pytest.mark.parametrize("backend", [INLINE, "agg", "svg"])
def test_the_style_leaves_the_backend_and_what_a_context_restores(backend):
    before, style = matplotlib.get_backend(), dict(matplotlib.rcParams)
    interactive = matplotlib.is_interactive()
    try:
        with plt.rc_context():
            plt.switch_backend(backend)
            figures.use_style()
            assert matplotlib.get_backend() in (backend, "inline")
            assert matplotlib.is_interactive() == interactive
    finally:
        plt.switch_backend(before)
    assert dict(matplotlib.rcParams) == style


CELLS = {
    "shown with alternative text": ("fig, ax = plt.subplots(); figures.show(fig, alt=ALT)", [ALT]),
    "shown by plt.show": ("plt.plot([1, 2]); plt.show()", [None]),
    "shown by nobody": ("plt.plot([1, 2])", [None]),
    "shown in both ways": (
        "fig, ax = plt.subplots(); figures.show(fig, alt=ALT); plt.plot([1, 2]); plt.show()",
        [ALT, None],
    ),
    "explored": (
        "from resnorm import explore\n"
        "explore(lambda a: plt.figure(), {'a': [1, 2]}, alt=lambda a: ALT, mode='page')",
        [ALT],
    ),
}
IN_A_NOTEBOOK = f"""
import json
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
shell.run_cell("import matplotlib.pyplot as plt; from resnorm import figures; figures.use_style()")
shell.run_cell("ALT = {ALT!r}")
for cell in {[cell for cell, _ in CELLS.values()]}:
    with capture_output() as captured:
        assert shell.run_cell(cell).success
    pictures = [o for o in captured.outputs if "image/png" in o.data]
    print(json.dumps([(o.metadata or {{}}).get("image/png", {{}}).get("alt") for o in pictures]))
"""


def test_in_a_notebook_each_figure_is_displayed_once_and_plt_show_works():
    environment = os.environ | {"MPLBACKEND": INLINE, "IPYTHONDIR": os.devnull}
    result = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert dict(zip(CELLS, shown)) == {name: alts for name, (_, alts) in CELLS.items()}


def test_a_heatmap_writes_each_number_where_it_stands():
    fig, ax = plt.subplots()
    figures.annotated_heatmap(ax, np.array([[1.0, -2.0], [0.0, 0.5]]), title="m")
    written = {t.get_position(): t.get_text() for t in ax.texts}
    assert written == {(0, 0): "1.00", (1, 0): "-2.00", (0, 1): "0.00", (1, 1): "0.50"}
    plt.close(fig)


def test_a_graph_writes_every_node_and_edge_label():
    fig, ax = plt.subplots()
    figures.draw_graph(
        ax, {"x": (0, 0, "in"), "y": (1, 0, "out", "red")}, [("x", "y", "times"), ("y", "x")]
    )
    assert {t.get_text() for t in ax.texts} - {""} == {"in", "out", "times"}
    plt.close(fig)


def test_an_edge_of_a_graph_and_its_label_have_their_own_color():
    fig, ax = plt.subplots()
    nodes = {"x": (0, 0, "in"), "y": (1, 0, "out", "#ff0000")}
    edges = [("x", "y", "times", 0.0, "#00ff00"), ("x", "y", "plus")]
    figures.draw_graph(ax, nodes, edges, tinted=True)
    texts = {text.get_text(): text for text in ax.texts}
    assert texts["times"].get_color() == "#00ff00"
    assert texts["plus"].get_color() == figures.PALETTE["gray"]
    red, green, blue, _ = texts["out"].get_bbox_patch().get_facecolor()
    assert red == 1 and green == blue and 0.5 < blue < 1  # a light red
    plt.close(fig)


class _Part:
    def __init__(self, name, output_shape, parameters=0):
        self.name, self.output_shape, self.parameters = name, output_shape, parameters


PARTS = [
    _Part("down", (4, 16, 16), 864),
    _Part("bottom", (8, 8, 8), 9_400),
    _Part("up", (4, 16, 16)),
    _Part("fc", (10,), 1_234_567),
]


def test_a_model_is_drawn_with_shapes_counts_and_skips():
    fig, ax = plt.subplots()
    figures.draw_model(ax, PARTS, [("down", "up", "concatenate")], labels={"fc": "classifier"})
    written = [text.get_text() for text in ax.texts]
    assert written == [
        "down",
        "4 × 16²",
        "864",
        "bottom",
        "8 × 8²",
        "9.4 k",
        "up",
        "4 × 16²",
        "0",
        "classifier",
        "10",
        "1.2 M",
    ]
    slabs = ax.patches
    assert (
        slabs[0].get_height() > slabs[1].get_height()
        and slabs[0].get_width() < slabs[1].get_width()
    )
    assert slabs[0].get_facecolor() == slabs[2].get_facecolor() != slabs[1].get_facecolor()
    assert ax.lines[0].get_linestyle() == "--"
    top = max(line.get_ydata().max() for line in ax.lines)
    assert slabs[0].get_height() / 2 < top < ax.get_ylim()[1]
    plt.close(fig)


def test_an_identity_is_solid_and_a_projection_is_not():
    fig, ax = plt.subplots()
    figures.draw_model(ax, PARTS, [("down", "up", "add"), ("bottom", "up", "project")])
    identity, projection = ax.lines[0], ax.lines[2]  # after each line comes its arrowhead
    assert identity.get_linestyle() == "-" and projection.get_linestyle() == "--"
    assert len({str(style) for style in slabs.JOINS.values()}) == len(slabs.JOINS)
    plt.close(fig)


def test_levels_share_a_color_where_resolutions_differ():
    parts = [
        _Part("down", (4, 568, 568)),
        _Part("bottom", (8, 280, 280)),
        _Part("up", (4, 388, 388)),
    ]
    for levels, alike in (({"down": 0, "bottom": 1, "up": 0}, True), (None, False)):
        fig, ax = plt.subplots()
        figures.draw_model(ax, parts, levels=levels)
        down, bottom, up = (slab.get_facecolor() for slab in ax.patches)
        assert (down == up) == alike and down != bottom
        plt.close(fig)


@pytest.mark.parametrize(
    "skip, message",
    [
        (("down", "top", "add"), "the parts are down, bottom, up, fc"),
        (("down", "up", "sum"), "'add', 'concatenate'"),
    ],
)
def test_a_wrong_skip_is_named(skip, message):
    fig, ax = plt.subplots()
    with pytest.raises(ValueError, match=message):
        figures.draw_model(ax, PARTS, [skip])
    plt.close(fig)
