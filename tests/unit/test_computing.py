"""Figures that compute, as a notebook and a page receive them; a browser tests what they do."""

import base64
import io
import json
import re

import pytest
from PIL import Image

from resnorm import figures
from resnorm.figures import computing

ALT = "Six points on a line that can be dragged."


@pytest.mark.parametrize("name", computing.NAMES)
def test_a_notebook_gets_the_figure_a_picture_a_sentence_and_a_caption(displayed, name):
    figures.compute(name, alt=f"  {ALT}\n", caption="Drag\n a point.")
    (data, metadata), (caption, _) = displayed
    assert metadata["image/png"]["alt"] == ALT and ALT in data["text/plain"]
    with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
        size = metadata["image/png"]["width"], metadata["image/png"]["height"]
        assert picture.size == (2 * size[0], 2 * size[1])
        assert picture.format == "PNG" and 300 < size[0] < 700
    assert f'data-figure="{name}"' in data["text/html"]
    assert caption["text/markdown"] == "*Drag a point.*"


@pytest.mark.parametrize("name", computing.NAMES)
def test_it_needs_no_other_file_and_no_host(name):
    markup = computing.computing_html(name, ALT).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|\bsrc=|@import|url\(|\bfetch\(|\bimport\(", markup)
    assert len(markup) < 100_000
    # Several figures on a page, and one figure twice, must not share an id.
    assert not re.search(r'<[^>]*\sid="', markup.split("<script")[0])


def test_the_alternative_text_becomes_no_markup():
    evil = 'A "quoted" text <script>alert(1)</script> & more'
    markup = computing.computing_html("normalize", evil)
    assert markup.count("<script") == computing.computing_html("normalize", ALT).count("<script")
    assert 'aria-label="A &quot;quoted&quot; text &lt;script&gt;' in markup


def test_an_unknown_figure_and_a_missing_text_are_refused(displayed):
    with pytest.raises(ValueError, match="'nothing'; it must be one of 'normalize'"):
        figures.compute("nothing", alt=ALT)
    with pytest.raises(ValueError, match="alternative text.*sentence"):
        figures.compute("normalize", alt="short")
    assert not displayed


def test_no_script_ends_before_its_element_does():
    for path in ("library", *computing.NAMES):
        assert "</script" not in computing._read(path, "js").decode().lower()


@pytest.mark.parametrize("name", computing.NAMES)
def test_the_first_state_has_text_that_a_phone_shows_at_full_size(name):
    first = json.loads(computing._read(name, "json"))
    assert 'width="330"' in first["svg"] and first["readout"].endswith(".")
