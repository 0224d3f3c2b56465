"""What two readers with a phone met in chapters 3.8 and 4.2, from the first line to the last."""

import sys
from pathlib import Path

import pytest

from browsing import violations

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "extensions"))

from resnorm_book import finishing, references, tables

BOXES = "notebooks/3-residual/8-pixels-and-boxes.html"
PLAIN = "notebooks/4-cifar/2-plain-against-residual.html"
TOOLBOX = "notebooks/2-normalization/5-toolbox.html"
READ = [BOXES, PLAIN]


# --- lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_sizes_percentages_and_names_end_on_the_line_where_they_begin(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        met, broken = page.evaluate(
            r"""() => { const kinds = [/\d\s×\s\d/g, /\d\s%/g, /\b[A-Za-z]+-\d+\b/g,
                /\b(?:[Cc]hapter|[Ss]ection)\s\d/g];
              const walk = document.createTreeWalker(document.querySelector("article"),
                NodeFilter.SHOW_TEXT, node => node.parentElement.closest(
                  "script, style, pre, code, svg, .math, mjx-container, a.rn-self")
                  ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
              const met = kinds.map(() => 0), broken = [];
              while (walk.nextNode()) {
                if (!walk.currentNode.parentElement.checkVisibility()) continue;
                const text = walk.currentNode.data;
                kinds.forEach((kind, k) => { for (const found of text.matchAll(kind)) {
                  met[k] += 1;
                  const range = document.createRange();
                  range.setStart(walk.currentNode, found.index);
                  range.setEnd(walk.currentNode, found.index + found[0].length);
                  const tops = [...range.getClientRects()].map(box => box.top);
                  if (Math.max(...tops) - Math.min(...tops) > 10) broken.push(found[0]);
                } });
              } return [met, broken]; }"""
        )
        assert all(met) and broken == []


def test_code_formulas_and_numbers_of_figures_stay_as_they_are():
    page = (
        '<article><pre>3 × 3</pre><code>plain-56</code><span class="math">\\(3 × 3\\)</span>'
        '<a class="rn-self" href="#x">Figure 3.2.1.</a> {} <img alt="16 × 16, 9 %"></article>'
    )
    before, after = (
        page.format(text)
        for text in (
            "16 × 16 at 9 %, chapter 3.2, plain-56 and residual-20s, ICML-2015.4, a-b",
            "16\u00a0×\u00a016 at 9\u00a0%, chapter\u00a03.2, "
            '<span class="rn-glued">plain-56</span> and '
            '<span class="rn-glued">residual-20s</span>, ICML-2015.4, a-b',
        )
    )
    assert finishing.unbroken(before) == after
    assert finishing.unbroken("<p>16 × 16</p>") == "<p>16 × 16</p>", "the head and the contents"


