"""Numbers by chapter: exercise 2.1.3 is the third of chapter 2.1, and so are equations.

Sphinx numbers by section only in a numbered table of contents. Here the chapters carry their number
in the title, and the count begins anew on every page.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector

Numbers = dict[str, dict[str, tuple[int | str, ...]]]


def of_chapter(title: str) -> tuple[str, ...]:
    """The number in the title of a chapter, such as ``("2", "1")``; none where there is none.

    Args:
        title: of a page.
    """
    found = re.match(r"(\d+)\.(\d+)\s", title)
    return found.groups() if found else ()


def by_chapter(numbers: Numbers, chapter: tuple[str, ...]) -> Numbers:
    """The numbers of one page, counted from 1 for each kind and with the chapter in front.

    Args:
        numbers: by kind and id, in the order of the page.
        chapter: number of the chapter.
    """
    return {
        kind: {name: (*chapter, count) for count, name in enumerate(found, start=1)}
        for kind, found in numbers.items()
    }


def install() -> None:
    """Let Sphinx number by chapter."""
    assign = TocTreeCollector.assign_figure_numbers

    def assign_by_chapter(self: Any, env: BuildEnvironment) -> list[str]:
        before = env.toc_fignumbers
        assign(self, env)
        for name, numbers in env.toc_fignumbers.items():
            env.toc_fignumbers[name] = by_chapter(numbers, of_chapter(env.titles[name].astext()))
        return [
            name
            for name, numbers in env.toc_fignumbers.items()
            if numbers != before.get(name)  # these pages are written anew
        ]

    TocTreeCollector.assign_figure_numbers = assign_by_chapter
