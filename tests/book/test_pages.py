"""The built pages as files: links, alternative text, hosts and size.

Each check is shown to find a fault.
"""

import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

import release
import repository

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
MAX_BYTES = 1_500_000
#: Pages that say why they are larger, with their own limit.
HEAVY: dict[str, int] = {}


@functools.cache  # a page is read by many tests
def soup_of(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@functools.cache
def anchors(path):
    return {
        e.get("id") or e.get("name")
        for e in soup_of(path).find_all(True)
        if e.get("id") or e.get("name")
    }


def broken_links(path, root):
    """Links and sources of a page that lead to no file or no anchor."""
    for element in soup_of(path).find_all(True):
        for attribute in ("href", "src"):
            target = element.get(attribute)
            if not target or urlsplit(target).scheme:
                continue
            parts = urlsplit(target)
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            file = file / "index.html" if file.is_dir() else file
            if not file.is_relative_to(root.resolve()) or not file.is_file():
                yield f"{path.name}: {target} leads to no file"
            elif (
                parts.fragment
                and file.suffix == ".html"
                and element.name == "a"
                and unquote(parts.fragment) not in anchors(file)
            ):
                yield f"{path.name}: {target} leads to no anchor"


def pictures_without_text(path):
    for image in soup_of(path).find_all("img"):
        alt = (image.get("alt") or "").strip()
        if not alt or re.fullmatch(r"\S*/\S*|\S+\.(png|svg|jpe?g|gif|webp)", alt):
            source = (image.get("src") or "")[:60]
            yield f"{path.name}: {source} has alt={alt!r}: use figures.show(fig, alt='…')"


def foreign_parts(path):
    """Addresses of other hosts that opening the page would ask for."""
    soup = soup_of(path)
    for name, attribute in (
        ("script", "src"),
        ("img", "src"),
        ("img", "srcset"),
        ("iframe", "src"),
        ("link", "href"),
        ("source", "src"),
        ("video", "src"),
        ("object", "data"),
    ):
        for element in soup.find_all(name):
            address = element.get(attribute) or ""
            if name == "link" and set(element.get("rel", [])) & {
                "canonical",
                "next",
                "prev",
                "license",
            }:
                continue  # names a page, fetches nothing
            if address.startswith(("http://", "https://", "//")):
                yield f"{path.name}: {address}"
    styles = [style.text for style in soup.find_all("style")]
    for link in soup.find_all("link", rel="stylesheet"):
        file = path.parent / urlsplit(link["href"]).path
        styles.append(file.read_text("utf-8") if file.is_file() else "")
    for style in styles:
        for address in re.findall(
            r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", style
        ):
            yield f"{path.name}: {address} in a style sheet"


def test_every_internal_link_and_anchor_resolves(built, page_name):
    assert list(broken_links(built / page_name, built)) == []


def test_every_picture_has_alternative_text(built, page_name):
    assert list(pictures_without_text(built / page_name)) == []


def test_no_part_of_a_page_comes_from_another_host(built, page_name):
    assert list(foreign_parts(built / page_name)) == []


def test_no_id_is_given_twice(built, page_name):
    names = [e["id"] for e in soup_of(built / page_name).find_all(id=True)]
    assert sorted(names) == sorted(set(names))


def test_nothing_holds_up_the_page(built, page_name):
    """Scripts wait, pictures come when they are near, the search's sections are left out."""
    soup = soup_of(built / page_name)
    scripts = soup.find_all("script", src=True)
    assert scripts and all(script.has_attr("defer") for script in scripts)
    named = " ".join(script["src"] for script in scripts)
    assert "fontawesome" not in named and "tex-chtml" not in named
    assert not any(each in named for each in ("searchindex", "searchtools", "sections"))
    for picture in soup.select(".cell_output img[src$='.png']"):
        assert picture["loading"] == "lazy" and picture["width"] and picture["height"]
    assert soup.select("svg.rn-icon") and soup.select("[class*='fa-']") == []


def test_the_page_is_light(built, page_name):
    size = (built / page_name).stat().st_size
    assert size <= HEAVY.get(page_name, MAX_BYTES), (
        f"the page has {size / 1e6:.2f} MB: draw fewer frames, or smaller pictures"
    )


BAD = """<html><head><link rel="stylesheet" href="a.css">
<link rel="canonical" href="https://fine.example/"><script src="https://cdn.example/x.js"></script>
<style>@import "//fonts.example/f.css";</style></head><body id="top">
<a href="#top">fine</a><a href="bad.html#top">fine</a><a href="https://other.example">fine</a>
<a href="#nowhere">x</a><a href="missing.html">x</a><a href="../outside.html">x</a>
<img src="a.png"><img src="a.png" alt="a.png">
<img src="a.png" alt="../_images/a"><img src="a.png" alt="A line that rises"></body></html>"""


@pytest.fixture
def bad_page(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "outside.html").write_text("")
    (site / "a.png").write_bytes(b"")
    (site / "a.css").write_text("body { background: url('https://img.example/b.png') }")
    (site / "bad.html").write_text(BAD)
    return site / "bad.html"


def test_broken_links_are_found(bad_page):
    found = [line.split()[1] for line in broken_links(bad_page, bad_page.parent)]
    assert found == ["#nowhere", "missing.html", "../outside.html"]


def test_pictures_without_text_are_found(bad_page):
    assert len(list(pictures_without_text(bad_page))) == 3


def test_other_hosts_are_found(bad_page):
    found = " ".join(foreign_parts(bad_page))
    assert [host for host in ("cdn", "fonts", "img", "fine", "other") if host in found] == [
        "cdn",
        "fonts",
        "img",
    ]


# --- the book as a whole ---------------------------------------------------------------------


def chapters():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    return [
        toc["root"],
        *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"]),
    ]


@pytest.mark.parametrize("name", chapters())
def test_every_chapter_has_a_page(built, name):
    assert (built / f"{name}.html").is_file()


def colab_buttons(soup):
    return [
        a["href"]
        for a in soup.find_all("a", href=True)
        if "colab.research.google.com" in a["href"] and "dropdown-item" in a.get("class", [])
    ]


@pytest.mark.parametrize("name", chapters())
def test_colab_opens_the_notebooks_and_only_those(built, name):
    buttons = colab_buttons(soup_of(built / f"{name}.html"))
    if not (ROOT / f"{name}.ipynb").is_file():
        assert buttons == []
        return
    branch = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["branch"]
    colab = repository.forms(repository.read_address(ROOT))[1]
    edition = f"colab/{name.removeprefix('notebooks/')}.ipynb"
    assert (ROOT / edition).is_file()
    assert buttons == [f"https://{colab}/blob/{branch}/{edition}"]


@pytest.mark.parametrize("name", chapters())
def test_every_page_can_be_downloaded_as_its_source(built, name):
    page = built / f"{name}.html"
    links = [a["href"] for a in soup_of(page).select("a.btn-download-source-button")]
    assert len(links) == 1
    source = page.parent / links[0]
    assert source.is_file()
    original = next(
        path for path in (ROOT / f"{name}.md", ROOT / f"{name}.ipynb") if path.is_file()
    )
    assert source.suffix == original.suffix


def test_a_page_made_with_explore_holds_its_controls(built):
    figures = {
        name: soup_of(built / f"{name}.html").select("div.rn-explore") for name in chapters()
    }
    notebooks = {name: ROOT / f"{name}.ipynb" for name in chapters()}
    used = [
        name
        for name, path in notebooks.items()
        if path.is_file() and "explore(" in path.read_text("utf-8")
    ]
    assert used, "no chapter has an interactive figure"
    for name in used:
        assert figures[name], f"{name} calls explore, but its page has no figure that moves"
        assert all(
            figure.select("[data-axis]") and figure.select("script.rn-data")
            for figure in figures[name]
        )


def test_no_stored_widget_reached_a_page(built, page_name):
    assert "application/vnd.jupyter.widget" not in (built / page_name).read_text("utf-8")


def test_no_file_of_the_book_holds_an_answer_to_an_assignment(built):
    files = [
        path
        for path in built.rglob("*")
        if path.suffix in (".html", ".ipynb", ".md", ".txt", ".js")
    ]
    assert {"a1.html", "a1.md", "1-batch-norm-forward.html"} <= {path.name for path in files}
    assert release.leaks(files) == []
