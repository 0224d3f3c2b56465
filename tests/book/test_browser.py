"""The built pages in a headless browser: offline, figures that move, readable by everyone."""

import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

import resnorm

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
matplotlib.use("agg")
SERIOUS = {"serious", "critical"}


def pages_with(marker):
    """Names of the built pages that hold ``marker``."""
    names = (path.relative_to(HTML).as_posix() for path in sorted(HTML.rglob("*.html")))
    return [
        name for name in names if name[0] not in "_." and marker in (HTML / name).read_text("utf-8")
    ]


def the_pages_with(marker, what):
    """The same, as parameters; a test of an empty list fails instead of vanishing."""
    return pages_with(marker) or [pytest.param("", id=f"no page has {what}")]


# --- every page, visited once per setting ---------------------------------------------------


def unreadable_pictures(page):
    found = page.evaluate(
        """() => Promise.all([...document.images].filter(i => i.offsetParent)
            .map(i => i.decode().then(() => '', () => i.src.slice(0, 80))))"""
    )
    return [f"a picture cannot be shown: {src}" for src in found if src]


def mathematics_left_as_source(page):
    written, typeset = page.locator(".math").count(), page.locator("mjx-container").count()
    if typeset < written:
        yield f"{written - typeset} of {written} formulas are not typeset"
    if page.locator("mjx-merror").count():
        yield "a formula holds an error"
    raw = page.evaluate(
        """() => { const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, n =>
            n.parentElement.closest('script, style, pre, code, textarea, mjx-container')
              ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
          const found = [];
          while (walk.nextNode())
            if (/\\$\\$|\\\\\\(|\\\\\\[|\\\\begin\\{/.test(walk.currentNode.data))
              found.push(walk.currentNode.data.trim().slice(0, 80));
          return found; }"""
    )
    yield from (f"mathematics is left as source: {text}" for text in raw)


def code_wider_than_its_box(page):
    """Visible code cells in which a reader at a desk would have to scroll sideways."""
    found = page.evaluate(
        """() => [...document.querySelectorAll('div.cell_input pre')]
            .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1)
            .map(e => e.innerText.split('\\n').reduce((a, b) => a.length > b.length ? a : b))"""
    )
    return [f"a line of code is wider than its box: {line}" for line in found]


def figures_that_stand_still(page):
    for figure in page.locator(".rn-explore").all():
        for control in figure.locator("input[type=range]").all():
            before = state(figure)
            at_the_end = control.input_value() == control.get_attribute("max")
            control.press("ArrowLeft" if at_the_end else "ArrowRight")
            yield from what_stayed(before, state(figure))
        for group in figure.locator("fieldset").all():
            before = state(figure)
            group.locator("label", has=page.locator("input:not(:checked)")).first.click()
            yield from what_stayed(before, state(figure))
        for menu in figure.locator("select").all():
            before = state(figure)
            options = menu.locator("option").count()
            menu.select_option(index=(int(menu.input_value()) + 1) % options)
            yield from what_stayed(before, state(figure))


def solutions_that_stay_shut(page):
    solutions = page.locator("div.solution").all()
    for solution in [*solutions[:1], *solutions[1:][-1:]]:
        # text, or a code cell where the solution is code alone
        body = solution.locator("section > *").last
        if body.is_visible():
            yield "a solution is open before anybody asked for it"
        # the title beside the button holds a link
        solution.locator("button.toggle-button").first.click()
        body.wait_for(state="visible", timeout=5_000)


@pytest.mark.parametrize("marker", ['class="rn-explore"', 'class="solution', "cell_input"])
def test_the_visits_meet_what_they_check(marker):
    assert pages_with(marker), "a check that meets nothing would pass"


