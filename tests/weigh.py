"""Print what the built pages weigh: bytes, requests, elements, stops of the keyboard, and work.

Usage: ``python tests/weigh.py [--site _build/html] [PAGE ...]`` after ``make book``.

If npx finds Lighthouse, its scores follow, for a phone (slow network and processor, as it simulates
them) and for a desk. It is no part of the repository; ``npx -y lighthouse@12.8.2 --version`` puts
the version with which the book is measured into npm's cache. Its scores of speed suffer from
whatever else keeps the machine busy.

Every page is opened in a fresh profile of headless Chromium as a phone shows it, from a server that
compresses as GitHub Pages does. ``work`` is the time in which the page kept the processor busy
until it was idle, in seconds of this machine; it does not depend on the network.
"""

import argparse
import contextlib
import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from browsing import HTML

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from chromium import launched

PAGES = [
    "book/index.html",
    "notebooks/2-normalization/1-batch-norm-forward.html",
    "notebooks/2-normalization/2-batch-norm-backward.html",
    "notebooks/2-normalization/4-why-batch-norm-works.html",
    "notebooks/3-residual/6-unet-and-hourglass.html",
]
COLUMNS = ("kB", "scripts kB", "pictures kB", "requests", "elements", "tab stops", "work s")
#: ``--no``: what is not there is not installed.
LIGHTHOUSE = ("npx", "--no", "lighthouse@12.8.2")
SCORES = ("performance", "accessibility", "best-practices", "seo")
TIMES = {
    "first-contentful-paint": "first paint s",
    "largest-contentful-paint": "largest paint s",
    "total-blocking-time": "blocked s",
}
COMPRESSED = {".html", ".css", ".js", ".svg", ".json", ".map", ".txt"}


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves files, text as gzip, and counts bytes by address."""

    sent: dict[str, int] = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data = path.read_bytes()
        self.send_response(200)
        if path.suffix in COMPRESSED:
            data = gzip.compress(data, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)
        self.sent[self.path.split("?")[0]] = len(data)


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder, compressed; yields its address."""
    handler = functools.partial(Compressing, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def weigh(browser, address: str) -> list[float]:
    """Open one page; what ``COLUMNS`` names.

    Args:
        browser: Chromium.
        address: of the page.
    """
    Compressing.sent.clear()
    context = browser.new_context(viewport={"width": 375, "height": 812}, device_scale_factor=2)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(1_000)
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    elements, stops = page.evaluate(
        """() => [document.querySelectorAll('*').length,
            [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
                .filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility()).length]"""
    )
    context.close()

    def kilobytes(*kinds: str) -> float:
        sizes = Compressing.sent.items()
        return sum(size for name, size in sizes if not kinds or name.endswith(kinds)) / 1000

    return [
        kilobytes(),
        kilobytes(".js"),
        kilobytes(".png", ".webp", ".svg"),
        len(Compressing.sent),
        elements,
        stops,
        metrics["TaskDuration"],
    ]


def lighthouse_is_there() -> bool:
    """Whether npx finds Lighthouse without installing anything."""
    if not shutil.which(LIGHTHOUSE[0]):
        return False
    asked = subprocess.run(
        [*LIGHTHOUSE, "--version"], capture_output=True, stdin=subprocess.DEVNULL
    )
    return asked.returncode == 0


def audit(address: str, desk: bool) -> list[float]:
    """Lighthouse's scores out of 100 and times in seconds, as ``SCORES`` and ``TIMES`` name them.

    Args:
        address: of the page.
        desk: measure as for a desk, or else as for a phone.
    """
    flags = "--headless=new --no-sandbox --disable-gpu"
    command = [*LIGHTHOUSE, address, "--quiet", "--output=json", f"--chrome-flags={flags}"]
    command += ["--preset=desktop"] if desk else []
    chrome = shutil.which("chromium") or shutil.which("chromium-browser") or ""
    environment = os.environ | ({"CHROME_PATH": chrome} if chrome else {})
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    report = json.loads(done.stdout)
    scores = [100 * (report["categories"][name]["score"] or 0) for name in SCORES]
    return [*scores, *(report["audits"][name]["numericValue"] / 1000 for name in TIMES)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", type=Path, default=HTML, help="folder with the built pages")
    parser.add_argument("pages", nargs="*", default=PAGES, metavar="PAGE")
    arguments = parser.parse_args()
    print("| page | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---:|" * len(COLUMNS))
    with launched(parser.error) as browser, served(arguments.site) as address:
        for page in arguments.pages:
            numbers = weigh(browser, f"{address}/{page}")
            cells = [f"{x:.1f}" if isinstance(x, float) else str(x) for x in numbers]
            print(f"| {page.rsplit('/', 1)[-1]} | " + " | ".join(cells) + " |", flush=True)
    if not lighthouse_is_there():
        print("\nnpx finds no Lighthouse; npx -y lighthouse@12.8.2 --version brings it.")
        return
    print("\n| page | screen | " + " | ".join([*SCORES, *TIMES.values()]) + " |")
    print("|---|---|" + "---:|" * (len(SCORES) + len(TIMES)))
    with served(arguments.site) as address:
        for page in arguments.pages:
            for screen in ("phone", "desk"):
                numbers = audit(f"{address}/{page}", screen == "desk")
                cells = [f"{x:.0f}" for x in numbers[: len(SCORES)]]
                cells += [f"{x:.1f}" for x in numbers[len(SCORES) :]]
                name = page.rsplit("/", 1)[-1]
                print(f"| {name} | {screen} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
