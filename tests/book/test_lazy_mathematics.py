"""MathJax comes when a formula does, and typesets what is near."""

FORWARD = "notebooks/2-normalization/1-batch-norm-forward.html"


def requested(visit, address):
    names = []
    visit.page.on("request", lambda request: names.append(request.url.rsplit("/", 1)[-1]))
    visit.page.goto(address, wait_until="load")
    visit.page.wait_for_timeout(300)
    return names


def test_a_page_without_formulas_loads_no_mathjax(visit, server):
    with visit() as v:
        names = requested(v, f"{server}/book/index.html")
        assert len(names) > 5 and not any("tex-chtml" in name for name in names)


def test_formulas_are_typeset_when_they_come_near(visit, server):
    with visit(width=375) as v:
        names = requested(v, f"{server}/{FORWARD}")
        page = v.page
        formulas = page.locator("article .math")
        assert not any("tex-chtml" in name for name in names), "the first screen has no formula"
        assert page.locator("mjx-container").count() == 0 and formulas.count() > 100
        formulas.first.scroll_into_view_if_needed()
        formulas.first.locator("mjx-container").wait_for(timeout=10_000)
        typeset = page.locator("article .math:has(mjx-container)").count()
        assert 0 < typeset < formulas.count() / 2
        page.evaluate("window.resnorm.typesetAll()")
        assert page.locator("article .math:not(:has(mjx-container))").count() == 0


def test_the_printer_gets_every_formula(visit, server):
    with visit() as v:
        requested(v, f"{server}/{FORWARD}")
        v.page.locator("article .math").first.scroll_into_view_if_needed()
        v.page.locator("article .math mjx-container").first.wait_for(timeout=10_000)
        v.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert v.page.locator("article .math:not(:has(mjx-container))").count() == 0


def test_without_scripts_formulas_are_their_source(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}/{FORWARD}")
    assert page.locator("article .math").first.inner_text().startswith("\\(")
    assert page.locator("#solution-ex-bnf-keras section").is_visible()
    context.close()
