"""On a phone the lettering of every figure has at least 11 pixels, and no canvas cuts it.

Drawings are SVG whose letters are outlines, so their size is read from the scale of the outlines.
"""

from browsing import pages_with

#: Shows a drawing as part of a page and yields what is wrong with its lettering: the size that the
#: outlines have at the width at which the page shows the drawing, and what lies beyond the canvas.
FAULTS = """async ([address, shown, least]) => {
  const holder = document.createElement("div");
  holder.style = "position: absolute; left: 0; top: 0; width: 800px";
  holder.innerHTML = await (await fetch(address)).text();
  document.body.append(holder);
  const drawing = holder.querySelector("svg"), faults = [];
  drawing.style = "width: 800px; height: auto; overflow: visible";
  const canvas = drawing.getBoundingClientRect();
  const unit = shown / drawing.viewBox.baseVal.width;
  for (const text of drawing.querySelectorAll("g[id^='text_']")) {
    const outlines = [...text.querySelectorAll("g[transform*='scale']")]
      .filter(each => each.querySelector("use"));
    for (const each of outlines) {
      const scale = Number(/scale\\(([\\d.]+)/.exec(each.getAttribute("transform"))[1]);
      const size = 100 * scale * unit, box = each.getBoundingClientRect();
      const words = (each.previousSibling?.data ?? text.textContent).trim();
      if (size < least) faults.push(`${text.id} has ${size.toFixed(1)} px`);
      const slack = 2 * 800 / shown;
      if (box.left < canvas.left - slack || box.right > canvas.right + slack
          || box.top < canvas.top - slack || box.bottom > canvas.bottom + slack)
        faults.push(`${text.id} is cut`);
    }
  }
  holder.remove();
  return faults;
}"""
SHOWN = """() => [...document.querySelectorAll(".rn-drawing img, .rn-frame img")]
  .filter(each => each.checkVisibility()).map(each => {
    each.loading = "eager";
    const box = each.closest("picture") ?? each;
    const source = [...box.querySelectorAll("source")].find(s => matchMedia(s.media).matches);
    const of = source ?? each;
    return { alt: each.alt, width: each.getBoundingClientRect().width,
      address: source ? new URL(source.srcset, location).href : each.src,
      natural: Number(of.getAttribute("width")), smallest: Number(of.dataset.smallest),
      room: each.closest(".rn-drawing, .rn-frame").clientWidth }; })"""
LEAST = 11


def lettering_that_is_illegible(page):
    """What is wrong with the figures of a page; with that of each page: see test_browser.py."""
    figures = page.evaluate(SHOWN)
    if page.locator(".rn-drawing").count() and not figures:
        yield "none of the drawings is shown"
    for figure in figures:
        what = figure["alt"][:60]
        size = figure["smallest"] * figure["width"] / figure["natural"]
        if size < LEAST - 0.05:
            yield f"{what}: the smallest lettering has {size:.1f} px"
        if figure["address"].endswith(".svg"):
            given = [figure["address"], figure["width"], LEAST - 0.05]
            yield from (f"{what}: {each}" for each in page.evaluate(FAULTS, given))


def test_every_figure_of_a_chapter_is_a_drawing_or_moves():
    bare = [
        name
        for name in pages_with('class="cell_output')
        if any(
            not image.find_parent(class_=["rn-drawing", "rn-explore"])
            for image in soup(name).select(".cell_output img")
        )
    ]
    assert bare == []


def test_small_and_cut_lettering_would_be_found(visit, server, tmp_path):
    drawing = """<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 300 200'><defs>
      <path id='a' d='M 0 0 L 60 0 L 60 70 L 0 70 z'/></defs>
      <g id='text_1'><g transform='translate(20 50) scale(0.1 -0.1)'><use href='#a'/></g></g>
      <g id='text_2'><g transform='translate(20 90) scale(0.07 -0.07)'><use href='#a'/></g></g>
      <g id='text_3'><g transform='translate(298 90) scale(0.1 -0.1)'><use href='#a'/></g></g>
      </svg>"""
    with visit(width=375) as v:
        page = v.go(f"{server}/book/index.html")
        address = page.evaluate("text => URL.createObjectURL(new Blob([text]))", drawing)
        found = page.evaluate(FAULTS, [address, 343, LEAST])
        assert found == ["text_2 has 8.0 px", "text_3 is cut"]


def soup(name):
    from test_pages import soup_of

    from browsing import HTML

    return soup_of(HTML / name)
