"""A browser without a window, for the tools that draw and the tests that visit pages."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def launched(missing: Callable[[str], Any]) -> Iterator[Any]:
    """Chromium. While it runs, an event loop runs in this process: no other can be started.

    Args:
        missing: called with a sentence if there is no Chromium; must not return.
    """
    executable = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if executable is None:
        missing("no chromium, chromium-browser or google-chrome on the PATH")
    from playwright.sync_api import sync_playwright

    arguments = (
        "--no-sandbox --disable-gpu --disable-background-networking "
        "--disable-component-update --disable-sync --no-first-run"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments.split())
        yield browser
        browser.close()
