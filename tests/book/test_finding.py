"""Readers find what an address names, and authors what a reader found wrong."""

from urllib.parse import parse_qs, urlsplit

import pytest

import repository
from conftest import ROOT

FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["equation-eq-bnf-definition", "figure-2", "table-1", "ex-bnf-keras", "summary"]
)
def test_the_target_of_an_address_is_marked(visit, server, name, theme):
    look = """name => { const e = document.getElementById(name),
        marks = [e, e.querySelector('h2')].filter(Boolean).map(each => getComputedStyle(each));
        return marks.some(s => s.outlineStyle === 'solid' || s.backgroundImage !== 'none'); }"""
    with visit(theme=theme) as v:
        page = v.go(f"{server}/{FORWARD}")
        assert not page.evaluate(look, name)
        page.goto(f"{server}/{FORWARD}#{name}")
        assert page.evaluate(look, name)


#: Scrolls to an element until it stays there. Formulas that are typeset on the way change heights.
SCROLL = """async e => {
    for (let last = null; last !== scrollY;) {
        last = scrollY;
        e.scrollIntoView({behavior: "instant"});
        await new Promise(resolve => setTimeout(resolve, 500));
    }
}"""


def test_a_report_of_an_error_names_page_and_section(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{FORWARD}")
        button = page.get_by_role("link", name="Report an error")
        for section in ("Summary", "The layer, whole"):
            page.locator("h2", has_text=section).first.evaluate(SCROLL)
            place = page.evaluate("scrollY")
            button.focus()
            assert page.evaluate("scrollY") == place, "the focus scrolls the page"
            address = urlsplit(button.get_attribute("href"))
            assert f"{address.netloc}{address.path}".endswith("/issues/new")
            assert repository.forms(repository.read_address(ROOT))[0] in button.get_attribute(
                "href"
            )
            title = parse_qs(address.query)["title"][0]
            assert title == f"Error in 2.1 Batch normalization, forward, {section}"
            button.blur()
        page.locator("article h1").first.evaluate(SCROLL)
        button.focus()
        title = parse_qs(urlsplit(button.get_attribute("href")).query)["title"][0]
        assert title == "Error in 2.1 Batch normalization, forward"
