"""A link shows what it leads to when the pointer or the keyboard rests on it."""

import gzip

import pytest

from browsing import violations

BACKWARD = "notebooks/2-normalization/2-batch-norm-backward.html"
FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"
BOX = "#rn-preview"
LINKS = ".bd-article a:not(.headerlink, .rn-self)"


def hovered(page, link):
    link.scroll_into_view_if_needed()
    link.hover()
    box = page.locator(BOX)
    box.wait_for(state="visible", timeout=8000)
    return box


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize(
    "address, link, inside",
    [
        (BACKWARD, "[href^='#equation-']", "mjx-container"),
        (FORWARD, "[href^='#ex-']", ".exercise"),
        (FORWARD, "[href*='bibliography.html#id']", ".citation"),
        (FORWARD, "[href*='1-depth/'][href*='#']", ".rn-preview-title"),
        ("book/glossary.html", "[href^='#term-']", ".rn-preview-title"),
        ("book/errata.html", "[href*='batch-norm-backward.html#ex-']", ".exercise"),
    ],
)
def test_a_link_shows_what_it_leads_to(visit, addresses, scheme, address, link, inside):
    with visit() as v:
        page = v.go(f"{addresses[scheme]}/{address}")
        first = page.locator(f"{LINKS}{link}").locator("visible=true").first
        box = hovered(page, first)
        box.locator(inside).first.wait_for(timeout=8000)
        assert len(box.inner_text()) > 10 and box.locator("[id]").count() == 0
        assert first.get_attribute("aria-describedby") == "rn-preview"
        where = box.bounding_box()
        assert where["x"] >= 0 and where["x"] + where["width"] <= 1280
        page.mouse.move(2, 2)
        box.wait_for(state="hidden", timeout=4000)
        assert first.get_attribute("aria-describedby") is None


def test_figures_show_their_picture(visit, server):
    with visit() as v:
        page = v.go(f"{server}/{FORWARD}")
        # no sentence of the book links to a figure yet: this one does
        page.evaluate(
            """() => {
                const link = Object.assign(document.createElement('a'),
                    { href: '#figure-2', textContent: 'the second figure', id: 'to-figure' });
                document.querySelector('article h1').after(link);
            }"""
        )
        box = hovered(page, page.locator("#to-figure"))
        assert box.locator("img").evaluate("e => e.decode().then(() => e.naturalWidth)") > 100
        assert "Figure 2.1.2" in box.inner_text()


def test_the_keyboard_shows_it_and_escape_hides_it(visit, server):
    with visit() as v:
        page = v.go(f"{server}/{FORWARD}")
        link = page.locator(f"{LINKS}[href*='bibliography']").first
        link.scroll_into_view_if_needed()
        page.keyboard.press("Tab")  # from here on the keyboard leads
        link.focus()
        box = page.locator(BOX)
        box.wait_for(state="visible")
        assert violations(page) == []
        page.keyboard.press("Escape")
        assert not box.is_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        box.wait_for(state="visible")
        page.keyboard.press("Tab")
        box.wait_for(state="hidden")


def test_the_pointer_may_move_onto_it(visit, server):
    with visit() as v:
        page = v.go(f"{server}/{FORWARD}")
        box = hovered(page, page.locator(f"{LINKS}[href*='bibliography']").first)
        box.hover()
        page.wait_for_timeout(600)
        assert box.is_visible()


def test_touch_follows_the_link_and_shows_nothing(browser, built, server):
    context = browser.new_context(viewport={"width": 375, "height": 800}, has_touch=True)
    try:
        page = context.new_page()
        page.goto(f"{server}/{FORWARD}", wait_until="load")
        link = page.locator(f"{LINKS}[href^='#']").locator("visible=true").first
        target = link.get_attribute("href")
        link.tap()
        page.wait_for_timeout(700)
        assert page.url.endswith(target)
        assert not page.locator(BOX).is_visible()
    finally:
        context.close()


def test_the_previews_come_when_a_link_is_wanted(built, visit, server):
    assert len(gzip.compress((built / "_static/previews-data.js").read_bytes(), 6)) < 160_000
    with visit() as v:
        asks = []
        v.page.on("request", lambda request: asks.append(request.url))
        page = v.go(f"{server}/{FORWARD}")
        assert not any("previews-data" in each for each in asks)
        hovered(page, page.locator(f"{LINKS}[href*='bibliography']").first)
        assert sum("previews-data" in each for each in asks) == 1
