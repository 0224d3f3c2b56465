"""What machines read of the pages, the page for missing addresses, and the line at the foot."""

import http.server
import threading
import tomllib
from functools import partial
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from test_pages import chapters, soup_of

import repository
from conftest import ROOT

SITE = f"{repository.forms(repository.read_address(ROOT))[2]}/"
#: Pages of the theme, which no search engine has to show.
OWN = {"search.html", "genindex.html", "404.html"}


def content_of(soup, name):
    found = soup.select(f'meta[name="{name}"], meta[property="{name}"]')
    assert len(found) == 1, f"{len(found)} elements describe {name}"
    return found[0]["content"]


def test_every_page_is_described(built, page_name):
    soup = soup_of(built / page_name)
    title = content_of(soup, "og:title")
    assert title and "Normalization and Residual Networks" not in title
    assert content_of(soup, "og:url") == SITE + page_name
    image = content_of(soup, "og:image")
    assert image.startswith(SITE) and (built / image.removeprefix(SITE)).is_file()
    if page_name in OWN:
        return
    text = content_of(soup, "description")
    assert 30 <= len(text) <= 200 and "\\" not in text and "<" not in text
    assert text == content_of(soup, "og:description")


def test_no_two_pages_have_the_same_description(built):
    texts = [content_of(soup_of(built / f"{name}.html"), "description") for name in chapters()]
    assert len(set(texts)) == len(texts)


def test_every_page_names_its_version_and_what_has_changed(built, page_name):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    lines = soup_of(built / page_name).select(".rn-version")
    assert len(lines) == 1 and version in lines[0].text
    page = (built / page_name).parent / lines[0].a["href"]
    assert page.resolve() == (built / "book/changes.html").resolve()


def test_the_map_of_the_site_lists_the_chapters(built):
    tree = ElementTree.parse(built / "sitemap.xml").getroot()
    listed = [each.text for each in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert listed == [f"{SITE}{name}.html" for name in chapters()]


class Missing(http.server.SimpleHTTPRequestHandler):
    """Serves the book below the folder of its published address, and 404.html for the rest."""

    folder = urlsplit(SITE).path

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        file = self.site / path.removeprefix(self.folder)
        found = path.startswith(self.folder) and file.is_file()
        file = file if found else self.site / "404.html"
        data = file.read_bytes()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def published(built):
    handler = type("Published", (Missing,), {"site": built})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{Missing.folder}"
        server.shutdown()


def test_a_missing_address_leads_back_from_any_folder(browser, published):
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{published}notebooks/2-normalization/gone.html", wait_until="load")
        styles = (
            "[...document.querySelectorAll('link[rel=stylesheet]')].map(e => [e.href, !!e.sheet])"
        )
        for address, applied in page.evaluate(styles):
            assert applied and address.startswith(f"{published}_static/")
        assert page.evaluate("typeof resnorm.typesetNow === 'function'"), "scripts are found, too"
        assert page.locator("article h1").inner_text().startswith("There is no such page")
        page.locator("article a", has_text="front page").click()
        page.wait_for_url(f"{published}book/index.html")
    finally:
        context.close()