def test_the_page_at_a_desk_in_light_and_dark(visit, server, page_name):
    """Served: typeset, accessible in both themes; code fits; figures move; solutions open."""
    with visit() as v:  # which checks errors and requests
        page = v.go(f"{server}/{page_name}")
        faults = [*unreadable_pictures(page), *mathematics_left_as_source(page)]
        faults += code_wider_than_its_box(page)
        faults += violations(page, exclude=[CODE])
        in_the_dark(page)
        # the other rules know no color
        faults += violations(page, exclude=[CODE], rules=["color-contrast", "link-in-text-block"])
        faults += figures_that_stand_still(page)
        faults += solutions_that_stay_shut(page)
        assert faults == []


def test_the_page_opened_as_a_file(visit, addresses, page_name):
    with visit() as v:
        page = v.go(f"{addresses['file']}/{page_name}")
        faults = [*unreadable_pictures(page), *mathematics_left_as_source(page)]
        faults += figures_that_stand_still(page)
        assert faults == []


def test_the_page_fits_a_telephone(visit, server, page_name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{page_name}")
        wide = page.evaluate(
            """() => document.scrollingElement.scrollWidth <= 375 ? []
                : [...document.querySelectorAll('article *')]
                .filter(e => e.getBoundingClientRect().right > 376)
                .slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""
        )
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 375, wide
        begins_out_of_sight = page.evaluate(
            """() => [...document.querySelectorAll('div.math:has(mjx-math)')]
                .filter(box => box.offsetParent
                    && box.querySelector('mjx-math').getBoundingClientRect().left
                       < box.getBoundingClientRect().left - 1)
                .map(box => box.id || box.innerText)"""
        )
        assert begins_out_of_sight == [], (
            "a wide equation must begin at its beginning, and scroll to its end"
        )


#: Code has thousands of colored words per page, in the same few colors: one page stands for all.
CODE = "div.highlight"


def violations(page, exclude=(), rules=()):
    """What axe finds, outside the elements ``exclude``, by these rules or by all."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_function(
        "document.getAnimations().every(animation => animation.playState !== 'running')"
    )  # colors fade in
    # preload would fetch style sheets again by addresses of its own, some of them wrong
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = (
        Axe()
        .run(
            page,
            context={"exclude": [[each] for each in exclude]} if exclude else None,
            options=options,
        )
        .response["violations"]
    )
    return [
        f"{v['id']} ({v['impact']}): {node['html'][:160]} -- {node['failureSummary'][:200]}"
        for v in found
        if v["impact"] in SERIOUS
        for node in v["nodes"][:3]
    ]


def in_the_dark(page):
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


@pytest.mark.parametrize("name", the_pages_with('class="highlight-ipython3', "code")[:1])
def test_axe_finds_no_serious_fault_in_code(visit, server, name):
    assert name, "no built page has code"
    with visit() as v:
        page = v.go(f"{server}/{name}")
        assert page.locator(CODE).count() > 10 and violations(page) == []
        in_the_dark(page)
        assert violations(page) == []


def test_axe_would_find_a_fault(visit):
    with visit() as v:
        v.page.set_content(
            "<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'>"
            "<p style='color:#ccc'>pale</p></main>"
        )
        found = " ".join(violations(v.page))
        assert "image-alt" in found and "color-contrast" in found


def test_a_request_to_another_machine_and_an_error_would_be_found(visit):
    with visit(check=False) as v:
        v.page.set_content(
            "<img src='https://other.example/x.png'><script>undefined_function()</script>"
        )
        v.page.wait_for_timeout(200)
        assert v.outside == ["https://other.example/x.png"]
        assert any("undefined_function" in error for error in v.errors)


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_address_of_the_book_leads_to_its_first_page(visit, addresses, scheme):
    with visit() as v:
        v.page.goto(f"{addresses[scheme]}/index.html")
        v.page.wait_for_url("**/book/index.html", timeout=5_000)


# --- figures that move ----------------------------------------------------------------------


def state(figure):
    image, label = figure.locator(".rn-image"), figure.locator(".rn-label")
    return image.get_attribute("src"), image.get_attribute("alt"), label.inner_text()


def what_stayed(before, after):
    """What of a figure's state did not change, as sentences."""
    parts = ("picture", "alternative text", "label")
    return [
        f"the {what} of a figure stayed the same at {after[2]!r}"
        for old, new, what in zip(before, after, parts)
        if old == new
    ]


def assert_moved(before, after):
    assert what_stayed(before, after) == []


@pytest.fixture(scope="module")
def standalone(tmp_path_factory):
    """A file with one figure of all kinds of controls, as the book would hold it."""

    def draw(**values):
        fig, ax = plt.subplots(figsize=(4, 1))
        ax.set_title(str(values))
        return fig

    html = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda data, **_: html.append(data["text/html"]))
        resnorm.explore(
            draw,
            {"eps": [0.1, 1.0, 10.0], "norm": ["batch", "layer"], "data": list("abcde")},
            alt=lambda **values: f"A picture that shows {values}",
            mode="page",
        )
    path = tmp_path_factory.mktemp("figure") / "figure.html"
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>x</title>"
        f"<main><h1>x</h1>{html[0]}</main></html>"
    )
    return path.as_uri()


