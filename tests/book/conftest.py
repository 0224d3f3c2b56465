"""The built pages, and a browser that reaches nothing outside this machine."""

import contextlib
import functools
import http.server
import re
import threading
from pathlib import Path

import pytest

from chromium import launched

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"


def pages():
    """Pages of the built book, relative to its root; theme templates and hidden folders aside."""
    names = (path.relative_to(HTML) for path in sorted(HTML.rglob("*.html")))
    return [name.as_posix() for name in names if not name.parts[0].startswith(("_", "."))]


def pytest_generate_tests(metafunc):
    if "page_name" in metafunc.fixturenames:
        # index.html of the root only forwards to the first page
        metafunc.parametrize(
            "page_name", [name for name in pages() if name != "index.html"] or ["index.html"]
        )


@pytest.fixture(scope="session")
def built():
    if not (HTML / "index.html").is_file():
        pytest.fail("the book is not built: run make book first", pytrace=False)
    return HTML


@pytest.fixture(scope="session")
def server(built):
    """Address of the built book on the loopback interface."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=built)
    ) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()


@pytest.fixture(scope="session")
def addresses(built, server):
    return {"http": server, "file": built.as_uri()}


@pytest.fixture(scope="session")
def browser(missing):
    with launched(missing) as browser:
        yield browser


class Visit:
    """One page in a fresh profile, with the errors and the requests that it caused."""

    def __init__(self, context, local):
        self.errors, self.outside = [], []
        self.page = context.new_page()
        self.page.on(
            "console", lambda message: message.type == "error" and self.errors.append(message.text)
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

        def refuse(route):
            self.outside.append(route.request.url)
            route.abort()

        # Requests of this machine do not pass through this process, which would take its time.
        context.route(re.compile(f"^(?!{'|'.join(map(re.escape, local))})"), refuse)

    def go(self, address, whole=True):
        """Open ``address`` and wait until its mathematics is typeset.

        ``whole`` lays out every section, as for a reader who has scrolled through the page.
        """
        self.page.goto(address, wait_until="load")
        if whole:
            self._lay_out()
        self.page.evaluate("window.resnorm?.typesetAll()")
        self._await_frames()
        return self.page

    def whole(self):
        """Lay out every section of the page that is open."""
        self._lay_out()
        self._await_frames()

    def _lay_out(self):
        self.page.add_style_tag(content=".rn-later { content-visibility: visible !important; }")

    def _await_frames(self):
        """Wait until what scrolls is marked."""
        self.page.evaluate(
            "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(() => go(1))))"
        )

    def check(self):
        assert self.outside == [], "the page asked another machine for something"
        assert self.errors == [], "the browser's console holds errors"


@pytest.fixture
def visit(browser, server):
    """``with visit(width=…, theme=…) as v`` ends by checking that nothing went wrong."""

    @contextlib.contextmanager
    def visit(width=1280, theme="light", check=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        try:
            v = Visit(context, (server, "file:", "data:", "blob:"))
            yield v
            if check:
                v.check()
        finally:
            context.close()

    return visit
