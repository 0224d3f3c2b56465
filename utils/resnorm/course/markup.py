"""A student's Markdown as HTML that runs nothing, whoever renders it again.

Filtering the *source* of Markdown is not sound: what is harmless text to a filter can be an element
to the renderer, and nbgrader, nbconvert and JupyterLab have renderers that disagree. So the text is
rendered once, here, by nbconvert's renderer, and bleach keeps the harmless elements of the result.
What bleach leaves is then written in a language that leaves nothing to read in two ways:

- one line that starts with ``<div>``: every Markdown renderer takes this for one block of HTML;
- elements and attributes of a list, with values in double quotes;
- in text and in values, only letters, digits, spaces, periods and commas stand as themselves. Every
  other character is written as its number, such as ``&#60;``, so that none can open an element, a
  link, a formula or a comment.

Formulas still work, because MathJax looks for them in the finished page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import bleach
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, import_plugin
from pygments.token import STANDARD_TYPES

#: Number of characters up to which a text is rendered, which can take quadratic time.
MAX_MARKDOWN = 20_000
#: Depth of nesting up to which a text is rendered.
MAX_DEPTH = 60

ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        """
        h1 h2 h3 h4 h5 h6 p div span br hr pre code kbd a img
        b i u s em strong del mark small sub sup center blockquote details summary
        ul ol li dl dt dd table thead tbody tfoot tr th td
        """,
    )
)
_VOID = frozenset(("br", "hr", "img"))
#: What we add: links open in a page of their own, which cannot reach back, and tables have lines in
#: Formgrader.
_MORE = {
    "a": ' target="_blank" rel="noopener noreferrer"',
    "table": ' class="table-bordered table-condensed"',
}
#: Elements that hold elements only: spaces between those would be moved when they are read again.
_NO_TEXT = frozenset(("table", "thead", "tbody", "tfoot", "tr", "ul", "ol", "dl"))
#: Picture that a text names -> its address in this text.
ATTACHMENT = "attachment:"
#: Allowed values of attributes. There is no style, no id, and no class but those that color code,
#: because Formgrader's own page goes by classes and ids.
_ATTRIBUTES = {
    ("a", "href"): r"https?://[^\s\\]+",
    ("a", "title"): r".*",
    ("img", "src"): rf"({ATTACHMENT}|https?://).+",
    ("img", "alt"): r".*",
    ("img", "title"): r".*",
    ("img", "width"): r"\d{1,4}",
    ("img", "height"): r"\d{1,4}",
    ("ol", "start"): r"\d{1,6}",
    ("td", "colspan"): r"\d{1,2}",
    ("td", "rowspan"): r"\d{1,2}",
    ("th", "colspan"): r"\d{1,2}",
    ("th", "rowspan"): r"\d{1,2}",
    ("div", "class"): r"highlight",
    ("span", "class"): "|".join(sorted(filter(None, STANDARD_TYPES.values()))),
}
#: Check boxes are elements of forms.
_PLUGINS = [name for name in MarkdownWithMath.DEFAULT_PLUGINS if name != "task_lists"]
#: Text that is the same in every Markdown dialect, and has no markup that could name an address. It
#: stays as it is, because nbgrader recognizes an answer that nobody has touched by its text.
_HARMLESS = re.compile(r"[\w\s.,;:!?'\"()*+/=%-]*")
#: Commands of MathJax that reach beyond the formula: addresses, classes, styles, more commands.
_BEYOND = re.compile(
    r"\\(href|url|require|unicode|class|cssId|style|data|bbox|csname|mmlToken|includegraphics"
    r"|html[A-Za-z]*)(?![A-Za-z])"
)
#: What is not text: control characters but those of terminals, halves of characters, and marks that
#: show a line in another order than it has.
_UNPRINTABLE = re.compile(
    "[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    "\ufdd0-\ufdef\ufffe\uffff]"
)


def text(value: Any) -> str:
    """Take a text from a place where a student could have put anything.

    Args:
        value: a string, a list of strings, or anything else, which is no text.

    Returns:
        The text, with U+FFFD in place of what cannot be shown or stored.
    """
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return _UNPRINTABLE.sub("\ufffd", value) if isinstance(value, str) else ""


def safe_name(name: str) -> str:
    """Take a person's name, which Formgrader puts into its page as it is.

    Args:
        name: as the class list has it; students choose theirs in many learning management systems.
    """
    return text(name).replace("<", "\u2039").replace(">", "\u203a")


def safe_markdown(source: str, pictures: Mapping[str, str] | None = None) -> str:
    """Turn Markdown into Markdown that looks the same and that no renderer can turn into a script.

    What cannot be rendered in reasonable time, or at all, is shown as it was typed.

    Args:
        source: what the student wrote; at most ``MAX_MARKDOWN`` characters are rendered.
        pictures: name of an attachment -> its ``data:`` address. Other pictures are not loaded, and
            their address stands as text in their place: loading one would tell somebody that and
            when this text is read, and can call what the instructor's own server offers.
    """
    source = text(source)
    if len(source) > MAX_MARKDOWN:
        return plain(source)
    if _HARMLESS.fullmatch(source):
        return source
    try:
        plugins = [import_plugin(name) for name in _PLUGINS]
        html = MarkdownWithMath(renderer=_Renderer(escape=False), plugins=plugins).render(source)
        protocols = {"http", "https", ATTACHMENT.rstrip(":")}
        writer = _Writer(pictures or {})
        writer.feed(bleach.clean(html, ELEMENTS, _allowed_undecoded, protocols).strip())
        writer.close()
        return writer.html()
    except Exception:  # whatever a hostile text provokes in one of the parsers
        return plain(source)


def plain(source: str) -> str:
    """Show a text as it was typed, in a Markdown cell.

    Args:
        source: any text.
    """
    return f"<div><pre>{_encoded(text(source))}</pre></div>"


def _encoded(source: str) -> str:
    """The text in characters that mean nothing to any parser."""
    return re.sub(r"[^\w .,]|_", lambda match: f"&#{ord(match[0])};", source)


def _allowed(tag: str, name: str, value: str) -> bool:
    """Whether an element may have this attribute."""
    pattern = _ATTRIBUTES.get((tag, name))
    return pattern is not None and re.fullmatch(pattern, value, re.DOTALL) is not None


def _allowed_undecoded(tag: str, name: str, value: str) -> bool:
    """The same for bleach, which does not decode values before it asks."""
    return _allowed(tag, name, unescape(value))


class _Renderer(IPythonRenderer):
    """nbconvert's renderer; it leaves pictures to the writer, and links no heading to itself."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super(IPythonRenderer, self).image(text, url, title)

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        return super(IPythonRenderer, self).heading(text, level)


