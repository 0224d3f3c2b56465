"""A figure with every kind of control moves by keyboard and mouse, and anybody can read it."""

import matplotlib
import matplotlib.pyplot as plt
import pytest

import resnorm
from browsing import state, violations, what_stayed

matplotlib.use("agg")


def assert_moved(before, after):
    assert what_stayed(before, after) == []


@pytest.fixture(scope="module")
def standalone(tmp_path_factory):
    """A file with one figure of all kinds of controls, as the book would hold it."""

    def draw(**values):
        fig, ax = plt.subplots(figsize=(4, 1))
        ax.set_title(str(values))
        return fig

    html = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda data, **_: html.append(data["text/html"]))
        resnorm.explore(
            draw,
            {"eps": [0.1, 1.0, 10.0], "norm": ["batch", "layer"], "data": list("abcde")},
            alt=lambda **values: f"A picture that shows {values}",
            mode="page",
        )
    path = tmp_path_factory.mktemp("figure") / "figure.html"
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>x</title>"
        f"<main><h1>x</h1>{html[0]}</main></html>"
    )
    return path.as_uri()


def test_the_slider_moves_by_keyboard_and_by_mouse(visit, standalone):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        slider = figure.get_by_label("eps")
        first = state(figure)
        assert figure.locator(".rn-label").get_attribute("aria-live") == "polite"
        slider.focus()
        v.page.keyboard.press("ArrowRight")
        second = state(figure)
        assert_moved(first, second)
        assert slider.get_attribute("aria-valuetext") == "1" and "eps = 1," in second[2]
        box = slider.bounding_box()
        v.page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
        assert slider.get_attribute("aria-valuetext") == "10" and "eps = 10," in state(figure)[2]
        assert_moved(second, state(figure))
        v.page.keyboard.press("Home")
        assert state(figure) == first  # back where it was


def test_buttons_and_menu_move_the_figure(visit, standalone):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        first = state(figure)
        figure.get_by_text("layer", exact=True).click()
        second = state(figure)
        assert_moved(first, second)
        v.page.keyboard.press("ArrowLeft")  # radio buttons move by arrows
        assert state(figure) == first
        figure.get_by_label("data").select_option("c")
        assert "data = c" in state(figure)[2]
        assert_moved(first, state(figure))


def test_a_page_that_is_visited_again_shows_what_its_controls_say(visit, standalone, server):
    with visit() as v:
        figure = v.go(standalone).locator(".rn-explore")
        figure.get_by_label("eps").press("ArrowRight")
        v.page.goto(f"{server}/book/index.html")
        v.page.go_back()
        shown = v.page.locator(".rn-explore .rn-label").inner_text()
        value = v.page.locator(".rn-explore input[type=range]").input_value()
        assert f"eps = {['0.1', '1', '10'][int(value)]}," in shown


def test_axe_finds_no_fault_in_a_figure_with_every_control(visit, standalone):
    with visit() as v:
        assert violations(v.go(standalone)) == []


def test_without_scripts_the_first_state_is_shown_and_the_reader_informed(browser, standalone):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(standalone)
    assert "need JavaScript" in page.locator(".rn-explore").inner_text()
    assert page.locator(".rn-image").is_visible()
    context.close()
