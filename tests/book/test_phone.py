"""What a reader with a phone stumbled over: lines that break, titles that are cut, lost places."""

import contextlib
import re
import sys
from pathlib import Path

import pytest

from browsing import pages_with

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "extensions"))

from resnorm_book import printed, tables

FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"
BACKWARD = "notebooks/2-normalization/2-batch-norm-backward.html"
FRONT = "book/index.html"
CHAPTERS = [FORWARD, BACKWARD]
#: Pages whose tables scroll and have cells of 17 to 28 letters.
MEDIUM = [
    "notebooks/1-depth/1-architectures.html",
    "notebooks/2-normalization/5-toolbox.html",
    "notebooks/3-residual/1-residual-connections.html",
    "notebooks/3-residual/2-residual-networks-as-ensembles.html",
]
WHOLE = ".rn-later { content-visibility: visible !important; }"


@pytest.fixture
def phone(browser, built):
    """``with phone(page) as page`` opens it by touch on 375 x 812 pixels, from the file system."""

    @contextlib.contextmanager
    def phone(name, whole=True):
        context = browser.new_context(
            viewport={"width": 375, "height": 812},
            device_scale_factor=2,
            is_mobile=True,
            has_touch=True,
        )
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            page.goto(f"{built.as_uri()}/{name}", wait_until="load")
            if whole:
                page.add_style_tag(content=WHOLE)
                page.evaluate("window.resnorm.typesetAll()")
                page.wait_for_timeout(300)  # what scrolls is marked
            yield page
            assert errors == []
        finally:
            context.close()

    return phone


# --- type and equations ------------------------------------------------------------------------


def test_each_level_of_headings_is_smaller_than_the_one_above(phone):
    with phone(FORWARD) as page:
        sizes = page.evaluate(
            """() => ['h1', 'h2', 'h3', 'h4'].map(name =>
                parseFloat(getComputedStyle(document.querySelector(`article ${name}`)).fontSize))"""
        )
        assert sizes == sorted(set(sizes), reverse=True)
        assert len(sizes) == 4


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_number_of_an_equation_is_whole_and_in_sight(phone, name):
    with phone(name) as page:
        met, faults = page.evaluate(
            """() => { let met = 0; const faults = [];
              for (const link of document.querySelectorAll('.eqno a')) {
                const box = link.closest('div.math');
                if (!box.checkVisibility()) continue;
                met += 1;
                const at = link.getBoundingClientRect(), room = box.getBoundingClientRect();
                if (link.getClientRects().length > 1 || at.right > room.right + 1)
                  faults.push(link.textContent);
              } return [met, faults]; }"""
        )
        assert met > 10 and faults == []


def test_a_formula_that_is_longer_than_its_line_fades_at_the_edge(phone):
    with phone(FORWARD) as page:
        page.evaluate(
            r"""async () => {
              const long = document.createElement('span');
              long.className = 'math'; long.id = 'long';
              long.textContent = '\\(' + Array(40).fill('x').join('+') + '\\)';
              document.querySelector('article p').append(long);
              await window.resnorm.typesetNow([long]); }"""
        )
        mask = "getComputedStyle(document.querySelector('#long mjx-container')).maskImage"
        assert "gradient" in page.evaluate(mask)
        short = "article .math:not(#long) mjx-container:not([display]):is([tabindex])"
        assert page.locator(short).count() < 20, "short formulas are marked as long"


def test_a_percent_sign_stays_with_its_number(phone):
    for name in CHAPTERS:
        with phone(name) as page:
            text = page.evaluate(
                r"""() => { const clone = document.querySelector('article').cloneNode(true);
                  clone.querySelectorAll('pre, code, script, style, mjx-container')
                    .forEach(each => each.remove());
                  return clone.textContent; }"""
            )
            assert "\u00a0%" in text
            parts = text.split(" %")[:-1]
            assert [part[-20:] for part in parts if part[-1:].isdigit()] == []


# --- tables ------------------------------------------------------------------------------------

