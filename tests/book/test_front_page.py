"""The front page makes one want to start: a button, ways in, and pictures that lead on."""

import re

from test_pages import soup_of

from browsing import HTML, in_the_dark

FRONT = "book/index.html"


def test_twenty_pictures_lead_to_their_figures():
    soup = soup_of(HTML / FRONT)
    links = soup.select(".rn-gallery li > a")
    assert len(links) == 20 and len({link["href"] for link in links}) == 20
    for link in links:
        image = link.img
        assert re.search(r"\.html#figure-\d+$", link["href"]), link
        assert image["loading"] == "lazy" and len(image["alt"].split()) >= 4
        assert len(link.span.get_text().split()) >= 3
        assert (HTML / "book" / image["src"]).resolve().is_file()
    assert len({link["href"].partition("#")[0] for link in links}) >= 14, "of most chapters"


def test_a_figure_computes_on_the_front_page(visit, server):
    for width, theme in ((375, "dark"), (1400, "light")):
        with visit(width=width, theme=theme) as v:
            page = v.go(f"{server}/{FRONT}")
            figure = page.locator(".rnc[data-live]")
            caption = page.locator("#figure-1 .rn-caption")
            assert figure.count() == 1 and caption.inner_text().startswith("Figure 1. ")
            readout = figure.locator(".rnc-readout")
            before = readout.inner_text().split("Normalized")
            figure.get_by_label("Mean of the batch").press("ArrowRight")
            after = readout.inner_text().split("Normalized")
            assert after[0] != before[0] and after[1] == before[1]
            assert figure.evaluate("each => each.getBoundingClientRect().right <= innerWidth")


def test_the_pictures_weigh_little():
    images = soup_of(HTML / FRONT).select(".rn-gallery img")
    sizes = [(HTML / "book" / image["src"]).stat().st_size for image in images]
    assert max(sizes) < 260_000 and sum(sizes) < 1_500_000


def test_a_reader_starts_with_one_tap(visit, server):
    for width in (375, 1400):
        with visit(width=width) as v:
            page = v.go(f"{server}/{FRONT}")
            start = page.get_by_role("link", name="Start with chapter 1.1")
            assert start.bounding_box()["height"] >= 40
            start.click()
            assert "1-architectures" in page.url


def test_the_drawing_can_be_read_on_a_phone(visit, server):
    with visit(width=375) as v:
        sizes = v.go(f"{server}/{FRONT}").evaluate(
            """() => { const drawing = document.querySelector("svg.rn-hero");
                const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
                return [...drawing.querySelectorAll("text")]
                    .map(each => scale * parseFloat(getComputedStyle(each).fontSize)); }"""
        )
        assert len(sizes) >= 5 and min(sizes) >= 11


def test_the_answer_does_not_stand_before_the_figure():
    soup = soup_of(HTML / FRONT)
    figure, answer = soup.select_one("#try-it-here .rnc"), soup.select_one("#try-it-here details")
    assert answer.sourceline > figure.sourceline and "first line only" not in figure.get_text()


def test_pictures_stand_in_rows_and_fit_the_page(visit, server):
    for width, columns in ((375, 2), (1400, 4)):
        with visit(width=width) as v:
            page = v.go(f"{server}/{FRONT}")
            boxes = page.evaluate(
                """() => [...document.querySelectorAll('.rn-gallery li')]
                    .map(each => each.getBoundingClientRect().toJSON())"""
            )
            assert sum(box["top"] == boxes[0]["top"] for box in boxes) >= columns
            assert all(box["right"] <= width for box in boxes)


def test_in_the_dark_photographs_keep_their_light(visit, server):
    with visit() as v:
        page = v.go(f"{server}/{FRONT}")
        in_the_dark(page)
        shown = page.evaluate(
            """() => [...document.querySelectorAll('.rn-gallery img')]
                .filter(each => each.checkVisibility())
                .map(each => [each.alt.startsWith('Images:'), getComputedStyle(each).filter])"""
        )
        assert len(shown) == 20
        assert {style for photograph, style in shown if photograph} == {"none"}
        assert "none" not in {style for photograph, style in shown if not photograph}
