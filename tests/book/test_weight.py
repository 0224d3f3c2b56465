"""Pages are light: one style sheet, no idle elements, sections that wait, frames in files."""

import gzip
import re
import sys
from pathlib import Path

import pytest

from browsing import HTML, in_the_dark, pages_with, state, the_pages_with

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "extensions"))

from resnorm_book import weight

BACKWARD = "notebooks/2-normalization/2-batch-norm-backward.html"
LATER = the_pages_with('class="rn-later"', "sections")


def test_one_small_style_sheet(built):
    names = pages_with('id="main-content"')
    assert len(names) > 30
    for name in names:
        sheets = re.findall(r'<link[^>]*rel="stylesheet"[^>]*>', (built / name).read_text("utf-8"))
        assert len(sheets) == 1 and f"_static/{weight.SHEET}?v=" in sheets[0], (name, sheets)
    assert len(gzip.compress((built / "_static" / weight.SHEET).read_bytes(), 6)) < 36_000


def test_no_element_colors_code_in_the_color_of_its_surroundings(built):
    for name in pages_with('class="highlight'):
        page = (built / name).read_text("utf-8")
        assert not re.search(r'<span class="(n|nn|p|w)">', page), name
    rules = (built / "_static" / weight.SHEET).read_text("utf-8")
    for theme, text in (("light", "#080808"), ("dark", "#F8F8F2")):
        start = rf'html\[data-theme="{theme}"\] \.highlight'
        assert re.search(rf"{start}\s*\{{[^}}]*; color: {text}", rules)
        for name in ("n", "nn", "p", "w"):
            assert re.search(rf"{start} \.{name}\s*\{{\s*color: {text}\s*\}}", rules), name


def test_what_is_far_waits_and_comes_whole(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{BACKWARD}", whole=False)
        summary = page.locator("#summary > h2")
        laid_out = "each => each.checkVisibility({ contentVisibilityAuto: true })"
        assert not summary.evaluate(laid_out)
        assert page.locator("#batch-normalization-backward > h1").evaluate(laid_out)
        page.evaluate("document.getElementById('summary').scrollIntoView()")
        page.wait_for_function(f"({laid_out})(document.querySelector('#summary > h2'))")
        page.emulate_media(media="print")
        last = page.locator(".rn-later").last
        assert last.evaluate("each => getComputedStyle(each).contentVisibility") == "visible"


def room_that_sections_lack(page):
    """Lay out all sections, and say if that changes the height of the page by much."""
    if not page.locator(".rn-later").count():
        return
    kept, needed = page.evaluate(
        """() => { const height = () => document.querySelector("article").offsetHeight;
          const before = height();
          document.querySelectorAll(".rn-later").forEach(
            each => { each.style.contentVisibility = "visible"; });
          return [before, height()]; }"""
    )
    if not 0.6 < kept / needed < 1.6:
        yield f"sections that wait take {kept} px instead of {needed}"


@pytest.mark.parametrize("name", LATER)  # on a phone: see test_browser.py
def test_sections_keep_about_the_room_that_they_need(visit, server, name):
    assert name, "no built page has sections that wait"
    with visit(width=1400) as v:
        page = v.go(f"{server}/{name}", whole=False)
        assert [*room_that_sections_lack(page)] == []


@pytest.mark.parametrize(
    "place", ["summary", "the-closed-form", "how-far-does-a-wrong-gradient-get"]
)
@pytest.mark.parametrize("width", [375, 1400])
def test_a_link_to_a_distant_section_ends_there(visit, server, place, width):
    with visit(width=width) as v:
        page = v.go(f"{server}/{BACKWARD}#{place}", whole=False)
        page.wait_for_timeout(500)
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", place)
        assert 90 <= top <= 180, top  # below the bar, with the margins of resnorm.css


@pytest.mark.parametrize("name", the_pages_with('class="rn-data"', "an interactive figure"))
def test_frames_are_files_that_load_when_the_figure_is_used(visit, server, built, name):
    assert name, "no built page has an interactive figure"
    page = (built / name).read_text("utf-8")
    for data in re.findall(r'class="rn-(?:data|narrow)">(.*?)</script>', page, re.DOTALL):
        assert "data:image" not in data
        for address in re.findall(r'"([^"]*_images/[^"]*)"', data):
            assert (HTML / name).parent.joinpath(address).is_file(), address


def test_pictures_of_an_interactive_figure_turn_dark_with_the_page(visit, server):
    (name,) = pages_with("rn-image-dark")
    with visit() as v:
        page = v.go(f"{server}/{name}")
        in_the_dark(page)
        figure = page.locator(".rn-explore:has(.rn-image-dark)")
        dark = figure.locator(".rn-image-dark")
        assert dark.is_visible() and not figure.locator(".rn-image").is_visible()
        before = dark.get_attribute("src")
        figure.locator("input").first.press("ArrowRight")
        source, words, _ = state(figure)
        assert dark.get_attribute("src") == re.sub(r"\.(\w+)$", r"-dark.\1", source) != before
        assert dark.get_attribute("alt") == words
        dark.evaluate("each => each.decode()")
        assert dark.evaluate("each => each.naturalWidth") > 100


RULES = """@charset "utf-8";
@media (min-width: 9px) { .here, .gone { color: red } .gone { top: 0 } }
.here:not(.gone, .never) > a[href="x}"] { content: "{;" } #gone { left: 0 } p { margin: 0 }
@font-face { font-family: A; src: url(fontawesome.woff) } .a\\:b { top: 1px } /* .here { } */"""


def test_rules_without_a_page_go_and_all_others_stay(tmp_path):
    (tmp_path / "styles").mkdir()
    (tmp_path / "basic.css").write_text(".here { background: url(file.png) }")
    (tmp_path / "styles/a.css").write_text('@import "../basic.css";\n' + RULES)
    page = tmp_path / "page.html"
    html = '<link rel="stylesheet" href="_static/styles/a.css?v=1" /><p class="here a:b">'
    linked = weight.one_sheet({page: html}, tmp_path)[page]
    css = (tmp_path / weight.SHEET).read_text("utf-8")
    assert "gone {" not in css and ".never" in css and "fontawesome" not in css
    for rule in (
        '.here{background: url("file.png")}',
        "@media (min-width: 9px){.here{color: red}}",
        '> a[href="x}"]{content: "{;"}',
        "p{margin: 0}",
        ".a\\:b{top: 1px}",
    ):
        assert rule in css, (rule, css)
    assert re.fullmatch(r'<link rel="stylesheet" href="_static/book.css\?v=\w{8}" />.*', linked)
    assert weight.one_sheet({page: linked}, tmp_path)[page] == linked, "a second build"


def test_another_script_of_the_theme_is_refused():
    with pytest.raises(weight.ExtensionError, match="adapt MEASURED"):
        weight.without_measuring("document.querySelectorAll('pre')")