BROKEN = """() => { let met = 0; const faults = [];
  for (const cell of document.querySelectorAll('.rn-table :is(td, th)')) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode;
      if (node.parentElement.closest('mjx-container, caption')
          || !node.parentElement.checkVisibility()) continue;
      for (const word of node.data.matchAll(/[\\p{L}\\d_.()]+/gu)) {
        const range = document.createRange();
        range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
        met += 1;
        const tops = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
        if (tops.size > 1) faults.push(word[0]);
      } } }
  return [met, faults]; }"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_word_of_a_table_is_broken(phone, name):
    with phone(name) as page:
        met, faults = page.evaluate(BROKEN)
        assert met > 20 and faults == []


@pytest.mark.parametrize("name", MEDIUM)
def test_a_cell_of_medium_length_has_at_most_two_lines(phone, name):
    with phone(name) as page:
        lines = page.evaluate(
            """() => [...document.querySelectorAll('table:not(.rn-stacked) .rn-medium')]
                .filter(cell => cell.cellIndex && cell.checkVisibility()).map(cell => {
                  const range = document.createRange();
                  range.selectNodeContents(cell);
                  const height = parseFloat(getComputedStyle(cell).lineHeight);
                  return Math.round(range.getBoundingClientRect().height / height); })"""
        )
        assert len(lines) > 2 and set(lines) <= {1, 2}


def test_a_table_of_sentences_is_a_row_of_blocks_on_a_phone(phone, visit, server):
    with phone(FORWARD) as page:
        tables = page.evaluate(
            """() => [...document.querySelectorAll('table.rn-stacked')].map(table => {
                const box = table.closest('.rn-table'), cells = [...table.tBodies[0].rows[0].cells];
                return { scrolls: box.scrollWidth > box.clientWidth + 1,
                  roles: [table, table.tHead, table.rows[0], ...cells].map(e =>
                    e.getAttribute('role')),
                  lefts: new Set(cells.map(cell => cell.getBoundingClientRect().left)).size,
                  labels: cells.slice(1).map(cell => cell.dataset.label) }; })"""
        )
        practice = [table for table in tables if table["labels"] == ["because", "shown in"]]
        assert len(practice) == 1 and len(tables) > 1
        for table in tables:
            assert not table["scrolls"] and table["lefts"] == 1
            assert table["roles"][:3] == [None, "rowgroup", "row"]
            assert set(table["roles"][3:]) == {"cell"}
    with visit(width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        lefts = page.evaluate(
            """() => { const [row] = document.querySelector('table.rn-stacked').tBodies[0].rows;
              return new Set([...row.cells]
                .map(cell => cell.getBoundingClientRect().left)).size; }"""
        )
        assert lefts > 2, "at a desk a table is a table"


# --- what cells print --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAPTERS)
def test_printed_sentences_wrap_and_columns_scroll(phone, visit, server, name):
    with phone(name) as page:
        flowing, columns = page.evaluate(
            """() => ['.rn-wraps', ':not(.rn-wraps)'].map(kind =>
                [...document.querySelectorAll(`.cell_output pre${kind}`)]
                  .filter(e => e.checkVisibility()).map(e => e.scrollWidth > e.clientWidth + 1))"""
        )
        assert len(flowing) > 2 and not any(flowing)
        assert any(columns)
    with visit(width=1400) as v:
        page = v.go(f"{server}/{name}")
        lines, high = page.evaluate(
            """() => { const e = [...document.querySelectorAll('pre.rn-wraps')]
                .find(e => e.querySelectorAll('.rn-line').length > 1
                  && e.innerText.split('\\n').every(line => line.length < 70));
              const s = getComputedStyle(e), inside = e.clientHeight
                - parseFloat(s.paddingTop) - parseFloat(s.paddingBottom);
              return [e.innerText.trimEnd().split('\\n'), inside / parseFloat(s.lineHeight)]; }"""
        )
        assert "" not in lines and abs(high - len(lines)) < 0.2


LONG = "the number at the end of this sentence is hidden:"


@pytest.mark.parametrize(
    "lines, answer",
    [
        ([f"{LONG} 0.5"], True),
        ([f"WRONG  {LONG} 0.5", "ok     dy"], True),
        ([f"layer  1: {LONG} 0.5", f"layer 10: {LONG} 0.25"], True),
        (["it fits"], False),
        (["plain                layer 2: 41 to 44   layer 10: 1591 to 6669"], False),
        (["true     [1.   1.   1.01 1.02 0.99 1.   1.   0.99 1.23 1.24]"], False),
        (["[0.125 -0.625 0.375 0.875 0.125 -0.625 0.375 0.875]"], False),
        (["after 0, 1, ... 6 layers, in %: [16. 33. 53. 69. 84. 90.]", "guess: 34 %"], True),
        (["an image of a 4: 0.185052 0.145353 0.134420 0.119762"] * 2, False),
        (
            ["tensor([[1.25, 3.5, 2.0, 9.0],", "        [0.125, 0.25, 0.375, 0.5, 0.625, 0.75]])"],
            False,
        ),
        (["tensor([[1., 3.],", "        [9., 11.]])", f"{LONG} 0.5"], True),
        (["a  1  2", "b  3  4", f"{LONG} 0.5"], True),
    ],
)
def test_sentences_are_told_from_columns(lines, answer):
    assert printed.flows(lines) is answer


@pytest.mark.parametrize(
    "language, code, answer",
    [
        ("default", "!python -m resnorm.experiments lesion\n%env A=1", True),
        ("default", "for x in range(3):\n    print(x)", False),
        ("none", "git clone\nmodel = 3", False),
        ("sh", 'resnorm-course <span class="nb">hide</span> A6 --data DIR', True),
        ("sh", 'a <span class="s">"first\nsecond"</span> line', False),
        ("python", "git = 3", False),
    ],
)
def test_commands_are_told_from_code(language, code, answer):
    page = (
        f'<div class="highlight-{language} notranslate"><div class="highlight"><pre><span></span>'
        f"{code}\n</pre></div></div>"
    )
    changed = printed.flowing(page)
    lines = code.count("\n") + 1
    assert (changed.count('<span class="rn-line">') == lines) is answer
    assert (changed == page) is not answer
    assert ('<span class="rn-glued">--data</span>' in changed) is ("--data" in code)


def test_what_continues_is_set_in_as_far_as_the_words_behind_a_label():
    page = (
        '<div class="output stream highlight-myst-ansi notranslate"><div class="highlight"><pre>'
        f"<span></span>WRONG  {LONG} a -&gt; b\n27 comparisons\n</pre></div></div>"
    )
    first, second = printed.flowing(page).split('<span class="rn-line"')[1:]
    assert "--rn-indent:7ch" in first and "-\u2060&gt;" in first
    assert second.startswith(">27 comparisons\n</span>")


def test_tables_of_sentences_are_told_from_tables_of_numbers():
    sentence = "a sentence of more than twenty-eight letters"
    assert tables.is_prose(["do", "because", "shown in"], [[sentence, sentence, "bias"]], set())
    assert not tables.is_prose(["do", "because"], [[sentence, sentence]], set())
    assert not tables.is_prose(["arm", "loss", "rate"], [[sentence, "0.25", "0.1"]], {1, 2})
    assert not tables.is_prose(["a", r"\lambda_2", "b"], [[sentence, sentence, sentence]], set())


def test_a_row_that_begins_with_a_bare_number_says_of_what():
    sentence = "a sentence of more than twenty-eight letters"
    head = "<thead><tr><th>task</th><th>what it asks</th><th>level</th></tr></thead>"
    for first, labeled in (("7", True), ("the gain", False)):
        row = f"<tr><td>{first}</td><td>{sentence}</td><td>{sentence}</td></tr>"
        table = tables.aligned(f"<table>{head}<tbody>{row}</tbody></table>")
        assert "rn-stacked" in table and ('data-label="task"' in table) is labeled
        assert 'data-label="what it asks"' in table


def test_cells_are_told_apart_by_their_length():
    formula = r'<span class="math notranslate">\(P/(1+(P-1)r)=0.05\)</span>'
    cells = {
        "8.2 (7.9 to 8.5)": "rn-short",
        "47.2 (46.8 to 47.8)": "rn-medium",
        "a sentence of 28 letters, so": "rn-medium",
        "a sentence of 29 letters only": "rn-long",
        formula: None,
    }
    assert [len(shown) for shown in cells][:4] == [16, 19, 28, 29]
    row = "".join(f"<td>{shown}</td>" for shown in cells)
    head = "".join(f"<th>{shown}</th>" for shown in cells)
    table = f"<table><thead><tr>{head}</tr></thead><tbody><tr><td>a</td>{row}</tr></tbody></table>"
    marks = re.findall(r"<(td|th)(?: class=\"([\w-]+)\")?>", tables.aligned(table))
    body = [("td", mark or "") for mark in (None, *cells.values())]
    assert marks == [("th", "")] * 5 + body


# --- parts of the page -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FRONT, *CHAPTERS])
def test_nothing_is_cut_at_the_right(phone, name):
    with phone(name) as page:
        beyond = page.evaluate(
            """() => [...document.querySelectorAll(
                    'article > *, .prev-next-area *, .bd-header-article *, footer *')]
                .filter(e => e.checkVisibility() && e.getBoundingClientRect().width
                    && e.getBoundingClientRect().right > innerWidth + 0.5)
                .map(e => e.outerHTML.slice(0, 80))"""
        )
        assert beyond == []
        assert page.locator(".btn-fullscreen-button:visible").count() == 0


def test_lettering_of_the_first_drawing_is_legible(phone):
    with phone(FRONT) as page:
        sizes = page.evaluate(
            """() => { const drawing = document.querySelector('svg.rn-hero');
              const unit = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
              return [...drawing.querySelectorAll('text')].map(text =>
                parseFloat(getComputedStyle(text).fontSize) * unit); }"""
        )
        assert len(sizes) > 3 and min(sizes) >= 11


@pytest.mark.parametrize("name", CHAPTERS)
def test_frames_of_moving_figures_fit(phone, name):
    with phone(name) as page:
        overhang = page.evaluate(
            """() => [...document.querySelectorAll('.rn-explore .rn-frame')]
                .map(e => e.scrollWidth - e.clientWidth)"""
        )
        assert overhang and max(overhang) <= 1


def test_the_setup_for_colab_is_folded():
    chapters = [name for name in pages_with("# Setup. If resnorm") if name.startswith("notebooks/")]
    assert len(chapters) > 20
    assert set(chapters) <= set(pages_with("Show the setup"))


def test_a_tap_on_the_title_of_a_solution_opens_it(phone):
    with phone(f"{FORWARD}#solution-ex-bnf-column") as page:
        solution = page.locator("#solution-ex-bnf-keras")
        body = solution.locator("section > *").first
        assert not body.is_visible()
        solution.scroll_into_view_if_needed()
        title = solution.locator(".admonition-title a").bounding_box()
        page.touchscreen.tap(title["x"] + 30, title["y"] + 8)
        body.wait_for(state="visible", timeout=3_000)
        solution.locator(".admonition-title a").tap()
        page.wait_for_url("**#ex-bnf-keras")


# --- back to the place -------------------------------------------------------------------------

TOP = "link => link.getBoundingClientRect().top"


@pytest.mark.parametrize(
    "link",
    ["p a.internal[href='#equation-eq-bnf-affine']", "p a[href*='4-shattered-gradients.html#']"],
)
def test_back_leads_to_where_the_reader_was(phone, link):
    with phone(FORWARD, whole=False) as page:
        reference = page.locator(link).last
        for _ in range(2):  # sections on the way get their height
            reference.evaluate("e => e.scrollIntoView({ block: 'center' })")
            page.wait_for_timeout(600)
        before = reference.evaluate(TOP)
        reference.tap()
        page.wait_for_timeout(1200)
        target = page.evaluate(
            "document.getElementById(location.hash.slice(1)).getBoundingClientRect().top"
        )
        assert 0 < target < 400
        page.go_back()
        page.wait_for_timeout(1500)
        after = page.locator(link).last.evaluate(TOP)
        assert abs(after - before) < 60, f"the line was at {before:.0f} and is at {after:.0f}"


def test_back_opens_no_fold(phone):
    with phone(FORWARD, whole=False) as page:
        fold = page.locator("#solution-ex-bnf-outlier")
        for _ in range(2):
            fold.evaluate("e => e.scrollIntoView({ block: 'start' })")
            page.wait_for_timeout(600)
        page.evaluate("scrollBy(0, -150)")
        page.wait_for_timeout(600)
        page.evaluate("document.querySelector(\"article a[href='#bnf-further']\").click()")
        page.wait_for_timeout(600)
        page.go_back()
        page.wait_for_timeout(800)
        assert page.locator("div.solution:not(.toggle-hidden)").count() == 0
        assert page.locator("details.hide[open]").count() == 0
