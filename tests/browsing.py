"""What the browser tests share: pages to visit, what axe finds, how a figure stands."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"
SERIOUS = {"serious", "critical"}
#: Code has thousands of colored words per page, in the same few colors: one page stands for all.
CODE = "div.highlight"


def pages_with(marker):
    """Names of the built pages that hold ``marker``."""
    names = (path.relative_to(HTML).as_posix() for path in sorted(HTML.rglob("*.html")))
    return [
        name for name in names if name[0] not in "_." and marker in (HTML / name).read_text("utf-8")
    ]


def the_pages_with(marker, what, under=""):
    """The same in a folder, as parameters; a test of an empty list fails instead of vanishing."""
    names = [name for name in pages_with(marker) if name.startswith(under)]
    return names or [pytest.param("", id=f"no page has {what}")]


def violations(page, exclude=(), rules=()):
    """What axe finds, outside the elements ``exclude``, by these rules or by all."""
    page.wait_for_function(
        "document.getAnimations().every(animation => animation.playState !== 'running')"
    )  # colors fade in
    # preload would fetch style sheets again by addresses of its own, some of them wrong
    options = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = (
        Axe()
        .run(
            page,
            context={"exclude": [[each] for each in exclude]} if exclude else None,
            options=options,
        )
        .response["violations"]
    )
    return [
        f"{v['id']} ({v['impact']}): {node['html'][:160]} -- {node['failureSummary'][:200]}"
        for v in found
        if v["impact"] in SERIOUS
        for node in v["nodes"][:3]
    ]


def in_the_dark(page):
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def state(figure):
    image, label = figure.locator(".rn-image"), figure.locator(".rn-label")
    return image.get_attribute("src"), image.get_attribute("alt"), label.inner_text()


def what_stayed(before, after):
    """What of a figure's state did not change, as sentences."""
    parts = ("picture", "alternative text", "label")
    return [
        f"the {what} of a figure stayed the same at {after[2]!r}"
        for old, new, what in zip(before, after, parts)
        if old == new
    ]