class _Writer(HTMLParser):
    """Writes what bleach has left in the language of this module.

    It allows nothing that bleach should have removed: then it gives up with a ValueError.
    """

    def __init__(self, pictures: Mapping[str, str]):
        super().__init__()
        self.pictures = pictures
        self.parts: list[str] = []
        self.open: list[str] = []
        self.pending = ""  # text comes in pieces, and a command of MathJax must not be split
        self.roots = 0

    def html(self) -> str:
        """What has been written, in one element."""
        self._flush()
        if self.open:
            raise ValueError(f"<{self.open[-1]}> is not closed")
        written = "".join(self.parts)
        single = self.roots == 1 and written.startswith("<div>") and written.endswith("</div>")
        return written if single else f"<div>{written}</div>"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS or len(self.open) >= MAX_DEPTH:
            raise ValueError(f"<{tag}> at depth {len(self.open)}")
        values = {name: value or "" for name, value in attrs if _allowed(tag, name, value or "")}
        if tag == "img" and "src" in values:
            name = values.pop("src").removeprefix(ATTACHMENT)
            address = self.pictures.get(name) or self.pictures.get(unquote(name))
            if address:
                self._write_tag(tag, values, f' src="{address}"')
                return
        if tag == "img":
            address = dict(attrs).get("src") or ""
            alternative = " ".join(filter(None, (values.get("alt"), address)))
            self.handle_data(f"[picture not shown: {alternative}]")
            return
        self._write_tag(tag, values, _MORE[tag] if tag == "table" or "href" in values else "")
        if tag not in _VOID:
            self.open.append(tag)

    def _write_tag(self, tag: str, values: Mapping[str, str], more: str) -> None:
        self._flush()
        if not self.open:
            self.roots += 1
        attributes = "".join(f' {name}="{_encoded(value)}"' for name, value in values.items())
        self.parts.append(f"<{tag}{attributes}{more}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open[-1] != tag:
            raise ValueError(f"</{tag}> closes nothing")
        self._flush()
        self.open.pop()
        self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.pending += data

    def _flush(self) -> None:
        """Write the text since the last tag."""
        shown, self.pending = text(self.pending), ""
        if shown.isspace() and self.open and self.open[-1] in _NO_TEXT:
            return
        if not self.open and shown.strip():
            self.roots += 1
        if "pre" not in self.open and "code" not in self.open:  # where MathJax does not look
            shown = _BEYOND.sub(r"\\mathtt{\1}", shown)
        self.parts.append(_encoded(shown))

    def handle_comment(self, data: str) -> None:
        raise ValueError("a comment was left")

    def handle_decl(self, decl: str) -> None:
        raise ValueError("a declaration was left")

    def handle_pi(self, data: str) -> None:
        raise ValueError("a processing instruction was left")

    def unknown_decl(self, data: str) -> None:
        raise ValueError("a declaration was left")
