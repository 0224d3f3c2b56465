"""The theme and the buttons of the pages, in a headless browser."""

import re

import pytest
from test_pages import soup_of

from browsing import HTML, the_pages_with
from conftest import pages


@pytest.mark.parametrize(
    "name", the_pages_with('alt="Images:', "a picture", under="notebooks/")[:1]
)
def test_pictures_keep_their_brightness_in_the_dark(visit, server, name):
    assert name, "no built page has a picture"
    with visit(theme="dark") as v:
        page = v.go(f"{server}/{name}")
        filters = """name => [...document.querySelectorAll('.cell_output img')]
            .filter(i => i.alt.startsWith('Images:') == name)
            .map(i => getComputedStyle(i).filter)"""
        assert set(page.evaluate(filters, True)) == {"none"}
        assert "none" not in page.evaluate(filters, False)


@pytest.mark.parametrize("name", the_pages_with('class="rn-explore"', "a figure")[:1])
def test_the_dark_theme_turns_page_and_figures(visit, server, name):
    assert name, "no built page has a figure"
    look = """() => { const image = document.querySelector('.cell_output img'); return {
        theme: document.documentElement.dataset.theme,
        page: getComputedStyle(document.body).backgroundColor,
        figure: [image, image.parentElement].map(e => getComputedStyle(e).filter).join(' ')}; }"""
    with visit(theme="light") as v:
        page = v.go(f"{server}/{name}")
        light = page.evaluate(look)
        for _ in range(3):  # the button goes round: light, dark, automatic
            page.locator("button.theme-switch-button:visible").first.click()
            dark = page.evaluate(look)
            if dark["theme"] == "dark":
                break
        assert (light["theme"], dark["theme"]) == ("light", "dark")
        assert brightness(light["page"]) > 200 and brightness(dark["page"]) < 60
        assert light["figure"] == "none none" and dark["figure"] != "none none"


def brightness(color):
    red, green, blue = map(float, re.findall(r"[\d.]+", color)[:3])
    return (red + green + blue) / 3


@pytest.mark.parametrize("name", the_pages_with('class="highlight-ipython3', "code")[:1])
def test_the_copy_button_copies_the_code(visit, server, name):
    assert name, "no built page has code"
    with visit() as v:
        page = v.go(f"{server}/{name}")
        button = page.locator("div.highlight:visible button.copybtn").first
        code = button.locator("xpath=..").locator("pre").inner_text()
        button.locator("xpath=..").hover()
        button.click()
        page.wait_for_function("async () => (await navigator.clipboard.readText()).length > 0")
        assert page.evaluate("navigator.clipboard.readText()").strip() == code.strip()


@pytest.mark.parametrize("name", the_pages_with("admonition hide above-input", "hidden code")[:1])
def test_hidden_code_opens(visit, server, name):
    assert name, "no built page hides code"
    with visit() as v:
        page = v.go(f"{server}/{name}")
        details = page.locator("details.hide").first
        assert not details.locator("pre").first.is_visible()
        details.locator("summary").click()
        assert details.locator("pre").first.is_visible()


@pytest.mark.parametrize("name", [name for name in pages() if name.startswith("notebooks/")])
def test_a_chapter_does_not_begin_with_its_setup(name):
    setup = [pre for pre in soup_of(HTML / name).find_all("pre") if "# Setup." in pre.get_text()]
    folds = [pre.find_parent("details") for pre in setup]
    assert [fold.p.get_text() for fold in folds] == ["Show the setup"]
