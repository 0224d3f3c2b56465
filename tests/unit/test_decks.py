"""Lecture decks: what they name exists, and their numbers are those of the chapter."""

import base64
import functools
import re
import struct

import nbformat
import pytest

import decks
import slides
from repository_files import ROOT, TEXTS

DECKS = {path.stem: decks.read_deck(path) for path in decks.all_decks()}
PIXELS = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 3, 2)
NUMBER = re.compile(r"(?<![\w.^{])\d+(?:[.,]\d+)*(?![\w}])")


@functools.cache
def notebook(path):
    """A chapter as it is stored: with pictures instead of frames."""
    return nbformat.read(ROOT / f"{path}.ipynb", 4)


def chapters_of(deck):
    """All chapters from which a deck takes something, its own under ``""``."""
    return {name: decks.Chapter(notebook(path)) for name, path in deck.chapters.items()}


def said(slide):
    """All that a slide says itself."""
    texts = [part.value for part in slide.parts if part.kind == "text"]
    return "\n".join([slide.title, *texts, slide.notes])


def numbers_of_its_own(deck, texts):
    """Numbers with two digits or more that neither a deck's chapter has nor another that it shows.

    Args:
        deck: in question.
        texts: of the chapters, its own under ``""``; another one's counts on slides that show it.
    """
    numbers = {name: set(NUMBER.findall(text.replace(r"\,", ""))) for name, text in texts.items()}
    for slide in deck.slides:
        known = numbers[""].union(*(numbers[part.chapter] for part in slide.parts))
        for number in NUMBER.findall(said(slide)):
            if len(number) > 1 and number not in known:
                yield f"{slide.title}: {number}"


def text_of(notebook):
    """Prose, code and printed output of a chapter."""
    pieces = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            pieces += [output.get("text", ""), data.get("text/markdown", "")]
            pieces.append(data.get("text/plain", ""))
    return "\n".join(pieces)


@pytest.mark.parametrize("name", DECKS)
def test_all_that_a_deck_names_is_in_its_chapters(name):
    assert decks.faults_of(DECKS[name], chapters_of(DECKS[name])) == []


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_has_the_length_of_a_lecture_and_notes_on_every_slide(name):
    deck = DECKS[name]
    assert 15 <= len(deck.slides) <= 25 and 45 <= deck.minutes <= 120
    assert [slide.title for slide in deck.slides if len(slide.notes) < 40] == []
    kinds = [part.kind for slide in deck.slides for part in slide.parts]
    wanted = {"text", "figure", "output", "code"}
    wanted |= {"equation"} if chapters_of(deck)[""].equations else set()  # 1.2 has none
    assert kinds.count("figure") >= 5 and wanted <= set(kinds) <= wanted | {"equation"}


@pytest.mark.parametrize("name", DECKS)
def test_slides_are_no_prose(name):
    """A piece of text on a slide has at most 60 words; the rest belongs into the notes."""
    for slide in DECKS[name].slides:
        words = [len(part.value.split()) for part in slide.parts if part.kind == "text"]
        assert sum(words) <= 60, slide.title


@pytest.mark.parametrize("name", DECKS)
def test_every_prediction_is_answered_in_the_notes(name):
    deck = DECKS[name].slides
    asked = [k for k, slide in enumerate(deck) if slide.title.startswith("Predict")]
    assert len(asked) >= 3
    for k in asked:  # on the slide itself, or on one of the next two
        notes = "".join(slide.notes for slide in deck[k : k + 3])
        assert "**Answer.**" in notes, deck[k].title


@pytest.mark.parametrize("name", DECKS)
def test_the_numbers_of_a_deck_are_those_of_its_chapter(name):
    texts = {key: text_of(notebook(path)) for key, path in DECKS[name].chapters.items()}
    assert list(numbers_of_its_own(DECKS[name], texts)) == []


def test_a_number_that_the_chapter_does_not_have_is_found():
    slide = decks.Slide("A test", 3, [decks.Part("text", "an error of 23 %, 0.52 and 7")], "0.5")
    other = decks.Slide("Another", 3, [decks.Part("figure", "abc", chapter="2-3")], "0.77, 0.88")
    texts = {"": "23 % and 0.5", "2-3": "0.52 and 0.77"}
    found = list(numbers_of_its_own(decks.Deck("x", "y", [slide, other]), texts))
    assert found == ["A test: 0.52", "Another: 0.88"]


def test_the_page_for_instructors_lists_the_decks_with_their_timings():
    rows = re.findall(
        r"^\| \[(\d\.\d)\]\([^)]*\) .*\| (\d+) \| (\d+) \|", TEXTS["book/instructors.md"], re.M
    )
    wanted = [
        (name.replace("-", "."), str(len(deck.slides)), str(deck.minutes))
        for name, deck in DECKS.items()
    ]
    assert rows == wanted


def test_a_slide_is_read_piece_by_piece():
    text = "- a\n{code} abc 3-5\nmore\n\n. . .\n\n{figure} fed\n{code} 2-3/abc 1-2\n"
    parts = [(p.kind, p.value, p.lines, p.later, p.chapter) for p in decks.parts_of(text)]
    assert parts == [
        ("text", "- a", "", False, ""),
        ("code", "abc", "3-5", False, ""),
        ("text", "more", "", False, ""),
        ("figure", "fed", "", True, ""),
        ("code", "abc", "1-2", True, "2-3"),
    ]


