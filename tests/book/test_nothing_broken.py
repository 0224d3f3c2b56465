"""What readers met as broken, on a phone, a tablet and a desk, in the dark and by keyboard."""

import re

import pytest

from browsing import the_pages_with

FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"
BACKWARD = "notebooks/2-normalization/2-batch-norm-backward.html"
RESIDUAL = "notebooks/3-residual/1-residual-connections.html"
ENSEMBLES = "notebooks/3-residual/2-residual-networks-as-ensembles.html"
UNET = "notebooks/3-residual/6-unet-and-hourglass.html"
RESULTS = "book/results.html"


# --- contents ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [375, 820])
@pytest.mark.parametrize("button, link", [("primary", "2.2 Batch norm"), ("secondary", "Summary")])
def test_the_contents_open_and_lead_on(visit, server, width, button, link):
    with visit(width=width) as v:
        page = v.go(f"{server}/{FORWARD}")
        contents = page.locator(f"#pst-{button}-sidebar-modal")
        for close in (lambda: page.keyboard.press("Escape"), lambda: None):
            page.locator(f"button.{button}-toggle:visible").click()
            assert contents.is_visible()
            close()
        contents.get_by_role("link", name=link).first.click()
        page.wait_for_function("!document.querySelector('dialog[open]')")
        assert ("2-batch-norm-backward" if button == "primary" else "#summary") in page.url


