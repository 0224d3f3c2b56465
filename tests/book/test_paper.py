"""Pages on paper: nothing is cut, nothing that needs a screen, solutions only where asked for."""

import re
import zipfile

import pytest

import pdf
import site_zip

BACKWARD = "notebooks/2-normalization/2-batch-norm-backward.html"
#: Width of the text on A4, in pixels: 210 mm less the margins of print.css.
WIDTH = 688
#: What sticks out of the column, or hides a part of itself.
CUT = """() => {
  const article = document.querySelector("article.bd-article, main"), found = [];
  const right = document.documentElement.clientWidth + 1;
  const all = "pre, table, img, .math, mjx-container, p, li, h1, h2, h3, .rn-table, .cell_output";
  for (const each of article.querySelectorAll(`${all}, .rn-explore`)) {
    if (!each.checkVisibility() || each.closest("mjx-assistive-mml")) continue;
    const box = each.getBoundingClientRect(), style = getComputedStyle(each);
    const hides = (style.overflowX !== "visible" || each.tagName === "PRE")
      && each.scrollWidth > each.clientWidth + 1;
    if (box.width && (box.right > right || box.left < -1 || hides))
      found.push(`${each.tagName}.${each.className} ${box.left}..${box.right}: ${each.innerText}`);
  }
  return found.slice(0, 5).map(each => each.slice(0, 160));
}"""
SCREEN_ONLY = (
    ".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .copybtn, .headerlink, "
    ".rn-controls, .toggle-button, .prev-next-footer, dialog, footer"
)


def on_paper(page, solutions=False):
    """Show a page as it is printed."""
    page.evaluate("() => window.resnorm.complete().then(() => true)")
    page.evaluate(
        f"document.documentElement.dataset.print = '{'solutions' if solutions else 'text'}'"
    )
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": WIDTH, "height": 1000})


def test_nothing_is_cut_on_paper(visit, built, page_name):
    """With its solutions, if a page has any: without them it prints a part of the same."""
    solutions = 'class="solution ' in (built / page_name).read_text("utf-8")
    with visit(width=1000) as v:
        page = v.go((built / page_name).as_uri())
        on_paper(page, solutions)
        assert page.evaluate(CUT) == []
        seen = f"""() => [...document.querySelectorAll("{SCREEN_ONLY}")]
            .filter(each => each.checkVisibility()).map(each => each.outerHTML.slice(0, 90))"""
        assert page.evaluate(seen) == []


def test_what_is_cut_is_found(visit, built):
    with visit(width=1000) as v:
        page = v.go((built / BACKWARD).as_uri())
        on_paper(page)
        page.add_style_tag(
            content="@media print { .bd-article div.highlight pre { white-space: pre !important } }"
        )
        page.evaluate(
            """[...document.querySelectorAll('article pre')].find(each => each.checkVisibility())
                .textContent = 'x'.repeat(300)"""
        )
        assert page.evaluate(CUT)


def test_solutions_are_printed_only_where_they_are_asked_for(visit, built):
    shown = """() => ['.solution p', '.solution pre', 'details.sd-dropdown p', 'details.hide pre']
        .map(name => [...document.querySelectorAll(`article ${name}`)]
            .filter(each => each.checkVisibility()).length)"""
    with visit(width=1000, theme="dark") as v:
        page = v.go((built / BACKWARD).as_uri())
        before = page.evaluate("document.querySelectorAll('.toggle-hidden').length")
        on_paper(page)
        assert page.evaluate(shown) == [0, 0, 0, 0]
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        on_paper(page, solutions=True)
        *solutions, plots = page.evaluate(shown)
        assert min(solutions) > 10 and plots == 0
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        assert page.evaluate("document.querySelectorAll('.toggle-hidden').length") == before
        assert page.locator("details.sd-dropdown[open]").count() == 0


def test_the_buttons_wait_for_the_whole_page_and_print(visit, server):
    with visit() as v:
        page = v.page
        page.add_init_script(
            """window.print = () => { window.printed = [document.documentElement.dataset.print,
                [...document.images].every(i => i.complete),
                document.querySelectorAll('article .math:not(:has(mjx-container))').length]; }"""
        )
        page.goto(f"{server}/{BACKWARD}", wait_until="load")
        for name, kind in (("Print", "text"), ("Print with solutions", "solutions")):
            page.get_by_role("button", name="Download this page").click()
            page.get_by_role("button", name=name, exact=True).click()
            page.wait_for_function("window.printed")
            assert page.evaluate("window.printed") == [kind, True, 0]
            page.evaluate("delete window.printed")


@pytest.fixture(scope="module")
def backward(browser, built, tmp_path_factory):
    """The PDF of chapter 2.2."""
    source = pdf.Source(BACKWARD, "2.2 Batch normalization, backward", solutions=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "PDF", tmp_path_factory.mktemp("pdf"))
        return pdf.make_page(browser, source, False, "https://a.github.io/b").read_bytes()


def test_the_pdf_of_a_chapter_has_few_pages_an_outline_and_links(backward):
    pages = len(re.findall(rb"/Type\s*/Page\b", backward))
    assert 15 <= pages <= 30
    assert b"/Outlines" in backward and b"/StructTreeRoot" in backward
    outward = re.findall(rb"/URI \(([^)]*)\)", backward)
    assert any(link.startswith(b"https://a.github.io/b/notebooks/") for link in outward)
    assert not any(link.startswith(b"file:") for link in outward)


def test_the_zip_of_the_site_opens_from_the_file_system(visit, built, tmp_path):
    site_zip.pack(built, tmp_path / "site.zip")
    with zipfile.ZipFile(tmp_path / "site.zip") as packed:
        packed.extractall(tmp_path)
    with visit() as v:
        page = v.go((tmp_path / site_zip.FOLDER / BACKWARD).as_uri())
        assert page.locator("mjx-container").count() > 100
        page.get_by_role("link", name="chapter 2.1").first.click()
        page.wait_for_url("**/1-batch-norm-forward.html*")
        assert page.locator("article h1").inner_text().startswith("2.1")