@pytest.mark.parametrize("name", READ)
def test_printed_sentences_and_commands_wrap_and_columns_do_not(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        long, wide, broken = page.evaluate(
            r"""() => { const shown = [...document.querySelectorAll("div.output.stream pre, "
                  + "div[class*=highlight-]:not(.highlight-ipython3) > div > pre")]
                .filter(each => each.checkVisibility());
              // One gap parts a name from its sentence, as in "WRONG  dx"; more are columns.
              const gaps = line => (line.slice(12).match(/\S {2,}(?=\S)/g) ?? []).length;
              const columns = each => each.textContent.split("\n").some(line => gaps(line) > 1);
              const sentences = shown.filter(each => !/\S {2,}\S/.test(each.textContent)
                && Math.max(...each.textContent.split("\n").map(line => line.length)) > 45);
              const wide = each => each.scrollWidth > each.clientWidth + 1;
              return [sentences.length, sentences.filter(wide).map(each => each.textContent),
                shown.filter(each => columns(each) && getComputedStyle(each).whiteSpace !== "pre")
                  .map(each => each.textContent)]; }"""
        )
        assert long > 5 and wide == [] and broken == []


@pytest.mark.parametrize("name", READ)
def test_the_number_of_an_equation_is_whole_and_in_sight(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        boxes = page.evaluate(
            """() => [...document.querySelectorAll('.eqno a')].map(each => {
                const box = each.getBoundingClientRect();
                return [each.getClientRects().length, box.left, box.right, box.height]; })"""
        )
        assert boxes
        for lines, left, right, height in boxes:
            assert lines == 1 and height < 32 and 0 <= left < right <= 375


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_the_number_of_a_table_stays_in_sight(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        met, hidden = page.evaluate(
            """() => { let met = 0; const hidden = [];
              for (const box of document.querySelectorAll(".rn-table")) {
                if (!box.checkVisibility() || box.scrollWidth <= box.clientWidth + 1) continue;
                met += 1;
                const outer = box.getBoundingClientRect(), link = box.querySelector("caption a");
                for (const at of [0, box.scrollWidth]) {
                  box.scrollLeft = at;
                  const inner = link.getBoundingClientRect();
                  if (inner.left < outer.left - 1 || inner.right > outer.right - 30)
                    hidden.push([link.textContent, at]);
                } box.scrollLeft = 0;
              } return [met, hidden]; }"""
        )
        assert met > 1 and hidden == []


def test_a_table_says_how_wide_its_first_column_is_and_has_no_empty_head():
    row = "<tr><{0}>{1}</{0}><{0}>{2}</{0}></tr>"
    table = (
        "<table><thead>{}</thead><tbody>"
        + row.format("td", "15, two cells", "1")
        + "</tbody></table>"
    )
    assert tables.first_column(table.format(row.format("th", "where", ""))) == 13
    assert tables.without_empty_head(table.format(row.format("th", "", "x"))).count("<thead>") == 1
    assert "<thead>" not in tables.without_empty_head(table.format(row.format("th", "", "")))


# --- figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_an_interactive_figure_is_seen_whole_while_it_moves(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        frames = page.evaluate(
            """() => [...document.querySelectorAll(".rn-explore .rn-frame")]
                .filter(each => each.checkVisibility())
                .map(each => [each.scrollWidth, each.clientWidth])"""
        )
        assert frames and all(whole <= seen + 1 for whole, seen in frames), frames


#: Lettering and legends of a drawing that lie on each other. Turned labels of ticks are left out,
#: because their boxes are larger than they are.
CROSSINGS = """async address => {
  const holder = document.createElement("div");
  holder.style = "position: absolute; left: 0; top: 0; width: 375px";
  holder.innerHTML = await (await fetch(address)).text();
  document.body.append(holder);
  const boxes = [...holder.querySelectorAll("g[id^='legend_'], g[id^='text_']")]
    .filter(each => !each.parentElement.closest("g[id^='legend_']")
      && !each.querySelector("g[transform*='rotate']"))
    .map(each => each.getBoundingClientRect()).filter(box => box.width > 0);
  holder.remove();
  let found = 0;
  boxes.forEach((one, k) => boxes.slice(k + 1).forEach(other => {
    found += Math.min(one.right, other.right) - Math.max(one.left, other.left) > 3
      && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 3;
  }));
  return [boxes.length, found];
}"""


@pytest.mark.parametrize("name", READ)
def test_lettering_of_a_narrow_drawing_covers_no_other(visit, server, name):
    with visit(width=375) as v:
        page = v.go(f"{server}/{name}")
        drawings = page.evaluate(
            """() => [...document.querySelectorAll(".rn-drawing picture")].map(each => {
                const narrow = each.querySelector("source");
                return narrow && matchMedia(narrow.media).matches
                  ? new URL(narrow.srcset, location).href : each.querySelector("img").src;
              }).filter(address => address.endsWith(".svg"))"""
        )
        crossings = [page.evaluate(CROSSINGS, address) for address in drawings]
        assert drawings and all(texts > 3 for texts, _ in crossings)
        assert [found for _, found in crossings if found] == []


# --- by touch ----------------------------------------------------------------------------------


def test_a_touch_on_the_title_of_a_solution_unfolds_it(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{BOXES}")
        solution = page.locator("div.solution").first
        solution.scroll_into_view_if_needed()
        title = solution.locator(".admonition-title")
        box = title.bounding_box()
        name, link = title.inner_text(), title.get_by_role("link").inner_text()
        assert link.replace("\u00a0", " ") == "Exercise 3.8.1" and "Overlap by hand" in name
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 12)
        solution.locator("section > *").first.wait_for(state="visible", timeout=3_000)
        assert page.evaluate("location.hash") == ""


def test_only_the_number_in_the_title_of_a_solution_is_a_link():
    title = 'Solution to <a class="reference internal" href="#x">Exercise 3.8.1{}</a>{}</p>'
    before, after = (
        title.format(" (★ By <em>hand</em>)", ""),
        title.format("", " (★ By <em>hand</em>)"),
    )
    assert references.SOLVED.sub(r"\1</a>\2", before) == after


def test_the_way_on_and_back_is_in_sight(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{PLAIN}")
        edges = page.evaluate(
            """() => [...document.querySelectorAll(".prev-next-area :is(a, svg, p)")].map(each => {
                const box = each.getBoundingClientRect(); return [box.left, box.right]; })"""
        )
        assert len(edges) == 8 and all(0 <= left < right <= 375 for left, right in edges)


#: What stays in place while the page scrolls, and lies on the text. A theme may show it only for a
#: moment, to whoever scrolls up, so each frame counts.
COVERING = """async distances => {
  const text = document.querySelector("article"), found = new Set();
  const inside = (box, room) => box.width > 0 && box.height > 0 && box.left < room.right
    && box.right > room.left && box.top < Math.min(room.bottom, innerHeight) && box.bottom > 0;
  const fixed = [...document.body.querySelectorAll("*")]
    .filter(each => getComputedStyle(each).position === "fixed");
  for (const top of distances) {
    scrollBy({ top, behavior: "instant" });
    for (let frame = 0; frame < 6; frame++) {
      await new Promise(requestAnimationFrame);
      const room = text.getBoundingClientRect();
      for (const each of fixed)
        if (inside(each.getBoundingClientRect(), room)) found.add(each.id || each.className);
    }
  }
  return [scrollY, ...found];
}"""


@pytest.mark.parametrize("width", [375, 820, 1400])
def test_nothing_lies_on_the_text_while_it_scrolls(visit, server, width):
    with visit(width=width) as v:
        page = v.go(f"{server}/{BOXES}")
        place, *found = page.evaluate(COVERING, [4000, -300, -300])
        assert place > 3000 and found == []
        page.evaluate(  # such as the theme's button
            """() => { const button = document.createElement("button");
                Object.assign(button, { id: "late", textContent: "Back to top" });
                button.style = "position: fixed; left: 45vw; top: 90vh; width: 4rem";
                document.body.append(button); }"""
        )
        assert page.evaluate(COVERING, [300, -300])[1:] == ["late"]


# --- where the reader was ----------------------------------------------------------------------


def standing(page, link):
    """How far below the edge of the window a link stands, once the page has come to rest."""
    page.wait_for_timeout(700)
    return link.evaluate("each => each.getBoundingClientRect().top")


@pytest.mark.parametrize("width", [375, 1400])
@pytest.mark.parametrize("to", ["#equation-", "../../book/bibliography.html"])
def test_the_way_back_ends_where_it_began(visit, server, width, to):
    with visit(width=width) as v:
        page = v.go(f"{server}/{BOXES}", whole=False)
        link = page.locator(f"article p a[href^='{to}']").last
        for _ in range(2):
            link.scroll_into_view_if_needed()
            page.wait_for_timeout(300)
        link.evaluate("each => scrollBy(0, each.getBoundingClientRect().top - 400)")
        before = standing(page, link)
        link.click()
        page.wait_for_function("location.hash")
        page.wait_for_timeout(700)
        page.go_back()
        assert abs(standing(page, link) - before) < 40


def test_a_link_to_the_place_of_the_address_leads_there_again(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{BOXES}#anchors", whole=False)
        page.wait_for_timeout(500)
        page.mouse.wheel(0, 2500)
        page.wait_for_timeout(300)
        page.evaluate(
            """() => { const link = document.createElement("a"); link.href = "#anchors";
                document.querySelector("article").append(link); link.click(); }"""
        )
        page.wait_for_timeout(700)
        top = page.evaluate("document.getElementById('anchors').getBoundingClientRect().top")
        assert 0 < top < 300


@pytest.mark.parametrize("width", [375, 820])
def test_the_contents_open_at_the_place_that_is_read(visit, server, width):
    in_sight = """each => { const box = each.getBoundingClientRect();
        return box.top >= 0 && box.bottom <= innerHeight; }"""
    with visit(width=width) as v:
        page = v.go(f"{server}/{BOXES}", whole=False)
        page.locator("button.primary-toggle:visible").click()
        page.wait_for_timeout(400)
        chapter = page.locator(".bd-docs-nav li.active > a")
        assert "3.8" in chapter.inner_text() and chapter.evaluate(in_sight)
        page.keyboard.press("Escape")
        # as after the way back, when no heading has passed the window
        page.evaluate(
            """() => { const place = document.querySelector("#the-loss-moves-its-own-target p");
                scrollTo(0, 0); place.scrollIntoView(); scrollBy(0, 150); }"""
        )
        page.wait_for_timeout(500)
        page.locator("button.secondary-toggle:visible").click()
        page.wait_for_timeout(400)
        here = page.locator("dialog[open] .page-toc a.active").last
        assert "moves its own" in here.inner_text() and here.evaluate(in_sight)


def test_a_citation_is_marked_where_it_is_found(visit, server):
    with visit(width=375) as v:
        page = v.go(f"{server}/{BOXES}", whole=False)
        page.locator("article a[href*='bibliography.html#']").first.click()
        page.wait_for_url("**/bibliography.html#*")
        outline = page.evaluate("getComputedStyle(document.querySelector(':target')).outlineStyle")
        assert outline == "solid"


# --- the sidebar -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [TOOLBOX, BOXES])
def test_nothing_in_the_sidebar_lies_below_its_logo(visit, server, name):
    with visit(width=1400) as v:
        page = v.go(f"{server}/{name}")
        scroll = """top => { const scrolls = each => each.scrollHeight > each.clientHeight
                && getComputedStyle(each).overflowY === "auto";
              let box = document.querySelector(".bd-docs-nav");
              while (!scrolls(box)) box = box.parentElement;
              box.scrollTop = top;
              return box.scrollTop; }"""
        for top in (100, 160, 240):
            assert page.evaluate(scroll, top) == top, "what does not scroll shows nothing"
            assert violations(page, rules=["target-size"]) == []
        page.locator(".bd-sidebar-primary .search-button-field").focus()
        covered = []
        for _ in range(20):
            page.keyboard.press("Tab")
            covered += page.evaluate(
                """() => { const each = document.activeElement, box = each.getBoundingClientRect();
                    if (!each.closest(".bd-docs-nav")) return [];
                    const top = document.elementFromPoint(box.x + 8, box.y + 3);
                    return top && each.contains(top) ? [] : [each.textContent]; }"""
            )
        assert covered == []
