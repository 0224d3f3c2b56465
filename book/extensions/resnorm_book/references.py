"""What a page numbers can be linked to: equations, figures, tables, exercises and solutions.

All functions take HTML and return HTML. They run once, on the pages that Sphinx has written.
"""

from __future__ import annotations

import itertools
import re

EQUATION = re.compile(
    r'<span class="eqno">(\([^)]+\))<a class="headerlink" href="([^"]+)"[^>]*>#</a></span>'
)
CAPTION = re.compile(r"<p><em>((?:(?!</p>).)*)</em></p>", re.DOTALL)
OUTPUT = '<div class="cell_output docutils container">'
EXERCISE = re.compile(
    r'<div class="exercise admonition" id="([^"]+)">\s*'
    r'<p class="admonition-title"><span class="caption-number">([^<]*?)\s*</span>\s*'
)
SOLUTION = re.compile(
    r'<div class="solution dropdown admonition" id="[^"]+">\s*'
    r'<p class="admonition-title">Solution to'
    r'<a class="reference internal" href="([^"]*#([^"]+))">\s*'
)
#: The title of a solution: the exercise and its number, then its name.
SOLVED = re.compile(
    r'(Solution to <a class="reference internal" href="[^"]*">\s*Exercise [\d.]+)(\s[^\n]*?)</a>'
)


def chapter_of(page: str) -> str:
    """The number of the chapter with a dot behind it, such as ``2.1.``, or nothing.

    Args:
        page: HTML.
    """
    found = re.search(r"<title>(\d+\.\d+)\s", page)
    return f"{found[1]}." if found else ""


def linked_equations(page: str) -> str:
    """The number of an equation is the link to it."""
    return EQUATION.sub(
        r'<span class="eqno"><a class="rn-self" href="\2" title="Link to this equation">'
        r"\1</a></span>",
        page,
    )


def numbered_figures(page: str) -> str:
    """Captions say the number of their figure, which links to the figure above the caption."""
    chapter, count = chapter_of(page), itertools.count(1)
    pieces = page.split(OUTPUT)
    for index in range(1, len(pieces)):
        first: list[int] = []

        def number(found: re.Match[str], first: list[int] = first) -> str:
            k = next(count)
            place = f' id="figure-{k}"' if first else ""
            first.append(k)
            return (
                f'<p class="rn-caption"{place}><a class="rn-self" href="#figure-{k}" '
                f'title="Link to this figure">Figure {chapter}{k}.</a> {found[1]}</p>'
            )

        output, rest = split_output(pieces[index])
        output = CAPTION.sub(number, output)
        start = OUTPUT.replace(">", f' id="figure-{first[0]}">') if first else OUTPUT
        pieces[index] = start + output + rest
    return "".join(pieces)


def split_output(piece: str) -> tuple[str, str]:
    """Cut what follows the start of an output where its ``div`` ends."""
    depth = 1
    for tag in re.finditer(r"<(/?)div\b", piece):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return piece[: tag.start()], piece[tag.start() :]
    raise ValueError("an output of a cell is not closed")


def linked_exercises(page: str) -> str:
    """Exercises and their solutions link to each other, and both have ids that can be cited."""
    seen: dict[str, int] = {}

    def solution(found: re.Match[str]) -> str:
        address, exercise = found.groups()
        seen[exercise] = seen.get(exercise, 0) + 1
        suffix = f"-{seen[exercise]}" if seen[exercise] > 1 else ""
        return (
            f'<div class="solution dropdown admonition" id="solution-{exercise}{suffix}">\n'
            f'<p class="admonition-title">Solution to <a class="reference internal" '
            f'href="{address}">'
        )

    page = SOLUTION.sub(solution, page)
    # The title folds where it is no link, so on a phone it must not be all link.
    page = SOLVED.sub(r"\1</a>\2", page)

    def exercise(found: re.Match[str]) -> str:
        name, number = found.groups()
        return (
            f'<div class="exercise admonition" id="{name}">\n<p class="admonition-title">'
            f'<a class="rn-self caption-number" href="#{name}" title="Link to this exercise">'
            f"{number}</a> "
        )

    pieces = re.split(r'(?=<div class="exercise admonition" id=")', page)
    for index, piece in enumerate(pieces):
        found = EXERCISE.match(piece)
        if found:
            if found[1] in seen:
                link = (
                    f'<p class="rn-to-solution"><a href="#solution-{found[1]}">Solution</a></p>\n'
                )
                piece = piece.replace("</section>\n</div>", f"{link}</section>\n</div>", 1)
            pieces[index] = EXERCISE.sub(exercise, piece, count=1)
    page = "".join(pieces)
    return re.sub(
        r'<section id="(exercise|solution)-content">', r'<section class="\1-content">', page
    )
