"""Every page in a headless browser, visited once per setting."""

import pytest
from test_legible_figures import lettering_that_is_illegible
from test_weight import room_that_sections_lack

from browsing import (
    CODE,
    in_the_dark,
    pages_with,
    state,
    the_pages_with,
    violations,
    what_stayed,
)


def unreadable_pictures(page):
    found = page.evaluate(
        """() => Promise.all([...document.images].filter(i => i.offsetParent)
            .map(i => { i.loading = 'eager'; // a lazy one would be awaited for ever
                return i.decode().then(() => '', () => i.src.slice(0, 80)); }))"""
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
            .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
            .map(e => e.textContent.split('\\n').reduce((a, b) => a.length > b.length ? a : b))"""
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


@pytest.mark.parametrize(
    "marker",
    [
        'class="rn-explore"',
        'class="solution',
        "cell_input",
        'class="rn-drawing"',
        'class="rn-later"',
    ],
)
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


def parts_wider_than_the_screen(page):
    wide, begins_out_of_sight = page.evaluate(
        """() => [document.scrollingElement.scrollWidth <= innerWidth ? []
            : [document.scrollingElement.scrollWidth + " px in all",
                ...[...document.querySelectorAll('article *')]
                .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                .slice(0, 5).map(e => e.outerHTML.slice(0, 120))],
            [...document.querySelectorAll('div.math:has(mjx-math)')]
                .filter(box => box.offsetParent
                    && box.querySelector('mjx-math').getBoundingClientRect().left
                       < box.getBoundingClientRect().left - 1)
                .map(box => box.id || box.innerText)]"""
    )
    yield from (f"the page is wider than the screen: {each}" for each in wide)
    for each in begins_out_of_sight:
        yield f"a wide equation must begin at its beginning, and scroll to its end: {each}"


def interactive_figures_that_do_not_fit(page):
    """At 375 px all of a figure is in sight below its controls, which fingers can use."""
    for number, figure in enumerate(page.locator(".rn-explore:visible").all()):
        whole, seen, height, targets = figure.evaluate(
            """figure => { const frame = figure.querySelector(".rn-frame");
              const box = each => each.getBoundingClientRect();
              const sizes = figure.querySelectorAll("input[type=range], select, .rn-button span");
              return [frame.scrollWidth, frame.clientWidth,
                box(frame).bottom - box(figure.querySelector(".rn-controls")).top,
                [...sizes].map(each => Math.min(box(each).height, box(each).width))]; }"""
        )
        if whole > seen + 1:
            yield f"figure {number} is {whole} px wide and has {seen}"
        if height > 700:
            yield f"figure {number} is {height:.0f} px high, so that its end is out of sight"
        if not targets or min(targets) < 36:
            yield f"a control of figure {number} is {min(targets, default=0):.0f} px small"
        image = figure.locator(".rn-image:visible, .rn-image-dark:visible")
        shown = "each => [each.currentSrc, each.offsetWidth]"
        loaded = "each => each.complete && each.naturalWidth > 0"
        image.evaluate("each => { each.loading = 'eager'; return each.decode(); }")
        before = image.evaluate(shown)
        control = figure.locator("input[type=range], select, label:has(input:not(:checked))").first
        if control.evaluate("each => each.tagName") == "LABEL":
            control.click()
        else:
            control.focus()
            control.press("ArrowDown")
            if image.evaluate(shown) == before:
                control.press("ArrowUp")
        page.wait_for_function(f"each => ({loaded})(each)", arg=image.element_handle())
        after = image.evaluate(shown)
        if after[0] == before[0]:
            yield f"figure {number} shows the same frame as before"
        if after[1] != before[1]:
            yield f"figure {number} changes from {before[1]} to {after[1]} px when it moves"


def test_the_page_on_a_phone(visit, server, page_name):
    """Sections keep their room until they are laid out; all fits; lettering is legible."""
    with visit(width=375) as v:
        page = v.go(f"{server}/{page_name}", whole=False)
        faults = [*room_that_sections_lack(page)]  # which lays them out
        v.whole()
        faults += [*parts_wider_than_the_screen(page), *lettering_that_is_illegible(page)]
        faults += interactive_figures_that_do_not_fit(page)
        assert faults == []


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