def test_at_a_desk_the_contents_of_the_book_fold_and_those_of_the_page_stand(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        sidebar, button = (
            page.locator("#pst-primary-sidebar"),
            page.locator(".primary-toggle:visible"),
        )
        assert sidebar.is_visible() and page.locator("#pst-secondary-sidebar").is_visible()
        assert page.locator(".secondary-toggle:visible").count() == 0
        button.click()
        sidebar.wait_for(state="hidden", timeout=3_000)
        button.click()
        sidebar.wait_for(state="visible", timeout=3_000)


def test_the_sidebar_keeps_logo_and_search_in_sight(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{RESULTS}")
        seen = page.evaluate(
            """() => { const sidebar = document.querySelector('#pst-primary-sidebar');
              const contents = sidebar.querySelector('.bd-docs-nav').parentElement;
              contents.scrollTop = contents.scrollHeight;
              return [contents.scrollTop, ...['.logo__image.only-light', '.search-button-field']
                .map(name => { const part = sidebar.querySelector(name),
                    box = part.getBoundingClientRect(),
                    top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                  return part.contains(top); })]; }"""
        )
        assert seen[0] > 100, "a sidebar that does not scroll shows nothing"
        assert seen[1:] == [True, True]


# --- equations and tables ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [ENSEMBLES, RESIDUAL])
def test_what_goes_on_out_of_sight_fades_at_its_edge(visit, server, name):
    look = """() => [...document.querySelectorAll('div.math, .rn-table, .bd-article pre')]
        .filter(e => e.checkVisibility({visibilityProperty: true})
            && e.scrollWidth > e.clientWidth + 1)
        .map(e => ({ is: e.className, stop: e.tabIndex, mask: getComputedStyle(e).maskImage }))"""
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        page.wait_for_timeout(300)
        found = page.evaluate(look)
        assert any("math" in each["is"] for each in found)
        assert any(each["is"] == "" or "math" not in each["is"] for each in found)
        plain = [each for each in found if each["mask"] in ("none", "") or each["stop"] != 0]
        assert plain == []
        page.evaluate(
            """() => { const e = document.querySelector('div.math.rn-more-right');
                e.id = 'wide'; e.scrollLeft = e.scrollWidth; }"""
        )
        page.wait_for_selector("#wide.rn-more-left:not(.rn-more-right)")
    with visit(width=1400) as v:
        page = v.go(f"{server}/{name}")
        page.wait_for_timeout(300)
        assert [each for each in page.evaluate(look) if "math" in each["is"]] == []


@pytest.mark.parametrize("name", [FORWARD, BACKWARD, RESIDUAL])
def test_punctuation_stays_with_its_formula(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        met, apart = page.evaluate(
            """() => { let met = 0; const apart = [];
              for (const math of document.querySelectorAll('.bd-article span.math')) {
                const next = math.nextSibling;
                if (!next || next.nodeType !== 3 || !/^[.,;:!?)]/.test(next.data)
                    || !math.checkVisibility({visibilityProperty: true})) continue;
                met += 1;
                const range = document.createRange();
                range.setStart(next, 0); range.setEnd(next, 1);
                const mark = range.getBoundingClientRect();
                const formula = [...math.querySelector('mjx-container').getClientRects()].pop();
                if (mark.top > formula.bottom - 2) apart.push(math.innerText + next.data);
              } return [met, apart]; }"""
        )
        assert met > 10 and apart == []


@pytest.mark.parametrize("name", [FORWARD, RESULTS])
def test_columns_of_numbers_are_flush_right_and_unbroken(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        met, faults = page.evaluate(
            r"""() => { const number = /^[−+-]?[\d.,]+( ± [\d.,]+)?( %)?$/;
              let met = 0; const faults = [];
              for (const table of document.querySelectorAll('article table')) {
                const rows = [...table.tBodies[0].rows];
                for (let k = 1; k < rows[0].cells.length; k++) {
                  const cells = rows.map(row => row.cells[k]);
                  if (!cells.every(cell => number.test(cell.textContent.trim()))) continue;
                  for (const cell of cells) {
                    met += 1;
                    const range = document.createRange();
                    range.selectNodeContents(cell.querySelector('p') ?? cell);
                    const tops = new Set([...range.getClientRects()]
                        .map(r => Math.round(r.top / 8)));
                    if (getComputedStyle(cell.querySelector('p') ?? cell).textAlign !== 'right'
                        || tops.size > 1) faults.push(cell.textContent);
                  } } }
              return [met, faults]; }"""
        )
        assert met > 10 and faults == []


def test_the_first_column_of_a_table_stays_in_sight(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{FORWARD}")
        moved = page.evaluate(
            """() => [...document.querySelectorAll('article table')].map(table => {
                const box = table.scrollWidth > table.clientWidth + 40
                    ? table : table.parentElement;
                if (box.scrollWidth < box.clientWidth + 40 || !box.checkVisibility()) return null;
                const first = table.tBodies[0].rows[0].cells[0];
                box.scrollLeft = box.scrollWidth;
                return first.getBoundingClientRect().left - box.getBoundingClientRect().left;
            }).filter(x => x !== null)"""
        )
        assert moved and all(abs(x) < 2 for x in moved)


# --- in the dark -------------------------------------------------------------------------------


def luminance(color):
    def linear(c):
        return c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(float(c) / 255) for c in re.findall(r"[\d.]+", color)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_comments_are_calm_in_the_dark(visit, server):
    with visit(theme="dark") as v:
        page = v.go(f"{server}/{FORWARD}")
        comment, name, box = page.evaluate(
            """() => { const comment = document.querySelector('.highlight .c1');
              return [getComputedStyle(comment).color,
                getComputedStyle(document.querySelector('.highlight pre')).color,
                getComputedStyle(comment.closest('pre')).backgroundColor]; }"""
        )
        red, green, blue = (float(c) for c in re.findall(r"[\d.]+", comment)[:3])
        assert max(red, green, blue) - min(red, green, blue) < 60, f"{comment} is a bright color"
        assert 4.5 < contrast(comment, box) < contrast(name, box)


def test_the_logo_is_legible_in_the_dark(visit, server):
    with visit(width=1400, theme="dark") as v:
        page = v.go(f"{server}/{FORWARD}")
        logo = page.locator("#pst-primary-sidebar img.logo__image:visible")
        assert logo.count() == 1
        drawing = page.evaluate(
            "address => fetch(address).then(answer => answer.text())", logo.get_attribute("src")
        )
        colors = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', drawing))
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        rgb = [" ".join(str(int(c[i : i + 2], 16)) for i in (1, 3, 5)) for c in colors]
        assert len(rgb) >= 2 and all(contrast(c, background) > 4.5 for c in rgb)


@pytest.mark.parametrize("name", the_pages_with('alt="Images:', "a picture", under="notebooks/"))
def test_pictures_stand_on_the_dark_page_without_white_paper(visit, server, name):
    look = """() => Promise.all([...document.querySelectorAll(
            '.cell_output img')]
        .filter(i => i.alt.startsWith('Images:') && i.checkVisibility())
        .map(async i => { i.loading = 'eager'; await i.decode();
          const canvas = document.createElement('canvas');
          [canvas.width, canvas.height] = [i.naturalWidth, i.naturalHeight];
          const paint = canvas.getContext('2d'); paint.drawImage(i, 0, 0);
          const data = paint.getImageData(0, 0, canvas.width, canvas.height).data;
          let white = 0; const all = data.length / 4;
          for (let k = 0; k < data.length; k += 4)
            white += data[k] > 250 && data[k + 1] > 250 && data[k + 2] > 250;
          return [i.alt.slice(0, 60), white / all]; }))"""
    with visit(theme="light") as v:
        light = v.go(f"{server}/{name}").evaluate(look)
    with visit(theme="dark") as v:
        dark = v.go(f"{server}/{name}").evaluate(look)
    assert light and [each[0] for each in light] == [each[0] for each in dark]
    for (alt, before), (_, after) in zip(light, dark):
        assert after < 0.8 * before or after < 0.05, (
            f"{alt}: {after:.0%} of it is white in the dark"
        )


# --- by keyboard -------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_is_visible_wherever_it_goes(visit, server, theme):
    with visit(theme=theme, width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        unseen, met = [], 0
        for start in ("body", "#ex-bnf-column", "#solutions"):
            page.evaluate(
                """start => { const e = document.querySelector(start); e.tabIndex = -1; e.focus();
                    e.removeAttribute('tabindex'); }""",
                start,
            )
            for _ in range(70 if start == "body" else 15):
                page.keyboard.press("Tab")
                name, outline, style = page.evaluate(
                    """() => { const e = document.activeElement, s = getComputedStyle(e);
                        return [e.outerHTML.slice(0, 90), parseFloat(s.outlineWidth),
                            s.outlineStyle]; }"""
                )
                met += 1
                if outline < 2 or style == "none":
                    unseen.append(name)
        assert met == 100 and unseen == []


def test_the_tab_key_stops_only_where_something_can_be_done(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        page.wait_for_timeout(300)
        idle, outputs = page.evaluate(
            """() => { const handles = ':not([role=slider], [role=switch])';
              const stops = [...document.querySelectorAll('article [tabindex="0"]' + handles)]
                .filter(e => e.checkVisibility());
              return [stops.filter(e => e.scrollWidth <= e.clientWidth + 1
                    && e.scrollHeight <= e.clientHeight + 1).map(e => e.outerHTML.slice(0, 80)),
                [...document.querySelectorAll('.cell_output .copybtn, article a.headerlink')]
                  .filter(e => e.tabIndex >= 0).length]; }"""
        )
        assert idle == [] and outputs == 0


def test_folds_are_named_as_they_read(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        code = page.get_by_role("group").locator("summary", has_text="Show the code").first
        assert page.locator("summary[aria-label]").count() == 0 and code.is_visible()
        solution = page.get_by_role(
            "button", name="Show the solution to exercise 2.1.1", exact=False
        )
        assert solution.first.is_visible()
        solution.first.click()
        page.get_by_role("button", name="Hide the solution to exercise 2.1.1").first.wait_for()


# --- numbers and links -------------------------------------------------------------------------


def test_numbers_count_by_chapter_and_link_to_what_they_number(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{BACKWARD}")
        for selector, form in (
            (".eqno a", "(2.2.{})"),
            (".rn-caption a.rn-self", "Figure 2.2.{}."),
            (".exercise a.rn-self", "Exercise 2.2.{}"),
            ("caption a.rn-self", "Table 2.2.{}"),
        ):
            links = page.locator(selector)
            texts = links.all_inner_texts()
            assert len(texts) > 2
            assert [text.strip() for text in texts] == [
                form.format(k + 1) for k in range(len(texts))
            ]
            last = links.last
            last.evaluate("link => link.click()")
            target = page.evaluate(
                """() => { const e = document.getElementById(location.hash.slice(1));
                    const box = e.getBoundingClientRect();
                    return [e.matches(':target'), box.top > -5 && box.top < innerHeight]; }"""
            )
            assert target == [True, True]


def test_references_say_the_number_of_what_they_lead_to(visit, server):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{BACKWARD}")
        pairs = page.evaluate(
            """() => [...document.querySelectorAll("article p a.internal[href^='#equation-']")]
                .map(a => [a.textContent.trim(),
                    document.getElementById(a.hash.slice(1)).querySelector('.eqno')
                        .textContent.replace('#', '').trim()])"""
        )
        assert len(pairs) > 5 and all(said == is_ for said, is_ in pairs)


def test_an_exercise_leads_to_its_solution_and_back(visit, server):
    in_sight = """name => { const box = document.getElementById(name).getBoundingClientRect();
        return box.bottom > 0 && box.top < innerHeight; }"""
    with visit(width=1400) as v:
        page = v.go(f"{server}/{FORWARD}")
        exercise, solution = page.locator("#ex-bnf-keras"), page.locator("#solution-ex-bnf-keras")
        body = solution.locator("section > *").first
        assert not body.is_visible()
        exercise.get_by_role("link", name="Solution").click()
        body.wait_for(state="visible", timeout=3_000)
        assert page.evaluate(in_sight, "solution-ex-bnf-keras")
        solution.get_by_role("link", name="Exercise 2.1.3").click()
        page.wait_for_function(in_sight, arg="ex-bnf-keras")
        assert body.is_visible(), "going back folds nothing"
        page.goto("about:blank")
        page.goto(f"{server}/{FORWARD}#solution-ex-bnf-outlier")
        page.locator("#solution-ex-bnf-outlier section > *").first.wait_for(state="visible")
        assert page.evaluate(in_sight, "solution-ex-bnf-outlier")
