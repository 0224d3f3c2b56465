"""The edition for Colab has the numbers, citations and links of the built pages."""

import json
import re

import pytest
from test_pages import HTML, ROOT, anchors, soup_of

import repository

PAGES = repository.forms(repository.read_address(ROOT))[2]
NAMES = [
    path.relative_to(ROOT / "colab").with_suffix("").as_posix()
    for path in sorted((ROOT / "colab").rglob("*.ipynb"))
]
each_chapter = pytest.mark.parametrize("name", NAMES)


def prose(name):
    """The Markdown of a notebook of the edition."""
    cells = json.loads((ROOT / "colab" / f"{name}.ipynb").read_text("utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def page(name):
    return soup_of(HTML / "notebooks" / f"{name}.html").select_one("article")


def words(element):
    """What an element says, without its formulas."""
    text = re.sub(r"\\\(.*?\\\)", "", element.get_text().replace("’", "'"))
    return " ".join(text.split())


def test_there_is_a_notebook_for_every_chapter(built):
    pages = sorted((HTML / "notebooks").rglob("*.html"))
    assert [
        path.relative_to(HTML / "notebooks").with_suffix("").as_posix() for path in pages
    ] == NAMES


@each_chapter
def test_equations_have_the_numbers_of_the_page(built, name):
    numbers = [words(each).strip("()") for each in page(name).select(".eqno")]
    assert re.findall(r"\\tag\{(.*?)\}", prose(name)) == numbers


@each_chapter
def test_references_to_equations_are_those_of_the_page(built, name):
    links = [
        words(each)
        for each in page(name).select('a.reference[href*="#equation-"]')
        if "rn-self" not in each["class"]
    ]
    assert re.findall(r"\[(\(\d\.\d\.\d+\))\]\([^)]*\)", prose(name)) == links


@each_chapter
def test_exercises_and_solutions_have_the_titles_of_the_page(built, name):
    for kind, pattern in (
        ("exercise", r"^#+ (Exercise \d.*)$"),
        ("solution", r"^#+ (Solution to exercise .*)$"),
    ):
        titles = page(name).select(f"div.{kind}.admonition > .admonition-title")
        ours = re.findall(pattern, prose(name), re.MULTILINE)
        ours = [" ".join(re.sub(r"\$.*?\$", "", title).split()) for title in ours]
        assert ours == [words(each).replace("to Exercise", "to exercise") for each in titles]


@each_chapter
def test_citations_read_as_on_the_page(built, name):
    """In the order of the page, which has its notes and tables where the notebook has them."""
    text = re.sub(r"\]\(https?://[^\s()]*(?:\([^\s()]*\)[^\s()]*)*\)", "]", prose(name))
    text = " ".join(re.sub(r"[*\[\]]", "", text).split())
    at = 0
    citations = page(name).select(".bibtex-citation")
    assert len(citations) > 0
    for each in citations:
        wanted = re.sub(r"[\[\]]", "", words(each))
        found = text.find(wanted, at)
        assert found >= 0, f"{wanted} is missing after {text[max(at - 60, 0) : at]!r}"
        at = found + len(wanted)


@each_chapter
def test_links_to_pages_lead_to_pages_and_places(built, name):
    links = re.findall(rf"\]\({re.escape(PAGES)}/([^)\s]+)\)", prose(name))
    assert links
    for link in links:
        address, _, place = link.partition("#")
        assert (HTML / address).is_file(), link
        assert not place or place in anchors(HTML / address), link


@each_chapter
def test_the_notebook_that_a_page_offers_is_that_of_the_edition(built, name):
    button = soup_of(HTML / "notebooks" / f"{name}.html").select_one("a.btn-download-source-button")
    offered = (HTML / "notebooks" / f"{name}.html").parent / button["href"]
    assert offered.read_bytes() == (ROOT / "colab" / f"{name}.ipynb").read_bytes()
