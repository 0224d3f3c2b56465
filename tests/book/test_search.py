"""The search finds sections, exercises and terms, from a server and from the file system."""

import gzip
import json
import re

import pytest
from test_pages import anchors, chapters

from browsing import violations
from conftest import HTML

FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"
#: The script of the sections, compressed as a server sends it.
MAX_COMPRESSED = 500_000


STATUS = "#pst-search-dialog [role=status]"


def asked(page, words):
    """Type into the dialog, which the keyboard opens; returns the places when they are there."""
    if not page.locator("#pst-search-dialog[open]").count():
        page.keyboard.press("Control+k")
    field = page.locator("#pst-search-dialog input[type=search]")
    field.fill("")
    field.fill(words)
    page.wait_for_function(
        "selector => /place|Nothing/.test(document.querySelector(selector).textContent)", arg=STATUS
    )
    return page.locator("#pst-search-dialog [role=option]")


def in_data():
    text = (HTML / "_static/sections.js").read_text("utf-8")
    return json.loads(text.removeprefix("window.resnormSections = ").rstrip(";\n"))


def test_every_heading_exercise_and_term_is_a_section(built):
    data = {address: sections for address, _, sections in in_data()}
    names = {section[0] for section in data[FORWARD]}
    assert {"", "summary", "ex-bnf-keras", "solution-ex-bnf-column"} <= names
    assert "term-Affine" in {section[0] for section in data["book/glossary.html"]}
    titles = {section[1] for section in data[FORWARD]}
    assert "The layer, whole" in titles and not any("#" in title for title in titles)
    text = " ".join(section[2] for section in data[FORWARD])
    assert "σ2" in text and "\\sigma" not in text and "Show the code" not in text
    code = next(section[3] for section in data[FORWARD] if section[1] == "The layer, whole")
    assert "nn.Module" in code and "self.eps" in code


def test_the_sections_are_those_of_all_chapters(built):
    data = in_data()
    assert [address for address, _, _ in data] == [f"{name}.html" for name in chapters()]
    for address, title, sections in data:
        assert title and sections, address
        names = [section[0] for section in sections]
        assert len(set(names)) == len(names) and set(names) - {""} <= anchors(built / address)
    assert sum(len(sections) for _, _, sections in data) > 500


def test_the_sections_are_light_and_come_when_asked_for(built, visit, server):
    size = len(gzip.compress((built / "_static/sections.js").read_bytes(), 6))
    assert size < MAX_COMPRESSED, f"{size} bytes"
    assert not (built / "searchindex.js").exists(), "two indices say the same"
    with visit() as v:
        asks = []
        v.page.on("request", lambda request: asks.append(request.url))
        page = v.go(f"{server}/{FORWARD}")
        assert not any("sections.js" in each for each in asks)
        asked(page, "bessel")
        assert sum("sections.js" in each for each in asks) == 1


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_an_excerpt_marks_the_words_and_leads_to_the_section(visit, addresses, scheme):
    with visit() as v:
        page = v.go(f"{addresses[scheme]}/book/index.html")
        first = asked(page, "running variance").first
        marks = " ".join(first.locator("mark").all_inner_texts()).lower()
        assert "running" in marks and "variance" in marks
        assert len(first.locator(".rn-found-text").inner_text()) > 80
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: url.startswith(addresses[scheme]) and "#" in url)
        name = page.url.split("#")[1]
        assert page.locator(f"[id='{name}']").count() == 1


@pytest.mark.parametrize(
    "words, same",
    [
        ("normalise", "normalize"),
        ("pre-activation", "preactivation"),
        ("γ", "gamma"),
        ("behaviour", "behavior"),
        ("GRADIENT", "gradient"),
        ("Léon", "leon"),
        ("centre", "center"),
    ],
)
def test_spelling_is_folded(visit, server, words, same):
    with visit() as v:
        page = v.go(f"{server}/book/index.html")
        answers = []
        for each in (words, same):
            titles = asked(page, each).locator(".rn-found-title").all_inner_texts()
            answers.append((page.locator(STATUS).inner_text(), titles))
        assert answers[0] == answers[1] and answers[0][1]


@pytest.mark.parametrize(
    "words, meant",
    [
        ("batchnorm", r"batch[ -]?norm"),
        ("resnet50", r"resnet[ -]?50"),
        ("runningmean", r"running[ _]mean"),
        ("running_mean", r"running[ _]mean"),
        ("pre activation", r"pre-?activation"),
    ],
)
def test_words_may_be_joined_or_parted(visit, server, words, meant):
    with visit() as v:
        page = v.go(f"{server}/book/index.html")
        marks = asked(page, words).locator("mark").all_inner_texts()
        assert any(re.match(meant, mark.lower()) for mark in marks)


@pytest.mark.parametrize(
    "words, title",
    [
        ("batch size 1", "Batch size"),
        ("eval mode", "“It works in train mode and fails in eval mode”"),
        ("vanishing gradient", "Vanishing gradient"),
    ],
)
def test_a_newcomer_finds_the_explanation(visit, server, words, title):
    with visit() as v:
        page = v.go(f"{server}/book/index.html")
        places = asked(page, words).locator(".rn-found-title").all_inner_texts()
        assert title in places[:3]


def test_a_number_does_not_find_longer_ones(visit, server):
    with visit() as v:
        page = v.go(f"{server}/book/index.html")
        marks = asked(page, "94").locator("mark").all_inner_texts()
        assert marks and not any(re.search(r"94\d", mark) for mark in marks)


def test_titles_come_first(visit, server):
    with visit() as v:
        page = v.go(f"{server}/book/index.html")
        for words, title in (
            ("shattered gradients", "1.4 Shattered gradients"),
            ("affine", "Affine"),
            ("batch normalization backward", "2.2 Batch normalization, backward"),
        ):
            assert title in asked(page, words).first.inner_text()


def test_keyboard_and_screen_reader(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{FORWARD}")
        options = asked(page, "momentum")
        field = page.locator("#pst-search-dialog input[type=search]")
        assert field.get_attribute("role") == "combobox"
        assert field.get_attribute("aria-expanded") == "true"
        listed = page.locator(f"#{field.get_attribute('aria-controls')}")
        assert listed.get_attribute("role") == "listbox" and options.count() > 5

        def chosen():
            active = field.get_attribute("aria-activedescendant")
            selected = page.locator("#pst-search-dialog [aria-selected=true]")
            assert selected.count() == 1 and selected.get_attribute("id") == active
            return int(active.rsplit("-", 1)[1])

        assert chosen() == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert chosen() == 2
        page.keyboard.press("ArrowUp")
        assert chosen() == 1
        assert violations(page) == []
        box = page.locator("#pst-search-dialog").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 375
        assert box["y"] + box["height"] <= 900
        page.keyboard.press("Escape")
        assert page.locator("#pst-search-dialog[open]").count() == 0


def test_what_is_nowhere_is_not_found(visit, server):
    with visit() as v:
        page = v.go(f"{server}/{FORWARD}")
        assert asked(page, "zyxwvut").count() == 0
        assert "Nothing found" in page.locator(STATUS).inner_text()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_page_of_the_search_answers_its_address(visit, addresses, scheme):
    with visit() as v:
        page = v.go(f"{addresses[scheme]}/search.html?q=bessel")
        found = page.locator(".bd-search-container [role=option]", has_text="2.1 Batch norm")
        found.first.wait_for(timeout=10_000)
        assert violations(page) == []