def test_the_slider_moves_by_keyboard_and_by_mouse(visit, standalone):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        slider = figure.get_by_label("eps")
        first = state(figure)
        assert figure.locator(".rn-label").get_attribute("aria-live") == "polite"
        slider.focus()
        v.page.keyboard.press("ArrowRight")
        second = state(figure)
        assert_moved(first, second)
        assert slider.get_attribute("aria-valuetext") == "1" and "eps = 1," in second[2]
        box = slider.bounding_box()
        v.page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
        assert slider.get_attribute("aria-valuetext") == "10" and "eps = 10," in state(figure)[2]
        assert_moved(second, state(figure))
        v.page.keyboard.press("Home")
        assert state(figure) == first  # back where it was


def test_buttons_and_menu_move_the_figure(visit, standalone):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        first = state(figure)
        figure.get_by_text("layer", exact=True).click()
        second = state(figure)
        assert_moved(first, second)
        v.page.keyboard.press("ArrowLeft")  # radio buttons move by arrows
        assert state(figure) == first
        figure.get_by_label("data").select_option("c")
        assert "data = c" in state(figure)[2]
        assert_moved(first, state(figure))


def test_a_page_that_is_visited_again_shows_what_its_controls_say(visit, standalone, server):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        figure.get_by_label("eps").press("ArrowRight")
        v.page.goto(f"{server}/book/index.html")
        v.page.go_back()
        shown = v.page.locator(".rn-explore .rn-label").inner_text()
        value = v.page.locator(".rn-explore input[type=range]").input_value()
        assert f"eps = {['0.1', '1', '10'][int(value)]}," in shown


def test_axe_finds_no_fault_in_a_figure_with_every_control(visit, standalone):
    with visit() as v:
        assert violations(v.go(standalone)) == []


def test_without_scripts_the_first_state_is_shown_and_the_reader_told(browser, standalone):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(standalone)
    assert "need JavaScript" in page.locator(".rn-explore").inner_text()
    assert page.locator(".rn-image").is_visible()
    context.close()


# --- the theme, the search, the buttons -----------------------------------------------------


@pytest.mark.parametrize("name", the_pages_with('alt="Images:', "a picture")[:1])
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


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_searching_for_bessel_finds_the_chapter(visit, addresses, scheme):
    with visit(check=scheme == "http") as v:
        page = v.go(f"{addresses[scheme]}/search.html?q=bessel")
        page.locator("#search-results a", has_text="Batch normalization, forward").first.wait_for(
            timeout=10_000
        )
        # opened as a file, a browser refuses Sphinx the excerpt beside each result; they are there
        excerpt = re.compile(
            r"Access to fetch at 'file:|Failed to load resource: net::ERR_FAILED|^Failed to fetch$"
        )
        assert v.outside == [] and [error for error in v.errors if not excerpt.search(error)] == []


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
