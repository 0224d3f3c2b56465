"""The code of a cell as plain Python of the same lines, with IPython's own syntax taken out."""

from __future__ import annotations

import ast
import functools
import re
from typing import Any

#: The longest code that is read, in characters; a notebook with more of it is refused.
MAX_LENGTH = 200_000
#: Magics at the head of a cell, and one that runs the statement behind it in the notebook.
HEADS = re.compile(r"(?:\s*%%[^\n]*)+")
TIMED = re.compile(r"^([ \t]*)%time[ \t]+(?:--no-raise-error[ \t]+)?(?=\S)", re.MULTILINE)
#: Lines such as ``%matplotlib inline``, ``!pip list`` and ``files = !ls``, and ``torch.sum?``.
#: Each character can be matched in one way only, so that a long line takes no quadratic time.
COMMANDS = re.compile(
    r"^([ \t]*)(\w[\w, ]*=[ \t]*)?[%!](?:[^\n]*\\\n)*[^\n]*$"
    r"|^([ \t]*)(?![#\s])[^#\"'\n]*\?[ \t]*$",
    re.MULTILINE,
)
#: What bounds the time that IPython's own reading takes, which begins again at every command and
#: is quadratic in the length of a line and of its blanks.
MAX_COMMANDS = 20
MAX_READ = 1_000_000
MAX_LINE = 1_000
INDENTED = re.compile(r"^[ \t\f]{25,}", re.MULTILINE)
BLANKS = re.compile(r"(?<=[^ \t\f])(?<!^)[ \t\f]{9,}", re.MULTILINE)


@functools.lru_cache(maxsize=500)
def as_python(source: str) -> str | None:
    """Take out of a cell what is not Python, as IPython does, without running anything.

    Commands become ``pass``, and what is assigned from one becomes ``str()``. A statement that
    ``%time`` runs is a statement.

    Args:
        source: text of the cell.

    Returns:
        Code that can be parsed, in which each statement begins on the line where it begins in the
        cell; None if there is none.
    """
    if len(source) > MAX_LENGTH:
        return None
    text = HEADS.sub("", source, count=1) if HEADS.match(source) else source
    text = "\n" * (source.count("\n") - text.count("\n")) + text
    text = TIMED.sub(r"\1", text)
    for read in (str, _by_ipython, lambda text: COMMANDS.sub(_replaced, text)):
        found = read(text)
        if found is not None and is_python(found):
            return found
    return None


def is_python(text: str) -> bool:
    """Say whether code can be parsed.

    Args:
        text: any text.
    """
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _replaced(found: re.Match[str]) -> str:
    """What stands in place of a command, with as many lines."""
    indent, target = found[1] or found[3] or "", found[2] or ""
    return indent + (f"{target}str()" if target else "pass") + "\n" * found[0].count("\n")


def _by_ipython(text: str) -> str | None:
    """What IPython makes of code; None if it makes nothing of it, or would take too long."""
    text = BLANKS.sub(" " * 8, INDENTED.sub(" " * 24, text))
    lines = text.splitlines(keepends=True)
    if not lines or max(map(len, lines)) > MAX_LINE:
        return None
    above = next((place for place, line in enumerate(lines) if not line.isspace()), 0)
    try:
        # Anything may be raised at what is not code; it is then read in the other way.
        return "".join(lines[:above]) + _transformer()().transform_cell(text)
    except Exception:
        return None


@functools.cache
def _transformer() -> Any:
    """IPython's reader of cells, which takes half a second to import."""
    from IPython.core.inputtransformer2 import TransformerManager

    class Transformer(TransformerManager):
        """Takes out commands, keeps the numbers of lines, and gives up early."""

        def do_token_transforms(self, lines: list[str]) -> list[str]:
            for _ in range(1 + min(MAX_COMMANDS, MAX_READ // (1 + sum(map(len, lines))))):
                changed, new = self.do_one_token_transform(lines)
                if not changed:
                    return lines
                pairs = zip(lines, new, strict=False)
                place = next((n for n, (old, now) in enumerate(pairs) if old != now), len(new) - 1)
                target, is_command, _ = new[place].partition("get_ipython().")
                if is_command:
                    new[place] = f"{target}str()\n" if target.strip() else f"{target}pass\n"
                removed = "".join(lines).count("\n") - "".join(new).count("\n")
                new[place + 1 : place + 1] = ["\n"] * removed
                lines = new
            raise RuntimeError("too many commands")

    return Transformer
