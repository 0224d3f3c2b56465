"""The lecture decks in a browser: from the file system, without errors, within their frame."""

import pytest
from filelock import FileLock

import decks
import slides

DECKS = [path.stem for path in decks.all_decks()]
#: What sticks out of a slide's frame, or out of the place that it has.
OUTSIDE = """() => {
  const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect(), found = [];
  const note = (each, why) => found.push(`${each.tagName}.${each.className} ${why}`);
  const all = "h1, h2, p, li, pre, img, table, mjx-container, .piece, .rn-explore";
  for (const each of slide.querySelectorAll(all)) {
    if (each.closest(".notes, mjx-assistive-mml")) continue;
    const box = each.getBoundingClientRect();
    const beside = box.left < frame.left || box.right > frame.right - 10;
    const below = box.top < frame.top || box.bottom > frame.bottom - 4;
    if (box.width && (beside || below))
      note(each, `${Math.round(box.right)} x ${Math.round(box.bottom)}`);
  }
  for (const each of slide.querySelectorAll(".body, .said, .shown, pre"))
    if (each.scrollHeight > each.clientHeight + 2 || each.scrollWidth > each.clientWidth + 2)
      note(each, "overflows");
  const said = slide.querySelector(".said"), shown = slide.querySelector(".shown");
  if (said && shown) {
    const a = said.getBoundingClientRect(), b = shown.getBoundingClientRect();
    if (a.right > b.left + 1 && a.bottom > b.top + 1) note(said, "overlaps");
  }
  return found;
}"""


@pytest.fixture(scope="module")
def made(built, shared):
    """All decks, made by the first process that needs them; the book's chapters are executed."""
    folder = shared / "slides"
    with FileLock(shared / "slides.lock"):
        if not folder.exists():
            slides.make(decks.all_decks(), folder)
    return folder


@pytest.fixture
def deck(visit, made):
    """Open a deck from the file system."""

    def deck(v, name):
        v.page.set_viewport_size({"width": 1280, "height": 720})
        v.page.goto((made / f"{name}.html").as_uri())
        v.page.wait_for_selector("html[data-ready]")
        return v.page

    return deck


@pytest.mark.parametrize("name", DECKS)
def test_slides_stay_in_their_frame_pictures_have_text_and_slides_have_notes(visit, deck, name):
    with visit() as v:
        page = deck(v, name)
        texts = page.evaluate(
            "[...document.images].map(i => [i.alt.length, i.complete, i.naturalWidth > 50])"
        )
        assert len(texts) >= 4 and all(alt > 20 and there and wide for alt, there, wide in texts)
        notes = page.evaluate(
            """() => [...document.querySelectorAll('.slides > section')]
                .map(s => s.querySelector('.notes')?.textContent.trim().length ?? 0)"""
        )
        assert min(notes) > 40
        assert 16 <= page.evaluate("Reveal.getTotalSlides()") <= 26  # with the title
        assert page.locator("mjx-merror").count() == 0
        assert "\\\\(" not in page.locator(".slides").inner_text()
        for k in range(page.evaluate("Reveal.getTotalSlides()")):
            page.evaluate(f"Reveal.slide({k}, 0, 99)")
            assert page.evaluate(OUTSIDE) == [], f"slide {k + 1}"


def test_what_leaves_its_frame_is_found(visit, deck):
    with visit() as v:
        page = deck(v, DECKS[0])
        page.evaluate("Reveal.slide(2)")
        assert page.evaluate(OUTSIDE) == []
        page.evaluate(
            """() => { const said = Reveal.getCurrentSlide().querySelector('.piece');
                said.innerHTML = '<p>word</p>'.repeat(60); }"""
        )
        assert page.evaluate(OUTSIDE)


def test_a_figure_with_controls_keeps_them(visit, deck, made):
    found = """[...document.querySelectorAll('.slides > section')]
        .findIndex(s => s.querySelector('.rn-explore .rn-image')
            && s.querySelector('.rn-explore input[type=range]'))"""
    with visit() as v:
        for name in DECKS:
            if "rn-image" in (made / f"{name}.html").read_text("utf-8"):
                page = deck(v, name)
                if (number := page.evaluate(found)) >= 0:
                    break
        page.evaluate(f"Reveal.slide({number})")
        image = page.locator(".present .rn-image")
        before = image.get_attribute("src")
        slider = page.locator(".present input[type=range]").first
        slider.press(
            "ArrowRight" if slider.input_value() == slider.get_attribute("min") else "Home"
        )
        page.wait_for_function(
            "src => document.querySelector('.present .rn-image').src !== src", arg=before
        )
        assert page.evaluate("Reveal.getCurrentSlide().querySelector('.rn-explore') !== null"), (
            "the key moved the slide"
        )


def test_the_list_leads_to_every_deck(visit, made):
    with visit() as v:
        v.page.goto((made / "index.html").as_uri())
        links = v.page.evaluate(
            "[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
        )
        assert links == [f"{name}.html" for name in DECKS]