def test_a_deck_takes_from_other_chapters_by_their_numbers():
    slide = decks.Slide("A test", 3, [decks.Part("figure", "abc", chapter="2-3")], "0.5")
    deck = decks.Deck("4-6", "notebooks/4-cifar/6-more-than-one-gpu", [slide])
    other = "notebooks/2-normalization/3-normalization-family"
    assert deck.chapters == {"": deck.chapter, "2-3": other}
    assert decks.faults_of(deck, chapters_of(deck)) == ["2-3: the chapter has no figure abc"]
    with pytest.raises(ValueError, match="there is no chapter 9-9"):
        decks.path_of("9-9")


@pytest.mark.parametrize(
    "text, message",
    [
        ("## A slide (3 min)\n", "must begin with a line 'chapter:"),
        ("chapter: a/b\n\n## A slide\n", "must end in '\\(3 min\\)'"),
    ],
)
def test_a_deck_that_cannot_be_read_is_refused(tmp_path, text, message):
    (tmp_path / "1-1.md").write_text(text)
    with pytest.raises(ValueError, match=message):
        decks.read_deck(tmp_path / "1-1.md")


def test_code_from_within_a_function_begins_at_the_margin():
    cell = nbformat.v4.new_code_cell("def f():\n    if x:\n        y\n\n    z")
    assert decks.code_of(cell, "2-5") == "if x:\n    y\n\nz"
    assert decks.code_of(cell, "") == cell.source


def test_a_deck_shows_the_drawing_of_the_pages_and_keeps_the_controls_of_a_figure(tmp_path):
    picture = {"image/png": base64.b64encode(PIXELS).decode()}
    alt = {"image/png": {"alt": "A line."}}
    drawing = base64.b64encode(b"<svg></svg>").decode()
    narrow = '<source width="3" height="9" srcset="data:image/svg+xml;base64,bm8=">'
    pages = {
        "svg": f'<picture>{narrow}<img width="80" height="40" data-smallest="12.0" alt="A line." '
        f'src="data:image/svg+xml;base64,{drawing}"></picture>',
        "png": "",
        "controls": '<div class="rn-explore"></div>',
    }
    found = {}
    for name, page in pages.items():
        data = picture | ({"text/html": page} if page else {})
        output = nbformat.v4.new_output("display_data", data=data, metadata=alt)
        found[name] = slides.rendered_picture(output, tmp_path / "deck" / f"{name}-1")
    assert {path.name for path in (tmp_path / "deck").iterdir()} == {"svg-1.svg", "png-1.png"}
    assert (tmp_path / "deck" / "svg-1.svg").read_bytes() == b"<svg></svg>"
    assert 'src="deck/svg-1.svg" alt="A line." width="80" height="40"' in found["svg"].markup
    assert 'src="deck/png-1.png" alt="A line." width="3" height="2"' in found["png"].markup
    assert pages["controls"] in found["controls"].markup
    assert [found[name].wide for name in pages] == [True, False, False]


def test_what_a_chapter_does_not_have_is_found():
    cells = [
        nbformat.v4.new_markdown_cell("# 1.1 A\n\n$$\na\n$$\n\n$$\nb\n$$ (eq-b)\n"),
        nbformat.v4.new_code_cell("x = 1\ny = 2", id="aa"),
    ]
    chapter = decks.Chapter(nbformat.v4.new_notebook(cells=cells))
    assert chapter.equations == {"eq-b": "b"}
    good = [decks.Part("equation", "eq-b"), decks.Part("code", "aa", "2-2")]
    assert [chapter.fault(part) for part in good] == ["", ""]
    bad = [
        ("equation", "eq-a", ""),
        ("code", "bb", ""),
        ("code", "aa", "3-4"),
        ("code", "aa", "2-3"),  # the cell has become shorter
        ("code", "aa", "0-2"),
        ("text", "- a\n{code} aa 2", ""),  # a line that names nothing would be shown as it is
        ("text", "{figure} aa ", ""),
        ("figure", "aa", ""),
    ]
    bad += [("output", "aa", ""), ("picture", "aa", "")]
    assert all(chapter.fault(decks.Part(*part)) for part in bad)


def test_old_decks_stay_until_the_new_ones_are_whole(tmp_path, monkeypatch):
    """A deck that cannot be made takes nothing away."""
    target = tmp_path / "slides"
    target.mkdir()
    (target / "old.html").write_text("old")

    def write(paths, folder):
        folder.mkdir()
        (folder / "new.html").write_text("new")
        if not paths:
            raise ValueError("a fault")

    monkeypatch.setattr(slides, "write", write)
    with pytest.raises(ValueError, match="a fault"):
        slides.make([], target)
    assert [path.name for path in target.iterdir()] == ["old.html"]
    slides.make([tmp_path], target)
    assert [path.name for path in target.iterdir()] == ["new.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["slides"]
